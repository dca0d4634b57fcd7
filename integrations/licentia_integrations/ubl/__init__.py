"""ubl: orders as UBL 2.x documents, among them Peppol BIS Ordering 3.

An access point, an EDI service or a script hands over the document that a buyer sent: an Order, an OrderChange
or an OrderCancellation. The reply is an OrderResponse with the ticket in its note.
"""

from __future__ import annotations

from decimal import Decimal

from lxml import etree

from licentia.connectors import Answer, Change, Customer, Delivery, Line, Outcome
from licentia.errors import DocumentInvalid, InvalidRequest
from licentia.xmlreading import read_xml
from licentia_integrations.edi import EdiConnector
from licentia_integrations.incoming import customer, identifier, label, quantity
from licentia_integrations.ubl.names import NS, SCHEMA, texts
from licentia_integrations.ubl.response import order_response

ENVELOPE = "{http://www.unece.org/cefact/namespaces/StandardBusinessDocumentHeader}StandardBusinessDocument"
MAX_NODES = 50_000
"""Some 5000 lines; they are read in a quarter of a second, in which the server waits."""

CANCELLED = frozenset({"2", "cancelled"})
"""`LineStatusCode` of a line that is gone: in Peppol's list, and in UBL's."""

NUMBERS = (
    "cac:SellersItemIdentification/cbc:ID",
    "cac:StandardItemIdentification/cbc:ID",
    "cac:BuyersItemIdentification/cbc:ID",
    "cac:ManufacturersItemIdentification/cbc:ID",
)
"""Where an article's numbers are; the first is the seller's own."""


class Ubl(EdiConnector):
    """Settings: `secret`, which the sender shows; `complete_changes` and `qualify` say how its documents are meant."""

    def _normalise(self, delivery: Delivery) -> tuple[Change, ...]:
        document = _document(delivery.body)
        buyer = _buyer(document)
        match etree.QName(document).localname:
            case "Order":
                number = self._number(document, "cbc:ID", buyer)
                lines = _lines(document)
                return (Change(kind="placed", order_number=number, full_snapshot=True, customer=buyer, lines=lines),)
            case "OrderChange":
                return (
                    Change(
                        kind="changed",
                        order_number=self._number(document, "cac:OrderReference/cbc:ID", buyer),
                        version=_sequence(document),
                        full_snapshot=self._given.complete_changes,
                        customer=buyer,
                        lines=_lines(document),
                    ),
                )
            case "OrderCancellation":
                number = self._number(document, "cac:OrderReference/cbc:ID", buyer)
                return (Change(kind="cancelled", order_number=number, customer=buyer),)
        return ()

    def _answer(self, delivery: Delivery, outcomes: tuple[Outcome, ...]) -> Answer:
        try:
            document = _document(delivery.body)
            if etree.QName(document).localname not in ("Order", "OrderChange"):
                return Answer(status=204)
            body = order_response(document, outcomes, delivery.received_at)
        except InvalidRequest as refusal:
            return Answer(status=400, body=refusal.detail.encode())
        return Answer(status=200, body=body, media_type="application/xml")

    def _number(self, document: etree._Element, path: str, buyer: Customer | None) -> str:
        number = identifier(next(texts(document, path), ""), f"{etree.QName(document).localname}/{path}")
        return identifier(f"{buyer.id}/{number}" if self._given.qualify and buyer else number, "The order's number")


def _document(body: bytes) -> etree._Element:
    """The root of the UBL document, without the envelope in which Peppol carries it."""
    try:
        root = read_xml(body, max_nodes=MAX_NODES)
    except DocumentInvalid as refusal:
        raise InvalidRequest(refusal.detail, help="Send the document as the buyer sent it.") from None
    if root.tag == ENVELOPE:
        root = next((each for each in root if str(each.tag).startswith(f"{{{SCHEMA}")), root)
    name = etree.QName(root)
    if name.namespace != f"{SCHEMA}{name.localname}-2":
        raise InvalidRequest("This is no document of UBL 2.")
    return root


def _buyer(document: etree._Element) -> Customer | None:
    """The buyer; Peppol knows it by its endpoint, as `0088:7300010000001`."""
    buyer = document.find("cac:BuyerCustomerParty", NS)
    party = None if buyer is None else buyer.find("cac:Party", NS)
    if buyer is None or party is None:
        return None
    ids = [
        f"{found.get('schemeID')}:{text}" if path == "cbc:EndpointID" and found.get("schemeID") else text
        for path in ("cbc:EndpointID", "cac:PartyIdentification/cbc:ID", "cac:PartyLegalEntity/cbc:CompanyID")
        for found in party.iterfind(path, NS)
        if (text := (found.text or "").strip())
    ]
    names = texts(party, "cac:PartyName/cbc:Name", "cac:PartyLegalEntity/cbc:RegistrationName", "cac:Contact/cbc:Name")
    name = next(names, "")
    ids += texts(buyer, "cbc:SupplierAssignedAccountID", "cbc:CustomerAssignedAccountID")
    return customer(next(iter(ids), "") or name[:200], name, next(texts(party, "cac:Contact/cbc:ElectronicMail"), ""))


def _sequence(document: etree._Element) -> int:
    """Which change of the order this is; 0 if it is not told in digits."""
    told = next(texts(document, "cbc:SequenceNumberID"), "")
    return int(told) if told.isascii() and told.isdigit() and len(told) <= 18 else 0


def _lines(document: etree._Element) -> tuple[Line, ...]:
    return tuple(map(_line, document.iterfind("cac:OrderLine/cac:LineItem", NS)))


def _line(item: etree._Element) -> Line:
    line_id = identifier(next(texts(item, "cbc:ID"), ""), "A line's id")
    status = next(texts(item, "cbc:LineStatusCode"), "").lower()
    given = next(texts(item, "cbc:Quantity"), "")
    seller, *others = (next(texts(item, f"cac:Item/{path}"), "") for path in NUMBERS)
    others = [each for each in dict.fromkeys(others) if each and each != seller]
    if not (seller or others):
        others = [name for each in texts(item, "cac:Item/cbc:Name") if (name := label(each))][:1]
    properties = item.iterfind("cac:Item/cac:AdditionalItemProperty", NS)
    options = {next(texts(each, "cbc:Name"), ""): next(texts(each, "cbc:Value"), "") for each in properties}
    return Line(
        line_id=line_id,
        sku=identifier(seller, "An article number") if seller else "",
        quantity=Decimal(0) if status in CANCELLED else quantity(given, f"The quantity of line {line_id}"),
        alternatives=tuple(identifier(each, "An article number") for each in others),
        options={name: value for name, value in options.items() if name},
    )
