"""The settings of `[connector.stripe]`."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

import httpx
import msgspec
from msgspec import Meta

from licentia.crypto.webhooks import TOLERANCE_SECONDS
from licentia_integrations.incoming import Secret, Secrets
from licentia_integrations.remote import LOCAL

Written = Literal["subscriptions", "invoices", "payment_intents", "checkout_sessions", "charges"]
"""What has metadata, as the API calls it."""


class StripeSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of the account; docs/plugins/stripe.md explains each."""

    secret: Secrets
    api_key: Secret | None = None
    api_url: Annotated[str, Meta(pattern=r"^https?://[^/?#@\s]+/?$")] = "https://api.stripe.com"
    poll_from: date | None = None
    write_to: tuple[Written, ...] = ("subscriptions", "invoices", "payment_intents", "checkout_sessions", "charges")
    tolerance_seconds: Annotated[int, Meta(ge=1, le=86_400)] = TOLERANCE_SECONDS

    def __post_init__(self) -> None:
        if not self.api_url.startswith("https://") and httpx.URL(self.api_url).host not in LOCAL:
            raise ValueError("`api_url` must begin with https://, as a key goes there")
