"""Checkouts, subscriptions and invoices as the API of Stripe writes them, and what they mean.

Fields are those of docs.stripe.com/api, before and after the version 2025-03-31, which moved some. A line is known by
its price: that is the same in the checkout that begins a subscription, in the subscription and in all its invoices.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from licentia.connectors import Change, ChangeKind, Line
from licentia.errors import InvalidRequest
from licentia_integrations.incoming import customer
from licentia_integrations.shops import Key, Sku, counted, merged, numbers, required


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """What is known beside the document.

    Attributes:
        version: a time in milliseconds: of the event, or when the document came.
        begun: the event is its beginning.
        alone: it came without an event.
        whole: its list was fetched.
    """

    version: int
    test: bool = False
    begun: bool = False
    alone: bool = False
    whole: bool = False

    def dated(self, seconds: int | None) -> Fact:
        """The fact, of the time that a document tells, if it came alone.

        A checkout or an invoice tells what was bought then, however late it is asked for; what the subscription
        became since must stay newer.
        """
        told = self.alone and seconds is not None and seconds > 0
        return msgspec.structs.replace(self, version=min(self.version, (seconds or 0) * 1000)) if told else self


class Named(msgspec.Struct):
    """Something in full of which only the id is wanted."""

    id: Sku | None = None


Ref = Sku | Named | None
"""A reference, as Stripe writes it: an id, or the thing itself where somebody asked for that."""


def ref(given: Ref) -> str:
    """The id of a reference; empty if there is none."""
    return (given.id if isinstance(given, Named) else given) or ""


class Price(msgspec.Struct):
    """A price, which is Stripe's article."""

    id: Sku | None = None
    type: str | None = None
    lookup_key: Sku | None = None
    product: Ref = None


class PriceDetails(msgspec.Struct):
    """A price since 2025-03-31."""

    price: Ref = None
    product: Ref = None


class Pricing(msgspec.Struct):
    """Where a price is since 2025-03-31."""

    price_details: PriceDetails | None = None


class ItemDetails(msgspec.Struct):
    """What a line of an invoice came from, since 2025-03-31."""

    proration: bool | None = None
    subscription: Ref = None


class Parent(msgspec.Struct):
    """What a line or an invoice came from, since 2025-03-31."""

    type: str | None = None
    subscription_details: ItemDetails | None = None
    subscription_item_details: ItemDetails | None = None
    invoice_item_details: ItemDetails | None = None


class Item(msgspec.Struct):
    """A line of a checkout, a subscription or an invoice."""

    id: Sku | None = None
    type: str | None = None
    quantity: Decimal | None = None
    price: Price | None = None
    plan: Price | None = None
    pricing: Pricing | None = None
    proration: bool | None = None
    parent: Parent | None = None

    def is_proration(self) -> bool:
        """Whether it only settles a change in the middle of a period."""
        parent = self.parent or Parent()
        details = parent.subscription_item_details or parent.invoice_item_details or ItemDetails()
        return bool(self.proration or details.proration)

    def is_once(self) -> bool:
        """Whether it was sold once, beside a subscription, and is no part of that."""
        parent = self.parent or Parent()
        priced = self.price.type if self.price else None
        return priced == "one_time" or self.type == "invoiceitem" or parent.type == "invoice_item_details"

    def line(self) -> Line:
        """The line of a change; what is billed by usage has no quantity and is one."""
        priced = self.price or self.plan or Price()
        details = (self.pricing.price_details if self.pricing else None) or PriceDetails()
        price, product = priced.id or ref(details.price), ref(priced.product) or ref(details.product)
        line_id = required(price or self.id, "A line's id")
        return Line(
            line_id=line_id,
            sku=price,
            quantity=counted(Decimal(1) if self.quantity is None else self.quantity, f"line {line_id}"),
            alternatives=numbers(priced.lookup_key, product),
        )


class Items(msgspec.Struct):
    """A list, of which an event may show only the beginning."""

    data: list[Item]
    has_more: bool | None = None

    def lines(self, once: bool | None = None) -> tuple[Line, ...]:
        """The lines of a change, without prorations: all, or those that were sold once, or those that were not."""
        found = [item for item in self.data if not item.is_proration()]
        return merged([item.line() for item in found if once is None or item.is_once() is once])


def change(
    kind: ChangeKind, place: str, number: str, id: str, items: Items | None, fact: Fact, **fields: Any
) -> tuple[Change, ...]:
    """The change, or the pointer to the document where its list is not complete."""
    known = {"order_number": number, "version": fact.version, "test": fact.test, **fields}
    if items is None or items.has_more:
        if fact.whole:
            raise InvalidRequest("The document has more lines than Stripe lists at once.")
        return (Change(kind="pointer", pointer=f"{place}/{id}", **known),)
    return (Change(kind=kind, full_snapshot=True, lines=items.lines(), **known),)


