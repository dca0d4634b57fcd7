"""stripe: the events of a Stripe account: checkouts, invoices, subscriptions, refunds and disputes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from licentia.connectors import Change, Connector, Delivery, Fetching, Outcome, Page, Polling, WriteBack
from licentia.crypto.webhooks import TimedHeader
from licentia.errors import InvalidRequest, Unavailable
from licentia_integrations.incoming import LONGEST_ID, secrets_of, settings_of
from licentia_integrations.shops import read
from licentia_integrations.stripe.events import POINTER, Kind, meaning
from licentia_integrations.stripe.polling import Poll
from licentia_integrations.stripe.rest import Rest
from licentia_integrations.stripe.settings import StripeSettings

SIGNED = TimedHeader(separator=",", time="t", signature="v1", joint=b".")
"""docs.stripe.com/webhooks, "Verify webhook signatures manually"."""


class Stripe(Connector, Fetching, Polling, WriteBack):
    """An order is a subscription, or what was paid at once: an invoice or a payment."""

    changed_places = False

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(name, settings)
        self.account = settings_of(StripeSettings, name, settings)
        key = self.account.api_key
        self.connected = key is not None
        self._rest = Rest(name, key, self.account) if key is not None else None

    async def close(self) -> None:
        """Give up the connections to Stripe."""
        if self._rest is not None:
            await self._rest.close()

    async def _authenticate(self, delivery: Delivery) -> None:
        header, secrets = delivery.headers.get("stripe-signature", ""), secrets_of(self.account.secret)
        SIGNED.check(header, delivery.body, secrets, delivery.received_at, self.account.tolerance_seconds)

    def _delivery_id(self, delivery: Delivery) -> str:
        """The id of the event, which stays when Stripe tries again, and when a poll finds it."""
        try:
            event = read(delivery.body, Kind, "event of Stripe").id or ""
        except InvalidRequest:
            event = ""
        fits = not delivery.pointer and event.startswith("evt_") and len(event) <= LONGEST_ID
        return event if fits else super()._delivery_id(delivery)

    def _normalise(self, delivery: Delivery) -> tuple[Change, ...]:
        return meaning(delivery)

    async def _fetch(self, pointer: str) -> tuple[Delivery, ...]:
        path = POINTER.fullmatch(pointer)
        if path is None:
            return ()
        if self._rest is None:
            raise Unavailable(
                "What was bought has to be asked of Stripe, and there is no key for it.",
                help="Set `api_key` to a restricted key; the page of this connector says what it must be allowed.",
            )
        found = await self._rest.document(path[1], path[2])
        return (found,) if found else ()

    async def _poll(self, cursor: str) -> Page:
        if self._rest is None:
            return Page(deliveries=(), cursor=cursor)
        return await Poll(self.name, self._rest, self.account.poll_from)(cursor)

    async def _write_back(self, outcome: Outcome) -> None:
        if self._rest is not None:
            await self._rest.write(outcome)
