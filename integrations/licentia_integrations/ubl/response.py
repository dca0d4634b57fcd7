"""The OrderResponse that goes back for an Order or an OrderChange (Peppol BIS Ordering 3, transaction T76)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from lxml import etree

from licentia.connectors import Outcome
from licentia_integrations.ubl.names import NS, SCHEMA, texts

ACKNOWLEDGED, ACCEPTED, REJECTED = "AB", "AP", "RE"
"""Codes of UNCL 4343: received and not decided yet, accepted, rejected."""

PEPPOL = "urn:fdc:peppol.eu:poacc:"
ADVANCED = f"{PEPPOL}bis:advanced_ordering:3"
ROOT = f"{SCHEMA}OrderResponse-2"


def order_response(document: etree._Element, outcomes: Sequence[Outcome], at: datetime) -> bytes:
    """The response to an order or a change of one.

    Args:
        document: what it responds to; who sells, who buys and the profile are taken from there.
        outcomes: a ticket makes it accepted, a problem rejected, and neither acknowledged; the note tells which.
        at: when the order came, which is when it is answered.
    """
    problems = [each.problem for each in outcomes if each.problem]
    tickets = list(dict.fromkeys(each.ticket for each in outcomes if each.ticket))
    code = REJECTED if problems else ACCEPTED if tickets else ACKNOWLEDGED
    reference = "cac:OrderReference/cbc:ID" if etree.QName(document).localname == "OrderChange" else "cbc:ID"
    profile = next(texts(document, "cbc:ProfileID"), "")
    form = "order_response_advanced" if profile == ADVANCED else "order_response"
    spaces: dict[Any, str] = {None: ROOT, **NS}
    root = etree.Element(f"{{{ROOT}}}OrderResponse", nsmap=spaces)
    if profile.startswith(PEPPOL):
        _add(root, "cbc:CustomizationID", f"{PEPPOL}trns:{form}:3")
    if profile:
        _add(root, "cbc:ProfileID", profile)
    _add(root, "cbc:ID", f"{next(texts(document, 'cbc:ID'), '')}-response")
    _add(root, "cbc:IssueDate", f"{at:%Y-%m-%d}")
    _add(root, "cbc:OrderResponseCode", code)
    if note := " ".join(problems) or (tickets and f"License ticket: {', '.join(tickets)}"):
        _add(root, "cbc:Note", _printable(note))
    for currency in texts(document, "cbc:DocumentCurrencyCode"):
        _add(root, "cbc:DocumentCurrencyCode", currency)
    _add(_add(root, "cac:OrderReference"), "cbc:ID", next(texts(document, reference), ""))
    if etree.QName(document).localname == "OrderChange":
        _add(_add(root, "cac:OrderChangeDocumentReference"), "cbc:ID", next(texts(document, "cbc:ID"), ""))
    for role in ("cac:SellerSupplierParty", "cac:BuyerCustomerParty"):
        party = document.find(f"{role}/cac:Party", NS)
        if party is not None:
            _add_party(_add(_add(root, role), "cac:Party"), party)
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True, pretty_print=True)


def _add_party(target: etree._Element, party: etree._Element) -> None:
    """What Peppol's response says of a party: its endpoint, its first id and its registered name."""
    for parent, path in ((target, "cbc:EndpointID"), (None, "cac:PartyIdentification/cbc:ID")):
        found = party.find(path, NS)
        if found is not None and (found.text or "").strip():
            holder = _add(target, "cac:PartyIdentification") if parent is None else parent
            _add(holder, f"cbc:{etree.QName(found).localname}", (found.text or "").strip()).attrib.update(found.attrib)
    for name in texts(party, "cac:PartyLegalEntity/cbc:RegistrationName", "cac:PartyName/cbc:Name"):
        _add(_add(target, "cac:PartyLegalEntity"), "cbc:RegistrationName", name)
        break


def _add(parent: etree._Element, name: str, text: str | None = None) -> etree._Element:
    prefix, _, local = name.partition(":")
    child = etree.SubElement(parent, f"{{{NS[prefix]}}}{local}")
    child.text = text
    return child


def _printable(text: str) -> str:
    """The text without the characters that XML 1.0 has no way to write."""
    return "".join(each for each in text if each.isprintable())
