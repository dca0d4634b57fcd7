"""The settings of `[binding.azure]`."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Name = Annotated[str, Meta(min_length=1, max_length=64)]
HOSTS = (
    "www.microsoft.com",
    "caissuers.microsoft.com",
    "cacerts.digicert.com",
    "cacerts.digicert.cn",
    "cacerts.geotrust.com",
)
"""Where Azure's authorities publish their certificates: "Azure Certificate Authority details", Microsoft Learn."""


class AzureSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which machines are welcome, and who vouches for them; docs/plugins/azure.md explains each."""

    region: Name | Annotated[tuple[Name, ...], Meta(min_length=1)] | None = None
    subscriptions: tuple[Name, ...] = ()
    trust: str | None = None
    fetch_from: tuple[Name, ...] = HOSTS
    timeout_seconds: Annotated[int, Meta(ge=1, le=60)] = 5

    @property
    def regions(self) -> tuple[str, ...]:
        """The regions that are welcome; empty: all."""
        return (self.region,) if isinstance(self.region, str) else self.region or ()
