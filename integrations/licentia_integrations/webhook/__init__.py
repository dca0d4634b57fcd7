"""webhook: the generic push, for systems that can be taught to send what Licentia takes.

The payload is the JSON of `POST /v1/orders`, in the envelope of Standard Webhooks or bare. The envelope's type
tells what happened to the order.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from licentia.connectors import Change, ChangeKind, Delivery, Line
from licentia.errors import InvalidRequest
from licentia_integrations.incoming import customer, identifier, settings_of
from licentia_integrations.shops import Id, Sku, counted, id_text, milliseconds, options_of, read, required
from licentia_integrations.standard import Event, StandardConnector, StandardSettings

PREFIX = "order."
KINDS: Mapping[str, ChangeKind] = {
    "placed": "placed",
    "created": "placed",
    "paid": "placed",
    "completed": "placed",
    "changed": "changed",
    "updated": "changed",
    "cancelled": "cancelled",
    "canceled": "cancelled",
    "returned": "returned",
    "refunded": "returned",
    "renewed": "renewed",
}
"""What follows `order.` in the type, and what it means."""


class Buyer(msgspec.Struct):
    """Who bought."""

    id: Id | None = None
    name: str | None = None
    email: str | None = None


class Item(msgspec.Struct):
    """A line of the order."""

    sku: Sku
    quantity: Decimal
    line_id: Id | None = None
    alternatives: Annotated[tuple[Sku, ...], Meta(max_length=20)] | None = None
    options: dict[str, Any] | None = None


class Order(msgspec.Struct):
    """An order, with what only a change of one has."""

    order_number: Id
    lines: list[Item] | None = None
    customer: Buyer | None = None
    version: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None
    full_snapshot: bool | None = None
    origin: Id | None = None
    test: bool | None = None


class Webhook(StandardConnector):
    """Settings: `secret`, of Standard Webhooks; `tolerance_seconds`, how old a delivery may be."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(name, settings, settings_of(StandardSettings, name, settings))

    def _normalise(self, delivery: Delivery) -> tuple[Change, ...]:
        if "order_number" in read(delivery.body, dict[str, msgspec.Raw], "order"):
            return (_change("placed", read(delivery.body, Order, "order"), 0),)
        event = read(delivery.body, Event, "event of Standard Webhooks")
        if not event.type.startswith(PREFIX):
            return ()
        kind = KINDS.get(event.type.removeprefix(PREFIX))
        if kind is None:
            raise InvalidRequest(
                f"The type {event.type!r} is not known.", help=f"Send order. and one of {list(KINDS)}."
            )
        return (_change(kind, read(bytes(event.data), Order, "order"), milliseconds(event.timestamp)),)


def _change(kind: ChangeKind, order: Order, at: int) -> Change:
    buyer = order.customer or Buyer()
    return Change(
        kind=kind,
        order_number=identifier(required(order.order_number, "`order_number`"), "`order_number`"),
        version=at if order.version is None else order.version,
        full_snapshot=kind in ("placed", "changed") if order.full_snapshot is None else order.full_snapshot,
        customer=customer(id_text(buyer.id), buyer.name, buyer.email),
        lines=() if kind == "cancelled" else tuple(map(_line, order.lines or ())),
        origin=id_text(order.origin) or None,
        test=bool(order.test),
    )


def _line(item: Item) -> Line:
    """A line; one without an id of its own is known by its article, of which there is only one line then."""
    return Line(
        line_id=identifier(id_text(item.line_id) or item.sku, "A line's id"),
        sku=item.sku,
        quantity=counted(item.quantity, f"article {item.sku!r}"),
        alternatives=item.alternatives or (),
        options=options_of(item.options or {}),
    )
