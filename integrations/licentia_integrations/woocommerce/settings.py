"""The settings of `[connector.woocommerce]`."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import httpx
import msgspec
from msgspec import Meta

from licentia_integrations.incoming import Secret, Secrets
from licentia_integrations.remote import LOCAL

Status = Annotated[str, Meta(min_length=1, max_length=50)]


class WooCommerceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of the shop; docs/plugins/woocommerce.md explains each."""

    secret: Secrets
    paid_statuses: Annotated[tuple[Status, ...], Meta(min_length=1)] = ("processing", "completed")
    url: Annotated[str, Meta(pattern=r"^https?://[^/?#@\s]+(/[^?#\s]*)?$")] | None = None
    consumer_key: Secret | None = None
    consumer_secret: Secret | None = None
    poll_from: date | None = None
    customer_note: Annotated[str, Meta(max_length=1000)] = "Your license ticket: {ticket}"

    def __post_init__(self) -> None:
        if len({value is None for value in (self.url, self.consumer_key, self.consumer_secret)}) > 1:
            raise ValueError("`url`, `consumer_key` and `consumer_secret` belong together")
        if self.url and not self.url.startswith("https://") and httpx.URL(self.url).host not in LOCAL:
            raise ValueError("`url` must begin with https://, as a key goes there")
        if self.customer_note and "{ticket}" not in self.customer_note:
            raise ValueError("`customer_note` must have {ticket} in it, or be empty")
