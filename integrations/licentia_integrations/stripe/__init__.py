"""stripe: the events of a Stripe account: checkouts, invoices, subscriptions, refunds and disputes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from licentia.connectors import Change, Connector, Delivery, Fetching
from licentia.crypto.webhooks import TimedHeader
from licentia.errors import InvalidRequest, Unavailable
from licentia_integrations.incoming import LONGEST_ID, secrets_of, settings_of
from licentia_integrations.shops import EPOCH, fetched, read
from licentia_integrations.stripe.documents import Fact, Invoice, Session, Subscription
from licentia_integrations.stripe.money import Charge, Dispute, InvoicePayment
from licentia_integrations.stripe.settings import StripeSettings

SIGNED = TimedHeader(separator=",", time="t", signature="v1", joint=b".")
"""docs.stripe.com/webhooks, "Verify webhook signatures manually"."""

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
LISTS: Mapping[str, tuple[Document, str, str]] = {
    "checkout/sessions": (Session, "line_items", "checkout/sessions/{}/line_items?limit=100"),
    "invoices": (Invoice, "lines", "invoices/{}/lines?limit=100"),
    "subscriptions": (Subscription, "items", "subscription_items?subscription={}&limit=100"),
}
"""What a pointer leads to: the document, the name of its list, and where the whole list is."""


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


class Stripe(Connector, Fetching):
    """An order is a subscription, or what was paid at once: an invoice or a payment."""

    changed_places = False

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(name, settings)
        self.account = settings_of(StripeSettings, name, settings)

    async def _authenticate(self, delivery: Delivery) -> None:
        header, secrets = delivery.headers.get("stripe-signature", ""), secrets_of(self.account.secret)
        SIGNED.check(header, delivery.body, secrets, delivery.received_at, self.account.tolerance_seconds)

    def _delivery_id(self, delivery: Delivery) -> str:
        """The id of the event, which stays when Stripe tries again."""
        try:
            event = read(delivery.body, Kind, "event of Stripe").id or ""
        except InvalidRequest:
            event = ""
        fits = not delivery.pointer and event.startswith("evt_") and len(event) <= LONGEST_ID
        return event if fits else super()._delivery_id(delivery)

    def _normalise(self, delivery: Delivery) -> tuple[Change, ...]:
        if delivery.pointer:
            path = POINTER.fullmatch(delivery.pointer)
            if path is None:
                raise InvalidRequest("The pointer leads to nothing of Stripe.")
            state = Fact(version=_milliseconds(delivery.received_at), whole=True)
            return read(delivery.body, LISTS[path[1]][0], "document of Stripe").changes(state)
        kind = read(delivery.body, Kind, "event of Stripe").object or ""
        if kind == "v2.core.event":
            return ()
        if kind in OBJECTS:
            return read(delivery.body, OBJECTS[kind], kind).changes(Fact(version=_milliseconds(delivery.received_at)))
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

    async def _fetch(self, pointer: str) -> tuple[Delivery, ...]:
        path = POINTER.fullmatch(pointer)
        if path is None:
            return ()
        if not self.account.api_key:
            raise Unavailable(
                "What was bought has to be asked of Stripe, and there is no key for it.",
                help="Set `api_key` to a restricted key that may read checkouts, invoices and subscriptions.",
            )
        headers = {"authorization": f"Bearer {self.account.api_key}"}
        base = f"{self.account.api_url.rstrip('/')}/v1/"
        _, name, place = LISTS[path[1]]
        found = await fetched(base + pointer, pointer, headers)
        listed = await fetched(base + place.format(path[2]), pointer, headers) if found else None
        if found is None or listed is None:
            return ()
        try:
            document = read(found.body, dict[str, Any], "document of Stripe")
            document[name] = read(listed.body, dict[str, Any], "list of Stripe")
        except InvalidRequest as error:
            raise Unavailable(f"Stripe gave a strange answer. {error.detail}") from None
        return (msgspec.structs.replace(found, body=msgspec.json.encode(document)),)


def _milliseconds(moment: datetime) -> int:
    """A time as a version: what Stripe tells when it is asked is the state of that time."""
    return max(0, (moment - EPOCH) // timedelta(milliseconds=1))
