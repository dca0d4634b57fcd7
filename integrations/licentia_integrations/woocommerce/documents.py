"""Orders and refunds as the REST API of WooCommerce (wc/v3) writes them, and what they mean.

Fields are those of developer.woocommerce.com/docs/apis/rest-api/v3, orders and order refunds; a webhook may be set to
an older version of the API, of which the oldest have other names and put the order into an object.
"""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from typing import Any

import msgspec

from licentia.connectors import Change, Line
from licentia.errors import InvalidRequest
from licentia_integrations.incoming import customer
from licentia_integrations.shops import Id, Sku, counted, id_text, milliseconds, numbers, options_of, plain_id, required

RENEWAL = "_subscription_renewal"
"""The mark that WooCommerce Subscriptions puts on an order: the number of the subscription that it renews."""


class Meta(msgspec.Struct):
    """A note on an order or a line; what the buyer chose has a key without a leading underscore."""

    key: str | None = None
    value: Any = None


Notes = list[Meta] | dict[str, Meta] | None
"""PHP writes a list that has lost its first entry as an object."""


def notes_of(notes: Notes) -> list[Meta]:
    """The notes."""
    return list(notes.values()) if isinstance(notes, dict) else notes or []


def noted(notes: Notes, key: str) -> Any:
    """What is noted under a key."""
    return next((each.value for each in notes_of(notes) if each.key == key), None)


class Item(msgspec.Struct):
    """A line."""

    id: Id
    quantity: Decimal
    product_id: Id | None = None
    variation_id: Id | None = None
    sku: Sku | None = None
    meta_data: Notes = None
    meta: Notes = None

    def line(self, line_id: str) -> Line:
        """The line of a change; a refund has negative quantities."""
        notes = notes_of(self.meta_data) or notes_of(self.meta)
        chosen = {each.key: each.value for each in notes if each.key and not each.key.startswith("_")}
        return Line(
            line_id=line_id,
            sku=self.sku or "",
            quantity=counted(abs(self.quantity), f"line {line_id}"),
            alternatives=numbers(self.variation_id, self.product_id),
            options=options_of(chosen),
        )


class Billing(msgspec.Struct):
    """Who pays."""

    first_name: str | None = None
    last_name: str | None = None
    company: str | None = None
    email: str | None = None


class Mention(msgspec.Struct):
    """A refund as its order mentions it: without lines."""

    id: Id


class Deleted(msgspec.Struct):
    """What is left of a deleted order."""

    id: Id


class Wrapped(msgspec.Struct):
    """An order of the oldest versions."""

    order: msgspec.Raw = msgspec.Raw()


class Document(msgspec.Struct):
    """An order."""

    status: str
    line_items: list[Item]
    id: Id | None = None
    customer_id: Id | None = None
    billing: Billing | list[Any] | None = None
    billing_address: Billing | list[Any] | None = None
    date_modified_gmt: str | None = None
    date_modified: str | None = None
    updated_at: str | None = None
    date_paid_gmt: str | None = None
    meta_data: Notes = None
    refunds: list[Mention] | None = None

    def changes(self, paid: Collection[str]) -> tuple[Change, ...]:
        """What the order means, and where each refund can be asked for, unless all is refunded anyway."""
        number = required(self.id, "The order's id")
        renewed = plain_id(noted(self.meta_data, RENEWAL))
        status = self.status.removeprefix("wc-")
        if status in paid:
            points = (f"orders/{number}/refunds/{id_text(each.id)}" for each in self.refunds or ())
            mentioned = tuple(Change(kind="pointer", pointer=each) for each in points)
            state = self._change(number, "renewed" if renewed else "placed", renewed or None)
            return (state, *mentioned)
        if status == "refunded":
            return (self._change(number, "returned", number),)
        if status in ("cancelled", "trash") or (status == "failed" and self.date_paid_gmt):
            return (self._change(number, "cancelled", None),)
        return ()

    def _change(self, number: str, kind: Any, origin: str | None) -> Change:
        payer = self.billing or self.billing_address
        told = payer if isinstance(payer, Billing) else Billing()
        name = " ".join(filter(None, (told.first_name, told.last_name))) or told.company
        return Change(
            kind=kind,
            order_number=number,
            version=milliseconds(self.date_modified_gmt or self.updated_at or self.date_modified),
            full_snapshot=True,
            customer=customer(id_text(self.customer_id), name, told.email),
            lines=tuple(item.line(required(item.id, "A line's id")) for item in self.line_items),
            origin=origin,
        )


class Renewal(msgspec.Struct):
    """An order that renews a subscription, and the number of the order that the subscription began with, if it did."""

    order: Document
    parent_id: Id | None = None

    def changes(self, paid: Collection[str]) -> tuple[Change, ...]:
        """What the order means; the subscription is known by the order that it began with."""
        began = id_text(self.parent_id)
        found = (each for each in self.order.changes(paid) if each.kind != "pointer")
        return tuple(
            msgspec.structs.replace(each, origin=began) if began and each.kind == "renewed" else each for each in found
        )


class Refund(msgspec.Struct):
    """A refund, as it is fetched."""

    id: Id
    line_items: list[Item] = []
    date_created_gmt: str | None = None

    def changes(self, order: str) -> tuple[Change, ...]:
        """What comes back of an order; nothing if only money does."""
        lines = []
        for item in self.line_items:
            refunded = plain_id(noted(item.meta_data, "_refunded_item_id"))
            if not refunded:
                raise InvalidRequest("A line of the refund does not tell which line of the order it refunds.")
            if item.quantity:
                lines.append(item.line(refunded))
        if not lines:
            return ()
        return (
            Change(
                kind="returned",
                order_number=required(self.id, "The refund's id"),
                version=milliseconds(self.date_created_gmt),
                lines=tuple(lines),
                origin=order,
            ),
        )
