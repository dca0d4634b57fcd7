"""Each rule for a WSDL: kept by the published ones, and seen where it is broken."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from lxml import etree

from licentia.client.remote import RemoteLicentia
from licentia.client.soapcheck.bodies import PROBES
from licentia.client.soapcheck.description import _difference
from licentia.client.soapcheck.line import SERVICES, Line, Target
from licentia.client.soapcheck.messages import parsed
from licentia.client.soapcheck.raw import goes_by_proxy
from licentia.client.soapcheck.rules import RULES

GOLDEN = Path(__file__).parents[1] / "golden"
SALES = (GOLDEN / "sales.wsdl").read_text("utf-8")
BY_NUMBER = {rule.number: rule for rule in RULES}
TYPES = re.search(r"  <wsdl:types>.*</wsdl:types>\n", SALES, re.DOTALL)[0]  # type: ignore[index]
OPERATION = re.search(r"    <wsdl:operation name=\"GetOrder\">.*?</wsdl:operation>\n", SALES, re.DOTALL)[0]  # type: ignore[index]
BY_HAND = (PROBES["Expect"], PROBES["HTTP/1.0"])
NAMELESS = "a schema without targetNamespace"


def broken(number: str, text: str) -> list[str]:
    """The places where a WSDL breaks a rule."""
    return list(BY_NUMBER[number].look(etree.fromstring(text.encode())))


@pytest.mark.parametrize("service", SERVICES)
def test_the_published_descriptions_keep_every_rule(service: str) -> None:
    """No rule is broken by the WSDLs that the server gives."""
    text = (GOLDEN / f"{service}.wsdl").read_text("utf-8")
    assert {number: places for number in BY_NUMBER if (places := broken(number, text))} == {}


def test_a_rule_has_a_number_and_a_sentence() -> None:
    """The rules are those of the profile, each once, in order, and in plain words."""
    numbers = [rule.number for rule in RULES]
    assert numbers == sorted(set(numbers))
    assert len(numbers) == 15
    assert all(re.fullmatch(r"R\d{4}", rule.number) and rule.sentence.endswith(".") for rule in RULES)


@pytest.mark.parametrize(
    ("number", "old", "new", "place"),
    [
        ("R2023", TYPES, "", None),
        ("R2023", TYPES + "  <wsdl:message", f'  <wsdl:message name="first"/>{TYPES}  <wsdl:message', "wsdl:types"),
        ("R2105", '<xs:schema targetNamespace="urn:licentia:sales:1"', "<xs:schema", NAMELESS),
        ("R2105", "<wsdl:types>", '<wsdl:types><xs:schema><xs:import namespace="urn:x"/></xs:schema>', None),
        (
            "R2110",
            '<xs:restriction base="xs:long"',
            '<xs:restriction xmlns:e="http://schemas.xmlsoap.org/soap/encoding/" base="e:Array"',
            "Count",
        ),
        ("R2112", '<xs:element name="lines"', '<xs:element name="ArrayOfLine"', "ArrayOfLine"),
        ("R2206", 'element="tns:GetOrder"', 'element="tns:Missing"', "GetOrder"),
        ("R2206", 'element="tns:GetOrder"', 'element="xs:GetOrder"', "GetOrder"),
        ("R2304", OPERATION, OPERATION + OPERATION, "GetOrder"),
        ("R2306", 'element="tns:GetOrder"', 'element="tns:GetOrder" type="tns:GetOrder"', "GetOrder"),
        ("R2401", "<soap:binding ", '<x:binding xmlns:x="urn:other" ', "SalesSoap11"),
        ("R2702", "http://schemas.xmlsoap.org/soap/http", "urn:jms", "SalesSoap11"),
        ("R2706", '<soap:body use="literal"/>', '<soap:body use="encoded"/>', "CreateOrder"),
        ("R2706", '<soap:body use="literal"/>', "<soap:body/>", None),
        ("R2710", 'element="tns:GetOrder"', 'element="tns:CreateOrder"', "{urn:licentia:sales:1}CreateOrder"),
        ("R2716", '<soap:body use="literal"/>', '<soap:body use="literal" namespace="urn:x"/>', "CreateOrder"),
        ("R2718", OPERATION, "", "SalesSoap11"),
        ("R2721", '<soap:fault name="LicensingFault"', "<soap:fault", "LicensingFault"),
        ("R2754", '<soap:fault name="LicensingFault"', '<soap:fault name="Another"', "CreateOrder"),
    ],
)
def test_a_broken_rule_is_seen(number: str, old: str, new: str, place: str | None) -> None:
    """A change that breaks a rule is found at its place; one that keeps it is let be."""
    assert old in SALES
    places = broken(number, SALES.replace(old, new, 1))
    assert (place in places) if place else not places, places


@pytest.mark.parametrize(
    ("url", "service", "base", "services"),
    [
        ("https://x", None, "https://x", SERVICES),
        ("https://x/", None, "https://x", SERVICES),
        ("https://x:8/a/b/", "depot", "https://x:8/a/b", ("depot",)),
        ("https://x/soap", None, "https://x", SERVICES),
        ("https://x/a/soap/sales?wsdl", None, "https://x/a", ("sales",)),
        ("https://x/soap/sales/", "sales", "https://x", ("sales",)),
    ],
)
def test_any_address_of_the_server_will_do(url: str, service: str | None, base: str, services: tuple[str, ...]) -> None:
    """The base address, that of a service and that of a WSDL all mean the same server."""
    assert Target.of(url, service) == Target(base, services)


@pytest.mark.parametrize(("url", "service"), [("https://x/soap/shop", None), ("https://x/soap/sales", "depot")])
def test_a_contradiction_is_refused(url: str, service: str | None) -> None:
    """A service that is not there, or another one than asked for, is an error."""
    with pytest.raises(ValueError, match=r"service|asked for"):
        Target.of(url, service)


@pytest.mark.parametrize(
    ("read", "named", "word"),
    [
        ("https://x/soap/a", "https://x:443/soap/a", ""),
        ("http://x:80/soap/a", "http://X/soap/a", ""),
        ("https://x/soap/a", "http://x/soap/a", "TLS"),
        ("https://x/soap/a", "http://127.0.0.1:8400/soap/a", "Host"),
        ("https://x:8443/soap/a", "https://x/soap/a", "port"),
        ("https://x/b/soap/a", "https://x/soap/a", "path"),
    ],
)
def test_the_cause_of_a_wrong_address_is_told(read: str, named: str, word: str) -> None:
    """Host, TLS, port and path are told apart; a default port is no difference."""
    assert word in _difference(urlsplit(read), urlsplit(named))
    assert bool(word) == bool(_difference(urlsplit(read), urlsplit(named)))


def test_a_proxy_of_this_computer_writes_requests_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written by hand would pass by a proxy in the environment; loopback never goes there."""
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    for address, expected in (("http://licenses.example.com", True), ("http://127.0.0.1:1", False)):
        with RemoteLicentia(address) as licentia:
            line = Line(licentia, "sales")
            assert goes_by_proxy(line) == expected
            if expected:
                assert [probe(line).state for probe in BY_HAND] == ["skipped", "skipped"]


@pytest.mark.parametrize(
    "content", [b"", b"<a", b"<!DOCTYPE a><a/>", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', b"\xff"]
)
def test_what_a_stranger_sends_is_read_safely(content: bytes) -> None:
    """No document, one with a document type, and no text at all are all no document."""
    assert parsed(content) is None