def begin(
    place: str, number: str, extra: str, id: str, items: Items | None, fact: Fact, **fields: Any
) -> tuple[Change, ...]:
    """The beginning of a subscription, and what was sold once beside it as an order of its own, numbered `extra`.

    Later snapshots of the subscription do not have that, so it must not be among the lines of the subscription.
    Its `origin` is the invoice, which is another number of it, by which money goes back; unless such an order has that.
    """
    (state,) = change("placed", place, number, id, items, fact, **fields)
    once = items.lines(once=True) if items is not None and state.kind == "placed" else ()
    if items is None or not once:
        return (state,)
    replace = msgspec.structs.replace
    begun = replace(state, lines=items.lines(once=False), origin=None)
    return (begun, replace(state, order_number=extra, lines=once, origin=None))


class Details(msgspec.Struct):
    """Who paid at a checkout."""

    email: str | None = None
    name: str | None = None
    business_name: str | None = None


class Session(msgspec.Struct):
    """A checkout. An event never tells its lines."""

    id: Key
    mode: str | None = None
    payment_status: str | None = None
    subscription: Ref = None
    invoice: Ref = None
    payment_intent: Ref = None
    customer: Ref = None
    customer_details: Details | None = None
    customer_email: str | None = None
    livemode: bool | None = None
    created: int | None = None
    line_items: Items | None = None

    def changes(self, fact: Fact) -> tuple[Change, ...]:
        """An order, once it is paid or there is nothing to pay."""
        if self.payment_status not in ("paid", "no_payment_required") or self.mode == "setup":
            return ()
        number = ref(self.invoice) or ref(self.payment_intent) or self.id
        told = self.customer_details or Details()
        buyer = customer(ref(self.customer), told.name or told.business_name, told.email or self.customer_email)
        fact = msgspec.structs.replace(fact.dated(self.created), test=fact.test or self.livemode is False)
        place, subscription = "checkout/sessions", ref(self.subscription)
        if subscription:
            origin = ref(self.invoice) or None
            return begin(place, subscription, number, self.id, self.line_items, fact, customer=buyer, origin=origin)
        paid = ref(self.payment_intent)
        origin = paid if paid and paid != number else None
        return change("placed", place, number, self.id, self.line_items, fact, customer=buyer, origin=origin)


KEPT = ("active", "trialing", "past_due")
LOST = ("canceled", "unpaid", "incomplete_expired", "paused")
"""What a subscription's status means; `incomplete` is not paid yet."""


class Subscription(msgspec.Struct):
    """A subscription. Its first payment is told by a checkout or an invoice of the same number."""

    id: Key
    status: str
    collection_method: str | None = None
    customer: Ref = None
    livemode: bool | None = None
    ended_at: int | None = None
    items: Items | None = None
    plan: Price | None = None
    quantity: Decimal | None = None

    def changes(self, fact: Fact) -> tuple[Change, ...]:
        """The order as it is now, or that it is no more."""
        unpaid = fact.begun and self.collection_method == "send_invoice"
        if unpaid or (self.status not in KEPT and self.status not in LOST):
            return ()
        kind: ChangeKind = "changed" if self.status in KEPT else "cancelled"
        fact = fact.dated(self.ended_at) if kind == "cancelled" else fact
        fact = msgspec.structs.replace(fact, test=fact.test or self.livemode is False)
        buyer = customer(ref(self.customer), None, None)
        alone = [Item(plan=self.plan, quantity=self.quantity)] if self.plan else []  # before there were items
        items = self.items or (Items(alone) if alone or kind == "cancelled" else None)
        return change(kind, "subscriptions", self.id, self.id, items, fact, customer=buyer)


class Times(msgspec.Struct):
    """When an invoice became what, in seconds since 1970."""

    paid_at: int | None = None


class Invoice(msgspec.Struct):
    """An invoice."""

    id: Key
    status: str | None = None
    paid: bool | None = None
    billing_reason: str | None = None
    subscription: Ref = None
    parent: Parent | None = None
    payment_intent: Ref = None
    customer: Ref = None
    customer_name: str | None = None
    customer_email: str | None = None
    livemode: bool | None = None
    created: int | None = None
    status_transitions: Times | None = None
    lines: Items | None = None

    def changes(self, fact: Fact) -> tuple[Change, ...]:
        """What was paid: the beginning of a subscription, a renewal, or an order of its own.

        Before 2018 there was no reason: an invoice of a subscription renews it then, which never licenses it twice.
        """
        reason = self.billing_reason or ""
        if (self.status or ("paid" if self.paid else "")) != "paid" or reason in (
            "subscription_update",
            "subscription_threshold",
        ):
            return ()
        details = (self.parent.subscription_details if self.parent else None) or ItemDetails()
        subscription = ref(self.subscription) or ref(details.subscription)
        paid = (self.status_transitions.paid_at if self.status_transitions else None) or self.created
        fact = msgspec.structs.replace(fact.dated(paid), test=fact.test or self.livemode is False)
        buyer = customer(ref(self.customer), self.customer_name, self.customer_email)
        if subscription and reason == "subscription_create":
            return begin("invoices", subscription, self.id, self.id, self.lines, fact, customer=buyer, origin=self.id)
        renews = subscription and reason in ("subscription_cycle", "subscription", "")
        kind: ChangeKind = "renewed" if renews else "placed"
        origin = subscription if renews else ref(self.payment_intent) or None
        return change(kind, "invoices", self.id, self.id, self.lines, fact, customer=buyer, origin=origin)
