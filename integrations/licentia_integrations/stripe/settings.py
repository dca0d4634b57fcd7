"""The settings of `[connector.stripe]`."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from licentia.crypto.webhooks import TOLERANCE_SECONDS
from licentia_integrations.incoming import Secret, Secrets


class StripeSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of the account; docs/plugins/stripe.md explains each."""

    secret: Secrets
    api_key: Secret | None = None
    api_url: Annotated[str, Meta(pattern=r"^https?://[^/?#@\s]+/?$")] = "https://api.stripe.com"
    tolerance_seconds: Annotated[int, Meta(ge=1, le=86_400)] = TOLERANCE_SECONDS
