"""Orders as Vendure's plugin and the Admin API of Vendure 3 write them, and what they mean."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from licentia.connectors import Change, ChangeKind, Customer, Line
from licentia_integrations.incoming import customer, identifier, label
from licentia_integrations.shops import (
    Id,
    Sku,
    counted,
    id_text,
    milliseconds,
    numbers,
    options_of,
    plain_id,
    required,
)
from licentia_integrations.vendure.settings import VendureSettings

PAID = frozenset({"PaymentSettled", "PartiallyShipped", "Shipped", "PartiallyDelivered", "Delivered"})
"""The states of an order whose payments are settled; `PaymentAuthorized` is a promise of the card's bank only."""

MODIFIED = frozenset({"order.changed", "order.modified", "order.refunded", "order.updated"})
"""Events after which an order is not the one that was placed, whatever its state."""


class Buyer(msgspec.Struct, rename="camel"):
    """The customer of an order; a guest has an id too, if the shop sends it."""

    id: Id | None = None
    email_address: str | None = None
    first_name: str | None = None
    last_name: str | None = None


class Variant(msgspec.Struct, rename="camel"):
    """The article of a line, where it is sent whole."""

    sku: Sku | None = None
    custom_fields: dict[str, Any] | None = None


class Item(msgspec.Struct, rename="camel"):
    """A line of an order."""

    id: Id
    quantity: Decimal
    sku: Sku | None = None
    product_variant: Variant | None = None
    custom_fields: dict[str, Any] | None = None
    variant_custom_fields: dict[str, Any] | None = None

    def line(self, known: VendureSettings) -> Line:
        """The line of a change."""
        variant = self.product_variant or Variant()
        sku = self.sku or variant.sku or ""
        fields = self.variant_custom_fields or variant.custom_fields or {}
        chosen = options_of(self.custom_fields or {})
        other = plain_id(fields.get(known.item_field))
        return Line(
            line_id=identifier(required(self.id, "A line's `id`"), "A line's `id`"),
            sku=sku,
            quantity=counted(self.quantity, f"line {id_text(self.id)}"),
            alternatives=numbers(other) if other != sku else (),
            options={name: told for name, told in chosen.items() if name != known.ticket_field},
        )


class Payment(msgspec.Struct):
    """A payment of an order."""

    method: str | None = None


class Order(msgspec.Struct, rename="camel"):
    """An order."""

    code: Id
    state: str
    lines: list[Item] | None = None
    customer: Buyer | None = None
    updated_at: str | None = None
    payments: list[Payment] | None = None

    def changes(self, known: VendureSettings, event: str = "", at: str | None = None) -> tuple[Change, ...]:
        """What the order means, after an event that happened at a time; or as it was found."""
        kind = _kind(event, self.state)
        if kind is None:
            return ()
        methods = {payment.method for payment in self.payments or ()}
        return (
            Change(
                kind=kind,
                order_number=identifier(required(self.code, "`code`"), "`code`"),
                version=milliseconds(self.updated_at) or milliseconds(at),
                full_snapshot=kind != "cancelled",
                customer=_customer(self.customer),
                lines=() if kind == "cancelled" else tuple(item.line(known) for item in self.lines or ()),
                test=bool(methods & set(known.test_methods)),
            ),
        )


def _kind(event: str, state: str) -> ChangeKind | None:
    """What an order in this state means; None while it is not paid, or is being modified."""
    if state == "Cancelled":
        return "cancelled"
    if state not in PAID:
        return None
    if event == "order.placed":
        return "placed"
    return "placed" if state == "PaymentSettled" and event not in MODIFIED else "changed"


def _customer(buyer: Buyer | None) -> Customer | None:
    if buyer is None:
        return None
    name = label(f"{buyer.first_name or ''} {buyer.last_name or ''}")
    return customer(id_text(buyer.id), name, buyer.email_address)
