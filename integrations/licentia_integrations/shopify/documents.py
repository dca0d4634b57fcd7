"""Orders and refunds as the Admin API of Shopify writes them, and what they mean.

Fields are those of shopify.dev/docs/api/admin-rest, resources Order and Refund, which webhooks share.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from licentia.connectors import Change, ChangeKind, Customer, Line
from licentia_integrations.incoming import customer
from licentia_integrations.shops import Id, Sku, counted, id_text, milliseconds, numbers, options_of, required

KINDS: dict[str, ChangeKind] = {
    "paid": "placed",
    "partially_refunded": "placed",
    "refunded": "returned",
    "voided": "cancelled",
}
"""What a financial status means; the others, as `pending` and `authorized`, mean that not all is paid."""


class Wrapped(msgspec.Struct):
    """What tells one document from another. The API answers each in an object of its kind, a webhook sends it bare."""

    order: msgspec.Raw = msgspec.Raw()
    refund: msgspec.Raw = msgspec.Raw()
    draft_order: msgspec.Raw = msgspec.Raw()
    fulfillment: msgspec.Raw = msgspec.Raw()
    order_edit: msgspec.Raw = msgspec.Raw()
    refund_line_items: msgspec.Raw = msgspec.Raw()
    financial_status: msgspec.Raw = msgspec.Raw()

    def is_other(self) -> bool:
        """Whether it becomes an order, or follows from one, and the order itself is sent as well."""
        return any(bytes(each) for each in (self.draft_order, self.fulfillment, self.order_edit))

    def is_refund(self) -> bool:
        """Whether it is a refund."""
        return bool(bytes(self.refund) or bytes(self.refund_line_items))

    def is_order(self) -> bool:
        """Whether it is an order."""
        return bool(bytes(self.order) or bytes(self.financial_status))


class Property(msgspec.Struct):
    """What a buyer chose with a line."""

    name: str | None = None
    value: Any = None


class Item(msgspec.Struct):
    """A line; `quantity` is what was ordered, whatever was refunded since."""

    id: Id | None = None
    quantity: Decimal | None = None
    sku: Sku | None = None
    product_id: Id | None = None
    variant_id: Id | None = None
    variant_title: str | None = None
    properties: list[Property] | None = None

    def line(self, line_id: str, quantity: Decimal | None) -> Line:
        """The line of a change."""
        chosen = {each.name: each.value for each in self.properties or () if each.name and each.name[0] != "_"}
        return Line(
            line_id=line_id,
            sku=self.sku or "",
            quantity=counted(quantity, f"line {line_id}"),
            alternatives=numbers(self.variant_id, self.product_id),
            options=options_of({"variant": self.variant_title, **chosen}),
        )


class Buyer(msgspec.Struct):
    """A customer of the shop."""

    id: Id | None = None
    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None


class Address(msgspec.Struct):
    """Where the bill goes."""

    name: str | None = None
    company: str | None = None


class Deleted(msgspec.Struct):
    """What is left of a deleted order."""

    id: Id | None = None


class Document(msgspec.Struct):
    """An order."""

    line_items: list[Item]
    id: Id | None = None
    financial_status: str | None = None
    cancelled_at: str | None = None
    updated_at: str | None = None
    test: bool | None = None
    email: str | None = None
    contact_email: str | None = None
    customer: Buyer | None = None
    billing_address: Address | None = None
    refunds: list[Refund] | None = None

    def changes(self) -> tuple[Change, ...]:
        """What the order means now; its refunds as well, where not all of it is gone anyway."""
        kind = "cancelled" if self.cancelled_at else KINDS.get(self.financial_status or "")
        if kind is None:
            return ()
        number = required(self.id, "The order's id")
        state = Change(
            kind=kind,
            order_number=number,
            version=milliseconds(self.updated_at),
            full_snapshot=True,
            customer=self._buyer(),
            lines=tuple(item.line(required(item.id, "A line's id"), item.quantity) for item in self.line_items),
            origin=number if kind == "returned" else None,
            test=bool(self.test),
        )
        refunds = self.refunds or () if kind == "placed" else ()
        return (state, *(change for each in refunds for change in each.changes(self.id)))

    def _buyer(self) -> Customer | None:
        buyer, address = self.customer or Buyer(), self.billing_address or Address()
        name = " ".join(filter(None, (buyer.first_name, buyer.last_name))) or address.name or address.company
        return customer(id_text(buyer.id), name, buyer.email or self.email or self.contact_email)


class Returned(msgspec.Struct):
    """A line of a refund."""

    line_item_id: Id | None = None
    quantity: Decimal | None = None
    line_item: Item | None = None


class Transaction(msgspec.Struct):
    """A payment back."""

    status: str | None = None
    test: bool | None = None


class Refund(msgspec.Struct):
    """A refund."""

    refund_line_items: list[Returned] | None = None
    id: Id | None = None
    order_id: Id | None = None
    created_at: str | None = None
    transactions: list[Transaction] | None = None

    def changes(self, order: Id | None = None) -> tuple[Change, ...]:
        """What comes back of an order; nothing if only money does, or if all payments back have failed."""
        paid_back = self.transactions or []
        failed = [each for each in paid_back if each.status in ("failure", "error")]
        if not self.refund_line_items or (paid_back and len(failed) == len(paid_back)):
            return ()
        return (
            Change(
                kind="returned",
                order_number=required(self.id, "The refund's id"),
                version=milliseconds(self.created_at),
                lines=tuple(map(_line, self.refund_line_items)),
                origin=required(self.order_id or order, "The id of the refund's order"),
                test=any(each.test for each in paid_back),
            ),
        )


def _line(returned: Returned) -> Line:
    item = returned.line_item or Item()
    line_id = required(returned.line_item_id or item.id, "The line that is refunded")
    return item.line(line_id, returned.quantity)
