"""Messages that once got a failure, a broken answer, a huge one, or one after a long time."""

from __future__ import annotations

import time
from typing import Any

import pytest
from lxml import etree

XSI = 'xmlns:i="http://www.w3.org/2001/XMLSchema-instance"'


@pytest.mark.parametrize(
    "content",
    [
        '<: xml:space="x"/>',
        '<a><u:b/><c xml:space="x"/></a>',
        '<a xmlns:p="urn:p" xmlns:q="urn:p" p:x="1" q:x="2"><c xml:space="x"/></a>',
    ],
)
async def test_a_wrong_name_is_malformed_though_a_warning_follows(soap: Any, content: str) -> None:
    """Names that break Namespaces in XML are refused, also where the parser's last word is only a warning."""
    response = await soap.post("admin", content)
    assert response.status_code == 400
    assert "well-formed" in soap.fault(response).message


@pytest.mark.parametrize("name", ["x", "xml:x"])
async def test_a_header_is_named_in_a_sound_answer(soap: Any, name: str) -> None:
    """SOAP 1.2 names what was not understood: no prefix stands for no namespace, and only `xml` for that of XML."""
    response = await soap.post("admin", soap.envelope("", f'<{name} s:mustUnderstand="1"/>', "1.2"), version="1.2")
    assert soap.fault(response).faultcode == "MustUnderstand"
    (named,) = etree.fromstring(response.content).findall("{*}Header/{*}NotUnderstood")
    assert named.get("qname") == name


@pytest.mark.parametrize("version", ["1.1", "1.2"])
async def test_many_unknown_headers_get_a_short_answer(soap: Any, version: str) -> None:
    """Thousands of headers in a long namespace do not come back as gigabytes."""
    headers = f'<x:y s:mustUnderstand="1" xmlns:x="urn:{"x" * 100_000}"/>' + '<x s:mustUnderstand="1"/>' * 5000
    response = await soap.post("admin", soap.envelope("", headers, version), version=version)
    assert soap.fault(response).faultcode == "MustUnderstand"
    assert len(response.content) < 4096


@pytest.mark.parametrize(
    "body",
    [
        "<{0}/>",
        '<x xmlns="urn:{0}"/>',
        '<ListProducts xmlns="urn:{0}"/>',
        '<ListProducts xmlns="urn:licentia:admin:1" {0}="1"/>',
        '<ListProducts xmlns="urn:licentia:admin:1" ' + XSI + ' i:nil="{0}"/>',
    ],
)
async def test_long_names_are_repeated_in_part(soap: Any, body: str) -> None:
    """A fault repeats enough of a name to recognise it, not all of it."""
    response = await soap.post("admin", soap.envelope(body.format("n" * 40_000)))
    assert response.status_code in (200, 500)
    assert len(response.content) < 4096


async def test_a_type_full_of_braces_costs_nothing(soap: Any) -> None:
    """An open call with sixty thousand braces, which once took a quarter of a minute, is answered at once."""
    body = f'<ListPublicKeys xmlns="urn:licentia:licensing:1" {XSI} i:type="{"{" * 60_000}"/>'
    started = time.process_time()
    response = await soap.post("licensing", soap.envelope(body), key=False)
    assert time.process_time() - started < 1
    assert soap.reply(response) is not None


async def test_a_value_is_not_repeated_by_the_schema(soap: Any) -> None:
    """Where the schema alone is against a value, the fault names its element and keeps the value to itself."""
    items = f'<items><units {XSI} i:nil="secret">5</units><productCode>1</productCode></items>'
    fault = soap.fault(await soap.call("admin", "PutProduct", f"<sku>a</sku><name>b</name>{items}"))
    assert fault.pointers == ("/items/0/units",)
    assert "secret" not in fault.message
