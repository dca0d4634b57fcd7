"""Every refusal of the contract as a fault: its code, whom it blames, and its HTTP status."""

from __future__ import annotations

import pytest
from lxml import etree

from licentia.errors import FieldProblem, LicensingError, catalogue
from licentia_gateways.soap.description import xml_schema
from licentia_gateways.soap.envelope import SOAP11, SOAP12, Version
from licentia_gateways.soap.faults import fault, status_of

SCHEMA = etree.XMLSchema(etree.fromstring(xml_schema("licensing")))


@pytest.mark.parametrize("version", [SOAP11, SOAP12], ids=["1.1", "1.2"])
@pytest.mark.parametrize("error", catalogue().values(), ids=list(catalogue()))
def test_every_code_travels_in_a_fault(error: type[LicensingError], version: Version) -> None:
    """The typed detail is as the schema says and carries the code, the message, the help and the pointers."""
    refusal = error('<&> \x00 "', problems=[FieldProblem("/a/0", "wrong & odd"), FieldProblem("/b", "too")])
    root = etree.fromstring(fault(refusal, version, "licensing"))
    assert root.tag == f"{{{version.namespace}}}Envelope"
    (holder,) = root.findall(".//detail") + root.findall(".//{*}Detail")
    (typed,) = holder
    assert SCHEMA.validate(typed), SCHEMA.error_log
    texts = {etree.QName(child).localname: child.text for child in typed}
    assert (texts["code"], texts["message"], texts["help"]) == (error.code, '<&> \ufffd "', error.help)
    assert [problem.findtext("{*}pointer") for problem in typed.iterfind("{*}errors")] == ["/a/0", "/b"]


@pytest.mark.parametrize("error", catalogue().values(), ids=list(catalogue()))
def test_who_is_to_blame(error: type[LicensingError]) -> None:
    """The sender is to blame for all but a server's own failure; SOAP 1.1 answers 500 to both (section 6.2)."""
    by_sender = error.status < 500
    kept = error.status in (405, 413, 415)
    for version, blame, status in (
        (SOAP11, "Client" if by_sender else "Server", 500),
        (SOAP12, "Sender" if by_sender else "Receiver", 400 if by_sender else 500),
    ):
        root = etree.fromstring(fault(error("why"), version, "sales"))
        code = root.findtext(".//faultcode") or root.findtext(".//{*}Code/{*}Value")
        assert code == f"soap:{blame}"
        assert status_of(error("why"), version) == (error.status if kept else status)
