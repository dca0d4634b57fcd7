"""What an event of Stripe, a document of its API, or what a pointer led to means for orders."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from licentia.connectors import Change, Delivery
from licentia.errors import InvalidRequest
from licentia_integrations.shops import read, since_1970
from licentia_integrations.stripe.documents import Fact, Invoice, Session, Subscription
from licentia_integrations.stripe.money import Charge, Dispute, InvoicePayment

Document = type[Session] | type[Invoice] | type[Subscription] | type[InvoicePayment] | type[Charge] | type[Dispute]
EVENTS: Mapping[str, Document] = {
    "checkout.session.completed": Session,
    "checkout.session.async_payment_succeeded": Session,
    "invoice.paid": Invoice,
    "invoice.payment_succeeded": Invoice,
    "invoice_payment.paid": InvoicePayment,
    "customer.subscription.created": Subscription,
    "customer.subscription.updated": Subscription,
    "customer.subscription.deleted": Subscription,
    "customer.subscription.paused": Subscription,
    "customer.subscription.resumed": Subscription,
    "charge.refunded": Charge,
    "charge.dispute.created": Dispute,
    "charge.dispute.funds_withdrawn": Dispute,
    "charge.dispute.closed": Dispute,
}
"""The events that are read. A poll asks for them all at once; Stripe takes 20."""

OBJECTS: Mapping[str, Document] = {
    "checkout.session": Session,
    "invoice": Invoice,
    "subscription": Subscription,
    "invoice_payment": InvoicePayment,
    "charge": Charge,
    "dispute": Dispute,
}
"""What a document says that it is, where it is no event but what the API knows."""

POINTER = re.compile(r"(checkout/sessions|invoices|subscriptions)/([A-Za-z0-9_]{1,200})")
POINTED: Mapping[str, Document] = {"checkout/sessions": Session, "invoices": Invoice, "subscriptions": Subscription}
"""What a pointer leads to."""


class Data(msgspec.Struct):
    """What an event is about."""

    object: msgspec.Raw


class Event(msgspec.Struct):
    """An event; `created` is in seconds since 1970."""

    type: str
    data: Data
    id: str | None = None
    created: int = 0
    livemode: bool | None = None


class Kind(msgspec.Struct):
    """What something says that it is, and its id."""

    object: str | None = None
    id: str | None = None


def meaning(delivery: Delivery) -> tuple[Change, ...]:
    """The changes of orders; none if it is about something else.

    Raises:
        InvalidRequest: it is illegible.
    """
    now = since_1970(delivery.received_at)
    if delivery.pointer:
        path = POINTER.fullmatch(delivery.pointer)
        if path is None:
            raise InvalidRequest("The pointer leads to nothing of Stripe.")
        return read(delivery.body, POINTED[path[1]], "document of Stripe").changes(
            Fact(version=now, alone=True, whole=True)
        )
    kind = read(delivery.body, Kind, "event of Stripe").object or ""
    if kind == "v2.core.event":
        return ()
    if kind in OBJECTS:
        return read(delivery.body, OBJECTS[kind], kind).changes(Fact(version=now, alone=True))
    event = read(delivery.body, Event, "event of Stripe")
    document = EVENTS.get(event.type)
    if document is None:
        return ()
    fact = Fact(
        version=min(max(0, event.created), 10**12) * 1000,
        test=event.livemode is False,
        begun=event.type == "customer.subscription.created",
    )
    return read(bytes(event.data.object), document, f"document of an event {event.type!r}").changes(fact)
