"""Transactions, subscriptions and adjustments as Paddle Billing writes them, and what they mean.

Fields are those of developer.paddle.com/api-reference.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from licentia.connectors import Change, ChangeKind, Line
from licentia_integrations.incoming import customer
from licentia_integrations.shops import Key, Sku, counted, merged, milliseconds, numbers, required

SETTLED = ("subscription_update", "subscription_payment_method_change")
"""Origins of transactions that settle a change of a subscription, which the subscription itself tells."""


class Product(msgspec.Struct):
    """A product."""

    id: Sku | None = None


class Price(msgspec.Struct):
    """A price, which is Paddle's article."""

    id: Sku | None = None
    product_id: Sku | None = None


class Item(msgspec.Struct):
    """A line of a transaction, with an id of its own, or an item, which has none."""

    quantity: Decimal | None = None
    id: Sku | None = None
    price_id: Sku | None = None
    price: Price | None = None
    product: Product | None = None
    status: str | None = None

    def line(self) -> Line:
        """The line of a change."""
        priced, product = self.price or Price(), self.product or Product()
        price = self.price_id or priced.id
        line_id = required(self.id or price, "A line's id")
        return Line(
            line_id=line_id,
            sku=price or "",
            quantity=counted(self.quantity, f"line {line_id}"),
            alternatives=numbers(priced.product_id or product.id),
        )


class Details(msgspec.Struct):
    """What a transaction comes to."""

    line_items: list[Item] | None = None


class Transaction(msgspec.Struct):
    """A transaction."""

    id: Key
    status: str
    items: list[Item] | None = None
    details: Details | None = None
    origin: str | None = None
    customer_id: Sku | None = None
    subscription_id: Sku | None = None
    updated_at: str | None = None

    def changes(self, occurred: int, test: bool) -> tuple[Change, ...]:
        """An order, or the renewal of a subscription, once it is paid; or that it will never be."""
        origin: str | None = self.subscription_id
        kind: ChangeKind
        if self.origin in SETTLED:
            return ()
        if self.status == "canceled":
            kind = "cancelled"
        elif self.status in ("paid", "completed"):
            kind = "renewed" if self.origin == "subscription_recurring" and origin else "placed"
        else:
            return ()
        if self.origin == "subscription_charge":
            origin = None
        items = (self.details.line_items if self.details else None) or self.items or []
        return (
            Change(
                kind=kind,
                order_number=self.id,
                version=milliseconds(self.updated_at) or occurred,
                full_snapshot=True,
                customer=customer(self.customer_id, None, None),
                lines=merged([item.line() for item in items]),
                origin=origin or None,
                test=test,
            ),
        )


KEPT = ("active", "trialing", "past_due")
LOST = ("canceled", "paused")
"""What a subscription's status means."""


class Subscription(msgspec.Struct):
    """A subscription."""

    id: Key
    status: str
    items: list[Item] | None = None
    customer_id: Sku | None = None
    transaction_id: Sku | None = None
    updated_at: str | None = None

    def changes(self, occurred: int, test: bool) -> tuple[Change, ...]:
        """The subscription as it is now, or that it is no more; only its beginning tells its transaction."""
        if self.status not in KEPT and self.status not in LOST:
            return ()
        lost = self.status in LOST
        items = [item for item in self.items or () if lost or item.status != "inactive"]
        return (
            Change(
                kind="cancelled" if lost else "changed",
                order_number=self.id,
                version=milliseconds(self.updated_at) or occurred,
                full_snapshot=True,
                customer=customer(self.customer_id, None, None),
                lines=merged([item.line() for item in items]),
                origin=self.transaction_id or None,
                test=test,
            ),
        )


class Adjusted(msgspec.Struct):
    """A line of a transaction for which money goes back; `type` is `full`, `partial`, `tax` or `proration`."""

    item_id: Sku | None = None
    type: str | None = None


class Adjustment(msgspec.Struct):
    """An adjustment of a transaction."""

    id: Key
    action: str
    status: str
    transaction_id: Key
    items: list[Adjusted] | None = None
    type: str | None = None
    customer_id: Sku | None = None
    updated_at: str | None = None

    def changes(self, occurred: int, test: bool) -> tuple[Change, ...]:
        """A return, once it is approved: of all, or of lines of which Paddle tells the money and no quantity."""
        if self.action not in ("refund", "chargeback") or self.status != "approved":
            return ()
        whole = self.type == "full"
        ids = [required(item.item_id, "The line that is adjusted") for item in self.items or () if item.type != "tax"]
        if not whole and not ids:
            return ()
        return (
            Change(
                kind="returned",
                order_number=self.id,
                version=milliseconds(self.updated_at) or occurred,
                full_snapshot=whole,
                customer=customer(self.customer_id, None, None),
                lines=()
                if whole
                else tuple(Line(line_id=each, sku="", quantity=Decimal(0)) for each in dict.fromkeys(ids)),
                origin=self.transaction_id,
                test=test,
            ),
        )
