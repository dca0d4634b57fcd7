"""fastspring: the webhooks of a FastSpring store: batches of events on orders, returns and subscriptions."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from licentia.connectors import Change, Connector, Delivery
from licentia.crypto.webhooks import check_hmac
from licentia.errors import InvalidRequest
from licentia_integrations.fastspring.documents import Charge, Fact, Order, Return, Subscription
from licentia_integrations.incoming import Secrets, secrets_of, settings_of
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


class FastSpringSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of the store; docs/plugins/fastspring.md explains it."""

    secret: Secrets


class Event(msgspec.Struct):
    """An event; `created` is in milliseconds since 1970."""

    type: str
    data: msgspec.Raw = msgspec.Raw(b"{}")
    id: Sku | None = None
    live: bool | None = None
    created: int | None = None


class Batch(msgspec.Struct):
    """What FastSpring sends at once."""

    events: list[Event]


class FastSpring(Connector):
    """An order earns licenses when it is completed; a subscription's later charges renew it."""

    changed_places = False

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(name, settings)
        self.secrets = secrets_of(settings_of(FastSpringSettings, name, settings).secret)

    async def _authenticate(self, delivery: Delivery) -> None:
        check_hmac(delivery.body, [delivery.headers.get("x-fs-signature", "")], self.secrets, "base64")

    def _delivery_id(self, delivery: Delivery) -> str:
        """The id of the event, or a hash of all ids: they stay when FastSpring itself tries again."""
        try:
            ids = [event.id or "" for event in read(delivery.body, Batch, "batch of FastSpring").events]
        except InvalidRequest:
            ids = []
        if not ids or not all(ids):
            return super()._delivery_id(delivery)
        return ids[0] if len(ids) == 1 else hashlib.sha256("\n".join(ids).encode()).hexdigest()

    def _normalise(self, delivery: Delivery) -> tuple[Change, ...]:
        found: list[Change] = []
        for event in read(delivery.body, Batch, "batch of FastSpring").events:
            document = EVENTS.get(event.type)
            if document is not None:
                told = read(bytes(event.data), document, f"data of an event {event.type!r}")
                found += told.changes(Fact(type=event.type, created=event.created, live=event.live))
        return tuple(found)
