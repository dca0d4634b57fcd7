"""The settings of `[connector.shopify]`."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import msgspec
from msgspec import Meta

from licentia_integrations.incoming import Secrets
from licentia_integrations.remote import Api


class ShopifySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of the shop; docs/plugins/shopify.md explains each."""

    secret: Secrets
    poll_from: date | None = None
    api_version: Annotated[str, Meta(pattern=r"^(20\d\d-\d\d|unstable)$")] = "2026-10"
    api: Api | None = None
