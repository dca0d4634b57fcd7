"""vendure: orders of a Vendure shop, sent by a subscriber of its events as Standard Webhooks.

Vendure itself sends nothing. A plugin of the shop that posts the order with each event is some ten lines;
docs/plugins/vendure.md says what it has to send.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from licentia.connectors import Change, ChangeKind, Customer, Delivery, Line
from licentia_integrations.incoming import customer, identifier, label, settings_of
from licentia_integrations.shops import (
    Id,
    Sku,
    counted,
    id_text,
    milliseconds,
    numbers,
    options_of,
    plain_id,
    read,
    required,
)
from licentia_integrations.standard import Event, StandardConnector, StandardSettings

PAID = frozenset({"PaymentSettled", "PartiallyShipped", "Shipped", "PartiallyDelivered", "Delivered"})
"""The states of an order whose payments are settled; `PaymentAuthorized` is a promise of the card's bank only."""

MODIFIED = frozenset({"order.changed", "order.modified", "order.refunded", "order.updated"})
"""Events after which an order is not the one that was placed, whatever its state."""


class VendureSettings(StandardSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of the shop; docs/plugins/vendure.md explains each."""

    item_field: str = "licenceItem"
    ticket_field: str = "licenceTicket"
    test_methods: tuple[str, ...] = ()


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


class Vendure(StandardConnector):
    """Settings: `secret`; `item_field` and `ticket_field` of the shop; `test_methods`, by which nobody really pays."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        self._given = settings_of(VendureSettings, name, settings)
        super().__init__(name, settings, self._given)

    def _normalise(self, delivery: Delivery) -> tuple[Change, ...]:
        event = read(delivery.body, Event, "event of Vendure")
        if not event.type.startswith("order."):
            return ()
        order = read(bytes(event.data), Order, "order of Vendure")
        kind = _kind(event.type, order.state)
        if kind is None:
            return ()
        methods = {payment.method for payment in order.payments or ()}
        return (
            Change(
                kind=kind,
                order_number=identifier(required(order.code, "`code`"), "`code`"),
                version=milliseconds(order.updated_at) or milliseconds(event.timestamp),
                full_snapshot=kind != "cancelled",
                customer=_customer(order.customer),
                lines=() if kind == "cancelled" else tuple(map(self._line, order.lines or ())),
                test=bool(methods & set(self._given.test_methods)),
            ),
        )

    def _line(self, item: Item) -> Line:
        variant = item.product_variant or Variant()
        sku = item.sku or variant.sku or ""
        fields = item.variant_custom_fields or variant.custom_fields or {}
        chosen = options_of(item.custom_fields or {})
        other = plain_id(fields.get(self._given.item_field))
        return Line(
            line_id=identifier(required(item.id, "A line's `id`"), "A line's `id`"),
            sku=sku,
            quantity=counted(item.quantity, f"line {id_text(item.id)}"),
            alternatives=numbers(other) if other != sku else (),
            options={name: told for name, told in chosen.items() if name != self._given.ticket_field},
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
