"""Business Central: notifications of webhooks, and sales documents of its API v2.0.

A notification names a record, or a query where more than a thousand changed at once. The forms are those
of learn.microsoft.com, "Working with webhooks in Dynamics 365 Business Central", and of the API's reference.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from decimal import Decimal

import msgspec

from licentia.connectors import Change, ChangeKind, Line, Short
from licentia_integrations.dynamics.settings import DynamicsSettings
from licentia_integrations.incoming import customer
from licentia_integrations.remote import odd
from licentia_integrations.shops import counted, milliseconds, numbers, required

LINES = {
    "salesOrders": "salesOrderLines",
    "salesInvoices": "salesInvoiceLines",
    "salesCreditMemos": "salesCreditMemoLines",
}
"""The collections that are about orders, and what holds their lines."""

GUID = r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
RESOURCE = re.compile(
    r"/?api/(v[12]\.0|beta)"
    rf"(?P<path>/companies\({GUID}\)/(?P<entity>{'|'.join(LINES)})(?P<one>\({GUID}\))?)"
    r"(\?\$filter=(?P<filter>[A-Za-z0-9%.:_ +-]{1,500}))?"
)
MAX_NOTIFICATIONS = 2000
COMMENTS = ("Comment", "", " ")


class Notification(msgspec.Struct):
    """What has happened to one record, or to those that a query finds."""

    resource: str
    changeType: str  # noqa: N815 - the field's name
    clientState: str | None = None  # noqa: N815
    lastModifiedDateTime: str | None = None  # noqa: N815

    def identity(self) -> str:
        """What is the same when the notification is sent again."""
        return f"{self.resource}\n{self.changeType}\n{self.lastModifiedDateTime}"

    def change(self, entities: Collection[str]) -> Change | None:
        """Where to ask. A document that is gone means nothing: an order that is invoiced is deleted, too."""
        found = RESOURCE.fullmatch(self.resource)
        if found is None or found["entity"] not in entities or self.changeType == "deleted":
            return None
        if (found["one"] is None) != (self.changeType == "collection"):
            raise odd("a notification names neither one record nor a collection")
        query = f"?$filter={found['filter']}" if found["filter"] else ""
        version = milliseconds(self.lastModifiedDateTime)
        return Change(kind="pointer", pointer=f"api/v2.0{found['path']}{query}", version=version)


class Notifications(msgspec.Struct):
    """What one call says."""

    value: list[Notification]


class Item(msgspec.Struct):
    """A line; `sequence` is its number within the document."""

    id: Short | None = None
    sequence: int | None = None
    lineType: Short | None = None  # noqa: N815
    lineObjectNumber: Short | None = None  # noqa: N815
    itemId: Short | None = None  # noqa: N815
    itemVariantId: Short | None = None  # noqa: N815
    quantity: Decimal | None = None

    def line(self) -> Line:
        """The line of a change."""
        known = numbers(self.lineObjectNumber, self.itemId)
        line_id = required(self.id or self.sequence, "A line's id")
        variant = self.itemVariantId if self.itemVariantId and set(self.itemVariantId) - set("0-") else None
        return Line(
            line_id=line_id,
            sku=known[0] if known else "",
            quantity=counted(self.quantity, f"line {line_id}"),
            alternatives=known[1:],
            options={"variant": variant[:200]} if variant else {},
        )


class Document(msgspec.Struct):
    """A sales order, an invoice or a credit memo."""

    number: Short | None = None
    status: Short | None = None
    customerId: Short | None = None  # noqa: N815
    customerNumber: Short | None = None  # noqa: N815
    customerName: str | None = None  # noqa: N815
    email: str | None = None
    lastModifiedDateTime: Short | None = None  # noqa: N815
    orderDate: Short | None = None  # noqa: N815
    creditMemoDate: Short | None = None  # noqa: N815
    orderNumber: Short | None = None  # noqa: N815
    invoiceNumber: Short | None = None  # noqa: N815
    orders: list[Item] | None = msgspec.field(name="salesOrderLines", default=None)
    invoices: list[Item] | None = msgspec.field(name="salesInvoiceLines", default=None)
    memos: list[Item] | None = msgspec.field(name="salesCreditMemoLines", default=None)

    def changes(self, settings: DynamicsSettings) -> tuple[Change, ...]:
        """What the document means; nothing if it is a draft, or the invoice of an order that is told itself."""
        number, entity = required(self.number, "The document's number"), self._entity()
        if entity not in settings.entities or (
            entity == "salesInvoices" and self.orderNumber and "salesOrders" in settings.entities
        ):
            return ()
        kind = self._kind(entity, settings.placed_statuses)
        if kind is None:
            return ()
        items = next((each for each in (self.orders, self.invoices, self.memos) if each is not None), None)
        return (
            Change(
                kind=kind,
                order_number=number,
                version=milliseconds(self.lastModifiedDateTime),
                full_snapshot=items is not None,
                customer=customer(self.customerNumber or self.customerId, self.customerName, self.email),
                lines=tuple(each.line() for each in items or () if each.lineType not in COMMENTS),
                origin=(self.invoiceNumber or None) if kind == "returned" else None,
            ),
        )

    def _entity(self) -> str:
        if self.memos is not None or self.creditMemoDate:
            return "salesCreditMemos"
        ordered = self.orders is not None or (self.orderDate is not None and self.invoices is None)
        return "salesOrders" if ordered else "salesInvoices"

    def _kind(self, entity: str, placed: Collection[str]) -> ChangeKind | None:
        if self.status in ("Canceled", "Cancelled"):
            return "cancelled"
        if self.status not in placed:
            return None
        return "returned" if entity == "salesCreditMemos" else "placed"


class Documents(Document):
    """One document, or those that a query finds."""

    value: list[Document] | None = None
    next: str | None = msgspec.field(name="@odata.nextLink", default=None)

    def documents(self) -> list[Document]:
        """Each document."""
        return [self] if self.value is None else self.value
