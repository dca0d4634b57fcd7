"""fastspring: events of a FastSpring store on orders, returns and subscriptions, by its webhooks and by its API."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from licentia.connectors import Answer, Answering, Change, Connector, Delivery, Outcome, Page, Polling, WriteBack
from licentia.crypto.webhooks import check_hmac
from licentia.errors import InvalidRequest
from licentia_integrations.fastspring.documents import Charge, Fact, Order, Return, Subscription
from licentia_integrations.fastspring.rest import ID, Rest, cursor_of
from licentia_integrations.fastspring.settings import FastSpringSettings
from licentia_integrations.incoming import secrets_of, settings_of
from licentia_integrations.shops import Sku, read

EVENTS: Mapping[str, type[Order] | type[Return] | type[Charge] | type[Subscription]] = {
    "order.completed": Order,
    "order.canceled": Order,
    "return.created": Return,
    "subscription.charge.completed": Charge,
    "subscription.activated": Subscription,
    "subscription.updated": Subscription,
    "subscription.canceled": Subscription,
    "subscription.uncanceled": Subscription,
    "subscription.deactivated": Subscription,
}


class Event(msgspec.Struct):
    """An event; `created` is in milliseconds since 1970."""

    type: str
    data: msgspec.Raw = msgspec.Raw(b"{}")
    id: Sku | None = None
    live: bool | None = None
    created: int | None = None


class Batch(msgspec.Struct):
    """What FastSpring sends at once."""

    events: list[msgspec.Raw]


class FastSpring(Connector, Answering, Polling, WriteBack):
    """An order earns licenses when it is completed; a subscription's later charges renew it."""

    changed_places = False
    waits = False

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(name, settings)
        self.store = settings_of(FastSpringSettings, name, settings)
        self.secrets = secrets_of(self.store.secret)
        self.connected = self.store.api_user is not None
        self._rest = Rest(self.store) if self.connected else None

    async def close(self) -> None:
        """Give up the connections to FastSpring."""
        if self._rest is not None:
            await self._rest.close()

    async def _authenticate(self, delivery: Delivery) -> None:
        check_hmac(delivery.body, [delivery.headers.get("x-fs-signature", "")], self.secrets, "base64")

    def _delivery_id(self, delivery: Delivery) -> str:
        """The id of the event, or a hash of all ids: they stay when FastSpring itself tries again."""
        try:
            ids = [_event(each).id or "" for each in _events(delivery)]
        except InvalidRequest:
            ids = []
        if not ids or not all(ids):
            return super()._delivery_id(delivery)
        return ids[0] if len(ids) == 1 else hashlib.sha256("\n".join(ids).encode()).hexdigest()

    def _normalise(self, delivery: Delivery) -> tuple[Change, ...]:
        """What the events mean that are legible; FastSpring is told to send the others again, by themselves."""
        found: list[Change] = []
        refused: list[InvalidRequest] = []
        events = _events(delivery)
        for each in events:
            try:
                found += _changes(each)
            except InvalidRequest as error:
                refused.append(error)
        if refused and len(refused) == len(events):
            raise refused[0]
        return tuple(found)

    def _answer(self, delivery: Delivery, outcomes: tuple[Outcome, ...]) -> Answer:
        """Status 200 for all, or 202 and the ids of those that are legible, a line for each.

        The rule is that of developer.fastspring.com/reference/processed-and-unprocessed-webhook-events. What is
        illegible as a whole is kept here for a person, and nothing would be gained by having it again.
        """
        try:
            events = _events(delivery)
        except InvalidRequest:
            events = []
        legible = [each for each in events if _is_legible(each)]
        if not legible or len(legible) == len(events):
            return Answer(status=200)
        ids = [_event(each).id or "" for each in legible]
        return Answer(status=202, body="\n".join(id for id in ids if ID.fullmatch(id)).encode())

    async def _poll(self, cursor: str) -> Page:
        """Events that no webhook has delivered. Those of the cursor are stored here, and marked first.

        Of a poll that is not stored nothing is marked, so that nothing is lost; marking twice does no harm.
        """
        if self._rest is None:
            return Page(deliveries=(), cursor=cursor)
        known = cursor_of(cursor, self.store.poll_from)
        for id in known.stored:
            await self._rest.mark(id)
        found, known.stored = await self._rest.unprocessed(known.begin)
        return Page(deliveries=tuple(found), cursor=msgspec.json.encode(known).decode())

    async def _write_back(self, outcome: Outcome) -> None:
        if self._rest is not None:
            await self._rest.write(outcome)


def _events(delivery: Delivery) -> list[bytes]:
    return [bytes(each) for each in read(delivery.body, Batch, "batch of FastSpring").events]


def _event(body: bytes) -> Event:
    return read(body, Event, "event of FastSpring")


def _changes(body: bytes) -> tuple[Change, ...]:
    event = _event(body)
    document = EVENTS.get(event.type)
    if document is None:
        return ()
    told = read(bytes(event.data), document, f"data of an event {event.type!r}")
    return told.changes(Fact(type=event.type, created=event.created, live=event.live))


def _is_legible(body: bytes) -> bool:
    try:
        _changes(body)
    except InvalidRequest:
        return False
    return True
