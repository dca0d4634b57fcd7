"""The settings of `[binding.gcp]`."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Name = Annotated[str, Meta(min_length=1, max_length=128)]
KEYS_URL = "https://www.googleapis.com/oauth2/v3/certs"


class GcpSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which machines are welcome, and where Google's keys come from; docs/plugins/gcp.md explains each."""

    region: Name | Annotated[tuple[Name, ...], Meta(min_length=1)] | None = None
    projects: tuple[Name, ...] = ()
    audience: Annotated[str, Meta(min_length=1, max_length=2048)] | None = None
    trust: str | None = None
    keys_url: Annotated[str, Meta(pattern=r"^https?://[^/?#@\s]+/[^?#\s]*\Z")] = KEYS_URL
    timeout_seconds: Annotated[int, Meta(ge=1, le=60)] = 5
    cache_seconds: Annotated[int, Meta(ge=1, le=86_400)] = 3600
    stale_seconds: Annotated[int, Meta(ge=1, le=604_800)] = 86_400

    @property
    def regions(self) -> tuple[str, ...]:
        """The regions that are welcome; empty: all."""
        return (self.region,) if isinstance(self.region, str) else self.region or ()
