"""The settings of `[connector.hubspot]`."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from licentia_integrations.incoming import Secrets
from licentia_integrations.remote import Api

Stage = Annotated[str, Meta(min_length=1, max_length=100)]


class HubSpotSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of the app; docs/plugins/hubspot.md explains each."""

    secret: Secrets
    public_url: Annotated[str, Meta(pattern=r"^https://[^\s#]+$")] | None = None
    won_stages: tuple[Stage, ...] = ("closedwon",)
    lost_stages: tuple[Stage, ...] = ("closedlost",)
    api: Api | None = None
