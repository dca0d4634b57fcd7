"""paddle: the notifications of Paddle Billing: transactions, subscriptions and adjustments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from licentia.connectors import Change, Connector, Delivery
from licentia.crypto.webhooks import TOLERANCE_SECONDS, TimedHeader
from licentia.errors import InvalidRequest
from licentia_integrations.incoming import LONGEST_ID, Secrets, secrets_of, settings_of
from licentia_integrations.paddle.documents import Adjustment, Subscription, Transaction
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


class PaddleSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of the account; docs/plugins/paddle.md explains each."""

    secret: Secrets
    sandbox: bool = False
    tolerance_seconds: Annotated[int, Meta(ge=1, le=86_400)] = TOLERANCE_SECONDS


class Notification(msgspec.Struct):
    """A notification, whose `data` is the entity as it was then; or the entity alone, as the API knows it."""

    event_id: str | None = None
    event_type: str | None = None
    occurred_at: str | None = None
    data: msgspec.Raw = msgspec.Raw()
    id: str | None = None


class Paddle(Connector):
    """An order is a transaction that is paid; a subscription is one too, that such a transaction names."""

    changed_places = False

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(name, settings)
        self.account = settings_of(PaddleSettings, name, settings)

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
        return document.changes(milliseconds(told.occurred_at), self.account.sandbox)
