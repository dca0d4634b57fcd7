"""ORDERS05: orders as SAP has sent them for decades, one or more IDocs in an XML document.

Segments, fields and qualifiers are those of the IDoc type ORDERS05 (transaction WE60); the action codes
are the fixed values of the fields E1EDK01-ACTION and E1EDP01-ACTION.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from decimal import Decimal

from lxml import etree

from licentia.connectors import Change, ChangeKind, Customer, Line
from licentia.errors import DocumentInvalid, InvalidRequest
from licentia.xmlreading import read_xml
from licentia_integrations.incoming import LONGEST_ID, customer, identifier, quantity
from licentia_integrations.remote import odd
from licentia_integrations.sap.settings import SapSettings
from licentia_integrations.shops import numbers

MAX_BYTES = 8 * 1024 * 1024
ROOT = re.compile(r"ORDERS0[1-5]|(ORDERS|ORDCHG|ORDRSP)(\.ORDERS0[1-5])?")
EXTENDED = re.compile(r"ORDERS0[1-5]")
"""The type that a company has extended; its root is called by the extension then."""

ORDER_CANCELLED = ITEM_CANCELLED = "003"
ORDER_CHANGED = "004"
ITEM_RETURNED = "093"
SELLERS, EANS, BUYERS = "002", "003", "001"
"""Whose article number it is; the seller's is the one that licenses are known by."""

LARGEST = 2**63 - 1


def read_idocs(body: bytes) -> list[etree._Element]:
    """The IDocs of a document.

    Raises:
        InvalidRequest: it is no XML, or holds no orders.
    """
    try:
        root = read_xml(body, max_bytes=MAX_BYTES, max_depth=32)
    except DocumentInvalid as error:
        raise InvalidRequest(error.detail) from None
    for element in root.iter():
        element.tag = etree.QName(element).localname  # SAP writes no namespaces, middleware sometimes does
    inner = root.find("Body/*") if root.tag == "Envelope" else None  # SAP's port XML HTTP can put it into SOAP
    root = root if inner is None else inner
    found = root.findall("IDOC")
    if not found or not (ROOT.fullmatch(root.tag) or all(_extends(each, root.tag) for each in found)):
        raise odd("it is no IDoc of the type ORDERS05")
    return found


def _extends(idoc: etree._Element, name: str) -> bool:
    """Whether an IDoc is an extension of this name of a type of orders."""
    basic = EXTENDED.fullmatch(_text(idoc, "EDI_DC40/IDOCTYP"))
    return bool(basic) and _text(idoc, "EDI_DC40/CIMTYP") == name


def identity(idoc: etree._Element) -> str:
    """What is the same when an IDoc is sent again: its sender and its number."""
    return f"{_text(idoc, 'EDI_DC40/SNDPRN')}/{_text(idoc, 'EDI_DC40/DOCNUM')}"


def changes(idoc: etree._Element, settings: SapSettings) -> tuple[Change, ...]:
    """What an IDoc means: an order as it is, or what is changed, cancelled or returned of it; nothing if it is held."""
    change = _change(idoc, settings.return_types)
    held = settings.hold_blocked and _text(idoc, "E1EDK01/LIFSK") and change.kind != "cancelled"
    return () if held else (change,)


def _change(idoc: etree._Element, return_types: Collection[str]) -> Change:
    action, items = _text(idoc, "E1EDK01/ACTION"), idoc.findall("E1EDP01")
    partial = action == ORDER_CHANGED or "ORDCHG" in _text(idoc, "EDI_DC40/MESTYP")
    back = [_text(item, "ACTION") == ITEM_RETURNED for item in items]
    kind: ChangeKind = "changed" if partial else "placed"
    if action == ORDER_CANCELLED:
        kind = "cancelled"
    elif _text(idoc, "E1EDK01/BSART") in return_types or (back and all(back)):
        kind = "returned"
    elif any(back):
        raise odd("one IDoc both orders and returns")
    return Change(
        kind=kind,
        order_number=identifier(_text(idoc, "E1EDK01/BELNR") or _reference(idoc, "001"), "The order's number (BELNR)"),
        version=_version(idoc),
        full_snapshot=not partial,
        customer=_customer(idoc),
        lines=tuple(_line(item) for item in items),
        origin=_reference(idoc, "006", "002") or None if kind == "returned" else None,
        test=_text(idoc, "EDI_DC40/TEST") == "X",
    )


def _line(item: etree._Element) -> Line:
    line_id = identifier(_text(item, "POSEX"), "A line's number (POSEX)")
    told = item.findall("E1EDP19")
    article = {_text(each, "QUALF"): _text(each, "IDTNR_LONG") or _text(each, "IDTNR") for each in told}
    known = [article.get(each, "") for each in (SELLERS, EANS, BUYERS)]
    known.append(_text(item, "MATNR_LONG") or _text(item, "MATNR"))
    shown = [number.lstrip("0") for number in known if number.isdigit()]
    all_known = numbers(*known, *shown)
    gone = _text(item, "ACTION") == ITEM_CANCELLED or _text(item, "ABGRU")
    return Line(
        line_id=line_id,
        sku=all_known[0] if all_known else "",
        quantity=Decimal(0) if gone else quantity(_text(item, "MENGE").rstrip("-"), f"The quantity of line {line_id}"),
        alternatives=all_known[1:],
    )


def _customer(idoc: etree._Element) -> Customer | None:
    """The sold-to party (AG)."""
    for party in idoc.findall("E1EDKA1"):
        if _text(party, "PARVW") == "AG":
            return customer(_text(party, "PARTN") or _text(party, "LIFNR"), _text(party, "NAME1"), None)
    return None


def _reference(idoc: etree._Element, *qualifiers: str) -> str:
    found = {_text(each, "QUALF"): _text(each, "BELNR") for each in idoc.findall("E1EDK02")}
    return next((found[each] for each in qualifiers if found.get(each)), "")


def _version(idoc: etree._Element) -> int:
    """The serialization number, which SAP makes of the time; else when the IDoc was made, in the same form."""
    created = _text(idoc, "EDI_DC40/CREDAT") + _text(idoc, "EDI_DC40/CRETIM")
    for text in (_text(idoc, "EDI_DC40/SERIAL"), created):
        if text.isascii() and text.isdigit() and 0 < int(text[:20]) <= LARGEST and len(text) <= 20:
            return int(text)
    return 0


def _text(element: etree._Element, path: str) -> str:
    text = (element.findtext(path) or "").strip()
    if len(text) > LONGEST_ID:
        raise odd(f"{path} is longer than {LONGEST_ID} characters")
    return text
