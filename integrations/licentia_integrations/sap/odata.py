"""Sales orders and returns as the OData V2 services API_SALES_ORDER_SRV and API_CUSTOMER_RETURN_SRV answer them.

Version 2 of OData wraps everything into `d`, writes times as `/Date(ms)/` and decimals as texts, and puts
`__deferred` in the place of what was not asked for.
"""

from __future__ import annotations

import re
from decimal import Decimal

import msgspec

from licentia.connectors import Change, ChangeKind, Line, Short
from licentia_integrations.incoming import customer, identifier
from licentia_integrations.remote import odd
from licentia_integrations.sap.settings import SapSettings
from licentia_integrations.shops import counted, milliseconds, numbers

DATE = re.compile(r"/Date\((-?\d{1,15})([+-]\d{4})?\)/")
ALL_REJECTED = "C"
CREDIT_REFUSED = ("B", "C")

ROOT = "sap/opu/odata/sap/"
SETS = {
    "SalesOrder": f"{ROOT}API_SALES_ORDER_SRV/A_SalesOrder",
    "CustomerReturn": f"{ROOT}API_CUSTOMER_RETURN_SRV/A_CustomerReturn",
}
"""Where the documents of each kind are."""

WITH_ITEMS = "$expand=to_Item&$format=json"

Text = Short | None


class Item(msgspec.Struct):
    """A line of either document."""

    SalesOrderItem: Text = None
    CustomerReturnItem: Text = None
    Material: Text = None
    OriginallyRequestedMaterial: Text = None
    MaterialByCustomer: Text = None
    RequestedQuantity: Decimal | None = None
    SalesDocumentRjcnReason: Text = None
    ReferenceSDDocumentItem: Text = None

    def line(self) -> Line:
        """The line of a change; one that is rejected has nothing left."""
        own = self.CustomerReturnItem or self.SalesOrderItem
        original = (self.ReferenceSDDocumentItem or "").lstrip("0") if self.CustomerReturnItem else ""
        known = numbers(self.Material, self.OriginallyRequestedMaterial, self.MaterialByCustomer)
        line_id = identifier(original or own, "A line's number")
        told = counted(self.RequestedQuantity, f"line {line_id}")
        return Line(
            line_id=line_id,
            sku=known[0] if known else "",
            quantity=Decimal(0) if self.SalesDocumentRjcnReason else told,
            alternatives=known[1:],
        )


class Items(msgspec.Struct):
    """Lines, or their address only."""

    results: list[Item] | None = None


class Document(msgspec.Struct):
    """A sales order or a return."""

    SalesOrder: Text = None
    CustomerReturn: Text = None
    SalesOrderType: Text = None
    CustomerReturnType: Text = None
    SoldToParty: Text = None
    LastChangeDateTime: Text = None
    LastChangeDate: Text = None
    CreationDate: Text = None
    ReferenceSDDocument: Text = None
    OverallSDDocumentRejectionSts: Text = None
    DeliveryBlockReason: Text = None
    TotalCreditCheckStatus: Text = None
    items: Items | list[Item] | None = msgspec.field(name="to_Item", default=None)

    def changes(self, settings: SapSettings, pointer: str) -> tuple[Change, ...]:
        """What the document means; without its lines, where to ask for them."""
        entity = "CustomerReturn" if self.CustomerReturn else "SalesOrder"
        number = identifier(self.CustomerReturn or self.SalesOrder, f"The document's {entity}")
        version = next(filter(None, map(date, (self.LastChangeDateTime, self.LastChangeDate, self.CreationDate))), 0)
        items = self.items.results if isinstance(self.items, Items) else self.items
        if items is None:
            if pointer:
                raise odd("SAP has left out the lines of the document")
            return (Change(kind="pointer", pointer=f"{entity}/{number}", order_number=number, version=version),)
        kind = self._kind(settings)
        if kind is None:
            return ()
        return (
            Change(
                kind=kind,
                order_number=number,
                version=version,
                full_snapshot=True,
                customer=customer(self.SoldToParty, None, None),
                lines=tuple(each.line() for each in items),
                origin=(self.ReferenceSDDocument or None) if kind == "returned" else None,
            ),
        )

    def _kind(self, settings: SapSettings) -> ChangeKind | None:
        if self.OverallSDDocumentRejectionSts == ALL_REJECTED:
            return "cancelled"
        if settings.hold_blocked and (self.DeliveryBlockReason or self.TotalCreditCheckStatus in CREDIT_REFUSED):
            return None
        kind = self.CustomerReturnType or self.SalesOrderType
        return "returned" if self.CustomerReturn or kind in settings.return_types else "placed"


class Wrapped(Document):
    """One document, or several."""

    results: list[Document] | None = None

    def documents(self) -> list[Document]:
        """Each document."""
        return [self] if self.results is None else self.results


def date(text: str | None) -> int:
    """A time of OData V2 or V4 in milliseconds since 1970; 0 if there is none. V2 has an offset for display only."""
    told = DATE.fullmatch(text or "")
    return max(0, int(told[1])) if told else milliseconds(text)
