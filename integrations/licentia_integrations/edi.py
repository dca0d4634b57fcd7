"""What connectors of electronic data interchange have in common: the secret, and how documents are meant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from licentia.connectors import Answering, Connector, Delivery
from licentia_integrations.incoming import Secrets, check_shown, secrets_of, settings_of


class EdiSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of the sender.

    Attributes:
        secret: what it shows, or several.
        complete_changes: a change tells all lines of the order, and not only those that change.
        qualify: the number of an order is unique with its buyer only.
    """

    secret: Secrets
    complete_changes: bool = False
    qualify: bool = False


class EdiConnector(Connector, Answering):
    """A connector of such documents."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(name, settings)
        self._given = settings_of(EdiSettings, name, settings)
        self._secrets = secrets_of(self._given.secret)

    async def _authenticate(self, delivery: Delivery) -> None:
        check_shown(delivery, self._secrets)
