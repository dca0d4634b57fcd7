"""Messages that no honest client sends, and those that some do: each gets its documented answer."""

from __future__ import annotations

import gzip
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

LIST = '<ListProducts xmlns="urn:licentia:admin:1"/>'
DOCTYPE = '<!DOCTYPE a [<!ENTITY x "y">]>'
LAUGHS = "<!DOCTYPE a [" + '<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))


def secret_file(tmp_path: Path) -> Path:
    """A file that an external entity could read."""
    file = tmp_path / "secret"
    file.write_text("very secret")
    return file


async def refused(soap: Any, content: str | bytes, status: int, faultcode: str = "Client", **more: Any) -> Any:
    """The fault that this content gets, with the expected HTTP status and fault code."""
    response = await soap.post("admin", content, **more)
    assert response.status_code == status, response.text
    fault = soap.fault(response)
    assert fault.faultcode == faultcode
    assert "." not in fault.faultcode
    return fault


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"   ",
        b"no XML",
        b"<a>",
        b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>\xff</s:Body></s:Envelope>',
        b'<?xml version="1.0" encoding="x-unknown"?><a/>',
        b"<a>&nbsp;</a>",
        b"<a>&#0;</a>",
        b"<a/>junk",
        b"<b:a/>",
        b"<a>" * 300 + b"</a>" * 300,
        "<a/>".encode("utf-16")[2:],
    ],
    ids=lambda content: content[:20].decode("latin-1"),
)
async def test_what_is_not_xml_is_a_client_fault_with_400(soap: Any, content: bytes) -> None:
    """Malformed XML, bad encodings and too deep nesting get HTTP 400 (WS-I BP 1.1, R1113)."""
    fault = await refused(soap, content, 400, content_type="text/xml")
    assert fault.code == "invalid_request"


async def test_malformed_soap_12_is_a_sender_fault(soap: Any) -> None:
    """Without an envelope to go by, the media type decides the version of the fault."""
    assert (await refused(soap, "<a>", 400, "Sender", version="1.2")).code == "invalid_request"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le"])
async def test_a_document_type_is_refused_in_any_encoding(soap: Any, encoding: str) -> None:
    """A DOCTYPE is refused before anything in it has an effect (WS-I BP 1.1, R1008)."""
    content = (DOCTYPE + soap.envelope(LIST)).encode(encoding)
    charset = "utf-16" if encoding.startswith("utf-16") else "utf-8"
    fault = await refused(soap, content, 500, content_type=f"text/xml; charset={charset}")
    assert "DOCTYPE" in fault.message


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
async def test_entities_are_never_read(soap: Any, tmp_path: Path, encoding: str) -> None:
    """External files, parameter entities and entities made of entities are refused with their document type."""
    file = secret_file(tmp_path)
    for declaration, text in (
        (f'<!DOCTYPE a [<!ENTITY x SYSTEM "file://{file}">]>', "&x;"),
        (f'<!DOCTYPE a [<!ENTITY % x SYSTEM "file://{file}"> %x;]>', ""),
        (f'<!DOCTYPE a SYSTEM "file://{file}">', ""),
        (LAUGHS + "]>", "&a9;"),
    ):
        body = f'<GetProduct xmlns="urn:licentia:admin:1"><sku>{text}</sku></GetProduct>'
        content = (declaration + soap.envelope(body)).encode(encoding)
        response = await soap.post("admin", content, content_type=f"text/xml; charset={encoding}")
        assert response.status_code in (400, 500)
        assert "secret" not in response.text
        assert soap.fault(response).faultcode == "Client"


async def test_an_unknown_charset_is_415(soap: Any) -> None:
    """A charset that is not of XML's own is refused by name."""
    fault = await refused(soap, soap.envelope(LIST), 415, content_type="text/xml; charset=ebcdic")
    assert fault.code == "unsupported_media_type"


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "", "text/xmlish; charset=utf-8"])
async def test_another_media_type_is_415(soap: Any, content_type: str) -> None:
    """Only the two media types of SOAP are taken (WS-I BP 1.1, R1115)."""
    fault = await refused(soap, soap.envelope(LIST), 415, content_type=content_type)
    assert fault.code == "unsupported_media_type"


