"""What connectors of systems that send Standard Webhooks have in common: the signature, the id and the envelope."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from licentia.connectors import Connector, Delivery
from licentia.crypto.webhooks import TOLERANCE_SECONDS, StandardWebhooks
from licentia.settings import SettingsError
from licentia_integrations.incoming import LONGEST_ID, Secrets, secrets_of

PREFIXES = ("whsec_", "whpk_")


class StandardSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings that all of these connectors have.

    Attributes:
        secret: `whsec_...`, the same without its prefix, or `whpk_...`, a public key.
        tolerance_seconds: how far the signed time may lie from when the delivery came.
    """

    secret: Secrets
    tolerance_seconds: Annotated[int, Meta(ge=1, le=3600)] = TOLERANCE_SECONDS


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A payload of Standard Webhooks; `timestamp` is when it happened."""

    type: Annotated[str, Meta(max_length=200)]
    data: msgspec.Raw
    timestamp: str | None = None


class StandardConnector(Connector):
    """A connector whose deliveries are signed by Standard Webhooks 1.0.

    Args:
        name: of the connector.
        settings: its table, as it came.
        given: the same, read.

    Raises:
        SettingsError: the secret is none of Standard Webhooks.
    """

    def __init__(self, name: str, settings: Mapping[str, Any], given: StandardSettings) -> None:
        super().__init__(name, settings)
        keys = [key if key.startswith(PREFIXES) else f"whsec_{key}" for key in secrets_of(given.secret)]
        try:
            self._webhooks = StandardWebhooks(keys, given.tolerance_seconds)
        except ValueError as error:
            raise SettingsError(f"[connector.{name}]: `secret`: {error}") from None

    async def _authenticate(self, delivery: Delivery) -> None:
        self._webhooks.verify(delivery.headers, delivery.body, delivery.received_at)

    def _delivery_id(self, delivery: Delivery) -> str:
        """The `webhook-id`, which is the same when the delivery is sent again."""
        told = delivery.headers.get("webhook-id", "")
        return told if 0 < len(told) <= LONGEST_ID else super()._delivery_id(delivery)
