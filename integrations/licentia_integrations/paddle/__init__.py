"""paddle: transactions, subscriptions and adjustments of Paddle Billing, by its notifications and by its API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from licentia.connectors import Answer, Answering, Change, Connector, Delivery, Outcome, Page, Polling, WriteBack
from licentia.crypto.webhooks import TimedHeader
from licentia.errors import InvalidRequest, LicensingError
from licentia_integrations.incoming import LONGEST_ID, secrets_of, settings_of
from licentia_integrations.paddle.documents import Adjustment, Subscription, Transaction
from licentia_integrations.paddle.rest import Rest
from licentia_integrations.paddle.settings import PaddleSettings
from licentia_integrations.paddle.stream import stream_of
from licentia_integrations.shops import milliseconds, read

SIGNED = TimedHeader(separator=";", time="ts", signature="h1", joint=b":")
"""developer.paddle.com/webhooks/signature-verification."""

ENTITIES: Mapping[str, type[Transaction] | type[Subscription] | type[Adjustment]] = {
    "transaction": Transaction,
    "subscription": Subscription,
    "adjustment": Adjustment,
    "txn": Transaction,
    "sub": Subscription,
    "adj": Adjustment,
}
"""What an entity is, by the beginning of an event's type, or of its own id."""

SIMULATED = "ntfsimevt_"
"""What the ids of the webhook simulator's events begin with; its transactions look like real ones."""

MOST = 500
"""Events of one poll after which no more are asked for."""


class Notification(msgspec.Struct):
    """A notification, whose `data` is the entity as it was then; or the entity alone, as the API knows it."""

    event_id: str | None = None
    event_type: str | None = None
    occurred_at: str | None = None
    data: msgspec.Raw = msgspec.Raw()
    id: str | None = None


class Paddle(Connector, Answering, Polling, WriteBack):
    """An order is a transaction that is paid; a subscription is one too, that such a transaction names."""

    changed_places = False
    waits = False

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(name, settings)
        self.account = settings_of(PaddleSettings, name, settings)
        self.connected = self.account.api_key is not None
        self._rest = Rest(self.account.address, self.account.api_key) if self.account.api_key else None

    async def close(self) -> None:
        """Give up the connections to Paddle."""
        if self._rest is not None:
            await self._rest.close()

    async def _authenticate(self, delivery: Delivery) -> None:
        header, secrets = delivery.headers.get("paddle-signature", ""), secrets_of(self.account.secret)
        SIGNED.check(header, delivery.body, secrets, delivery.received_at, self.account.tolerance_seconds)

    def _delivery_id(self, delivery: Delivery) -> str:
        """The id of the event, which stays when Paddle tries again, and when somebody replays it."""
        try:
            event = read(delivery.body, Notification, "notification of Paddle").event_id or ""
        except InvalidRequest:
            event = ""
        return event if 0 < len(event) <= LONGEST_ID else super()._delivery_id(delivery)

    def _normalise(self, delivery: Delivery) -> tuple[Change, ...]:
        told = read(delivery.body, Notification, "notification of Paddle")
        if told.event_type:
            entity, body = ENTITIES.get(told.event_type.partition(".")[0]), bytes(told.data)
        else:
            entity, body = ENTITIES.get((told.id or "").partition("_")[0]), delivery.body
            if entity is None:
                raise InvalidRequest("This is neither a notification nor an entity of Paddle.")
        if entity is None:
            return ()
        document = read(body, entity, f"{entity.__name__.lower()} of Paddle")
        simulated = (told.event_id or "").startswith(SIMULATED)
        return document.changes(milliseconds(told.occurred_at), self.account.sandbox or simulated)

    def _answer(self, delivery: Delivery, outcomes: tuple[Outcome, ...]) -> Answer:
        """By status 200, which Paddle wants; developer.paddle.com/webhooks/about/respond-to-webhooks."""
        return Answer(status=200)

    async def _poll(self, cursor: str) -> Page:
        if self._rest is None:
            return Page(deliveries=(), cursor=cursor)
        stream = stream_of(cursor, self.account.poll_from)
        found = await stream.walk(self._rest.events, self._matters, MOST)
        return Page(deliveries=tuple(found), cursor=msgspec.json.encode(stream).decode())

    def _matters(self, delivery: Delivery) -> bool:
        """Whether an event means something, or has to be looked at: the list has all that happens in the account."""
        try:
            return bool(self.normalise(delivery))
        except LicensingError:
            return True

    async def _write_back(self, outcome: Outcome) -> None:
        if self._rest is not None:
            await self._rest.write(outcome)