@pytest.mark.parametrize(
    ("content_type", "encoding"),
    [
        ("text/xml", "utf-8"),
        ('text/xml; charset="UTF-8"', "utf-8"),
        ("text/xml; charset=utf-8", "utf-8-sig"),
        ("text/xml; charset=utf-16", "utf-16"),
        ("text/xml", "utf-16"),
        ("text/xml; charset=utf-16le", "utf-16-le"),
        ("application/soap+xml; charset=utf-8", "utf-8"),
    ],
)
async def test_utf_8_and_utf_16_are_read(soap: Any, content_type: str, encoding: str) -> None:
    """Both encodings of XML work, with and without a byte order mark (WS-I BP 1.1, R1012, R4001)."""
    fields = "<sku>caf</sku><name>Café ☕</name><items><productCode>1</productCode></items>"
    body = f'<PutProduct xmlns="urn:licentia:admin:1">{fields}</PutProduct>'
    response = await soap.post("admin", soap.envelope(body).encode(encoding), content_type=content_type)
    assert soap.reply(response).findtext("{*}name") == "Café ☕"


async def test_other_methods_are_405(soap: Any) -> None:
    """Only POST calls, and the answer says so (WS-I BP 1.1, R1114)."""
    for method in ("GET", "PUT", "DELETE"):
        response = await soap.http.request(method, "/soap/admin")
        assert (response.status_code, response.headers["allow"]) == (405, "POST")
        assert soap.fault(response).code == "method_not_allowed"


async def test_the_wsdl_is_read_by_get_and_head(soap: Any) -> None:
    """Both descriptions are served in any case of their name; a call may be sent to such an address too."""
    for query in ("wsdl", "WSDL", "wsdl12"):
        response = await soap.http.get(f"/soap/admin?{query}")
        assert (response.status_code, response.headers["content-type"]) == (200, "text/xml; charset=utf-8")
        assert (b"soap12:binding" in response.content) == (query == "wsdl12")
        head = await soap.http.head(f"/soap/admin?{query}")
        assert (head.content, head.headers["content-length"]) == (b"", response.headers["content-length"])
        assert (await soap.http.delete(f"/soap/admin?{query}")).headers["allow"] == "GET, HEAD, POST"
    headers = {"content-type": "text/xml", "authorization": f"Bearer {soap.keys['admin']}"}
    assert (await soap.http.post("/soap/admin?wsdl", content=soap.envelope(LIST), headers=headers)).status_code == 200


