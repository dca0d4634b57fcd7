"""The settings of `[connector.fastspring]`."""

from __future__ import annotations

from datetime import date

import httpx
import msgspec

from licentia_integrations.incoming import Secret, Secrets
from licentia_integrations.remote import LOCAL, Url


class FastSpringSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of the store; docs/plugins/fastspring.md explains each."""

    secret: Secrets
    api_user: Secret | None = None
    api_password: Secret | None = None
    api_url: Url = "https://api.fastspring.com"
    poll_from: date | None = None

    def __post_init__(self) -> None:
        if (self.api_user is None) is not (self.api_password is None):
            raise ValueError("`api_user` and `api_password` belong together")
        if not self.api_url.startswith("https://") and httpx.URL(self.api_url).host not in LOCAL:
            raise ValueError("`api_url` must begin with https://, as a password goes there")
