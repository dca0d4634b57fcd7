"""The settings of `[connector.paddle]`."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import httpx
import msgspec
from msgspec import Meta

from licentia.crypto.webhooks import TOLERANCE_SECONDS
from licentia_integrations.incoming import Secret, Secrets
from licentia_integrations.remote import LOCAL, Url

LIVE, SANDBOX = "https://api.paddle.com", "https://sandbox-api.paddle.com"
"""Addresses of the API; developer.paddle.com/api-reference/about."""

LIVE_KEY, SANDBOX_KEY = "pdl_live_", "pdl_sdbx_"
"""How keys begin since 2025; older ones do not tell."""


class PaddleSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of the account; docs/plugins/paddle.md explains each."""

    secret: Secrets
    sandbox: bool = False
    tolerance_seconds: Annotated[int, Meta(ge=1, le=86_400)] = TOLERANCE_SECONDS
    api_key: Secret | None = None
    api_url: Url | None = None
    poll_from: date | None = None

    def __post_init__(self) -> None:
        if self.api_url and not self.api_url.startswith("https://") and httpx.URL(self.api_url).host not in LOCAL:
            raise ValueError("`api_url` must begin with https://, as a key goes there")
        if (self.api_key or "").startswith(LIVE_KEY if self.sandbox else SANDBOX_KEY):
            raise ValueError("`api_key` and `sandbox` are not of one account")

    @property
    def address(self) -> str:
        """Where the API is."""
        return (self.api_url or (SANDBOX if self.sandbox else LIVE)).rstrip("/")