async def test_the_limit_holds_by_length_and_in_fact(soap: Any, application: Any) -> None:
    """A body beyond the limit is refused by its Content-Length, and when it is streamed without one."""
    limit = application.settings.body_limit_bytes
    content = soap.envelope(LIST).encode().ljust(limit)
    assert (await soap.post("admin", content)).status_code == 200
    assert (await refused(soap, content + b" ", 413)).code == "payload_too_large"

    async def stream() -> AsyncIterator[bytes]:
        for _ in range(limit // 1024 + 1):
            yield b" " * 1024

    assert (await refused(soap, stream(), 413)).code == "payload_too_large"


async def test_a_gzip_body_is_read(soap: Any) -> None:
    """A packed request works like any other."""
    response = await soap.post("admin", gzip.compress(soap.envelope(LIST).encode()), content_encoding="gzip")
    assert soap.reply(response).tag == "{urn:licentia:admin:1}ListProductsResponse"


async def test_a_gzip_bomb_is_413(soap: Any) -> None:
    """What unpacks beyond the limit is refused at the limit."""
    bomb = gzip.compress(b"\0" * 50_000_000)
    assert len(bomb) < 100_000
    assert (await refused(soap, bomb, 413, content_encoding="gzip")).code == "payload_too_large"


async def test_a_broken_packing_is_refused(soap: Any) -> None:
    """Bytes that are no gzip, half a gzip, two of them, or another coding are refused."""
    packed = gzip.compress(soap.envelope(LIST).encode())
    for content in (b"junk", packed[:-5], packed + packed, os.urandom(100)):
        await refused(soap, content, 400, content_encoding="gzip")
    assert (await refused(soap, packed, 415, content_encoding="br")).code == "unsupported_media_type"


async def test_comments_and_instructions_do_not_count(soap: Any) -> None:
    """Comments and processing instructions vanish without cutting the text around them."""
    body = '<GetProduct xmlns="urn:licentia:admin:1"><!-- a --><sku>no<!-- b -->such<?c d?>one</sku></GetProduct>'
    response = await soap.post("admin", f"<!-- e --><?f?>{soap.envelope(body)}")
    assert soap.fault(response).code == "not_found"


@pytest.mark.parametrize("version", ["1.1", "1.2"])
async def test_one_element_in_the_body(soap: Any, version: str) -> None:
    """No body, an empty one and one with two operations are refused."""
    whole = soap.envelope(LIST, version=version)
    namespace = whole.split('"')[1]
    status, faultcode = (500, "Client") if version == "1.1" else (400, "Sender")
    for content in (
        soap.envelope("", version=version),
        soap.envelope(LIST + LIST, version=version),
        f'<s:Envelope xmlns:s="{namespace}"/>',
        f'<s:Envelope xmlns:s="{namespace}"><s:Header/></s:Envelope>',
        whole.replace("</s:Envelope>", "<s:Body/></s:Envelope>"),
        whole.replace("<s:Body>", "<other/><s:Body>"),
    ):
        assert (await refused(soap, content, status, faultcode, version=version)).code == "invalid_request"


async def test_what_is_no_envelope_is_refused(soap: Any) -> None:
    """A well-formed document of another kind is a client fault."""
    assert "other" in (await refused(soap, "<other/>", 500)).message


@pytest.mark.parametrize("version", ["1.1", "1.2"])
async def test_an_unknown_envelope_is_a_version_mismatch(soap: Any, version: str) -> None:
    """An envelope of an unknown namespace is told so, and which ones are known in SOAP 1.2 (part 1, 5.4.7)."""
    content = f'<Envelope xmlns="urn:soap:9"><Body>{LIST}</Body></Envelope>'
    response = await soap.post("admin", content, version=version)
    assert response.status_code == 500
    assert soap.fault(response).faultcode == "VersionMismatch"
    root = etree.fromstring(response.content)
    supported = root.findall("{*}Header/{*}Upgrade/{*}SupportedEnvelope")
    known = [element.nsmap[element.get("qname").partition(":")[0]] for element in supported]
    assert known == (
        [] if version == "1.1" else [etree.QName(root).namespace, "http://schemas.xmlsoap.org/soap/envelope/"]
    )


@pytest.mark.parametrize(("version", "true", "attribute"), [("1.1", "1", "actor"), ("1.2", "true", "role")])
async def test_a_header_that_must_be_understood(soap: Any, version: str, true: str, attribute: str) -> None:
    """An unknown header is refused if it must be understood here; if it is for another or optional, it is ignored."""
    next_one = {
        "actor": "http://schemas.xmlsoap.org/soap/actor/next",
        "role": "http://www.w3.org/2003/05/soap-envelope/role/next",
    }
    for attributes, expected in (
        (f's:mustUnderstand="{true}"', "MustUnderstand"),
        (f's:mustUnderstand="{true}" s:{attribute}=""', "MustUnderstand"),
        (f's:mustUnderstand="{true}" s:{attribute}="{next_one[attribute]}"', "MustUnderstand"),
        (f's:mustUnderstand="{true}" s:{attribute}="urn:someone:else"', ""),
        ('s:mustUnderstand="0"', ""),
        ("", ""),
    ):
        header = f'<x:Routing xmlns:x="urn:x" {attributes}/>'
        response = await soap.call("admin", "ListProducts", header=header, version=version)
        if not expected:
            assert soap.reply(response) is not None
            continue
        assert response.status_code == 500
        fault = soap.fault(response)
        assert (fault.faultcode, fault.code) == (expected, "")
        names = etree.fromstring(response.content).findall("{*}Header/{*}NotUnderstood")
        assert [(n.get("qname").partition(":")[2], n.nsmap["n"]) for n in names] == (
            [("Routing", "urn:x")] if version == "1.2" else []
        )


async def test_the_version_comes_before_the_headers_and_they_before_the_body(soap: Any) -> None:
    """Several things wrong at once are reported in SOAP's order (WS-I BP 1.1, R2725)."""
    unknown = '<x s:mustUnderstand="1"/>'
    everything = soap.envelope("", unknown).replace("http://schemas", "http://other")
    assert soap.fault(await soap.post("admin", everything)).faultcode == "VersionMismatch"
    assert soap.fault(await soap.post("admin", soap.envelope("", unknown))).faultcode == "MustUnderstand"
    assert soap.fault(await soap.post("admin", soap.envelope(""))).faultcode == "Client"


async def test_the_version_of_the_envelope_decides(soap: Any) -> None:
    """Toolkits mix the media types up: the answer follows the envelope, whatever the Content-Type says."""
    for version, other in (("1.1", "1.2"), ("1.2", "1.1")):
        response = await soap.post("admin", soap.envelope(LIST, version=version), version=other)
        assert etree.QName(etree.fromstring(response.content)).namespace in soap.envelope("", version=version)
        assert response.headers["content-type"].startswith("text/xml" if version == "1.1" else "application/soap+xml")


@pytest.mark.parametrize(
    "action", ["", '""', '"*"', '"urn:licentia:admin:1/ListProducts"', "ListProducts", '"urn:something:else"']
)
async def test_an_action_may_be_loose(soap: Any, action: str) -> None:
    """Toolkits send no action, an empty one or a star; the body says what is called."""
    assert soap.reply(await soap.call("admin", "ListProducts", soapaction=action)) is not None


async def test_an_action_must_not_name_another_operation(soap: Any) -> None:
    """An action that names another operation than the body, in either version, is refused."""
    action = "urn:licentia:admin:1/GetProduct"
    assert "GetProduct" in (await refused(soap, soap.envelope(LIST), 500, soapaction=f'"{action}"')).message
    content_type = f'application/soap+xml; charset=utf-8; action="{action}"'
    content = soap.envelope(LIST, version="1.2")
    assert "GetProduct" in (await refused(soap, content, 400, "Sender", content_type=content_type)).message


async def test_an_unknown_operation_is_told_the_known_ones(soap: Any) -> None:
    """An operation of another service, or none, is refused with the list of those that exist."""
    fault = soap.fault(await soap.call("admin", "CreateOrder"))
    assert fault.code == "invalid_request"
    assert "ListProducts" in fault.message


async def test_the_namespace_of_the_operation_counts(soap: Any) -> None:
    """The right name in another namespace is refused, and the right one named."""
    for body in ("<ListProducts/>", '<ListProducts xmlns="urn:licentia:admin:2"/>'):
        assert "urn:licentia:admin:1" in (await refused(soap, soap.envelope(body), 500)).message


async def test_schema_hints_in_a_message_are_not_followed(soap: Any, tmp_path: Path) -> None:
    """A message cannot bring its own schema."""
    hint = f'xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:schemaLocation="urn:x {secret_file(tmp_path)}"'
    body = f'<ListProducts xmlns="urn:licentia:admin:1" {hint}/>'
    assert soap.reply(await soap.post("admin", soap.envelope(body))) is not None


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_nothing_makes_it_stumble(soap: Any, data: st.DataObject) -> None:
    """Any cut, exchange or doubling of a message's parts is answered by a reply or a fault, never by a failure."""
    message = soap.envelope(
        '<PutProduct xmlns="urn:licentia:admin:1"><sku>a</sku><name>b</name><items><productCode>1</productCode></items>'
        "</PutProduct>",
        '<w:Security xmlns:w="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"/>',
    )
    parts = [part for part in message.replace("<", "\0<").replace(">", ">\0").split("\0") if part]
    junk = st.sampled_from([*parts, "<!--", "]]>", "&x;", "\0", "\ud7ff", "<![CDATA[", ' href="#a"', "<?xml?>"])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(parts) - 1))
        parts[place : place + data.draw(st.integers(0, 2))] = data.draw(st.lists(junk, max_size=2))
        parts = parts or [""]
    response = await soap.post("admin", "".join(parts).encode())
    assert response.status_code in (200, 400, 401, 500)
    if response.status_code != 200:
        assert soap.fault(response).faultcode in {"Client", "VersionMismatch", "MustUnderstand"}
