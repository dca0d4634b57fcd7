"""The settings of `[directory.oidc]`."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from licentia.contract.types import WHOLE

Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519"
]  # fmt: skip
"""Signatures with a public key only: `none` and the HMAC algorithms are never accepted (RFC 8725, section 3.1)."""

Url = Annotated[str, Meta(pattern=r"^https?://[^/?#@\s]+(/[^?#\s]*)?$" + WHOLE)]
ClaimName = Annotated[str, Meta(min_length=1, max_length=100)]


class OidcSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of the vendor's identity provider; docs/plugins/oidc.md explains each."""

    issuer: Url
    audience: Annotated[str, Meta(min_length=1)] | Annotated[list[str], Meta(min_length=1)]
    jwks_url: Url | None = None
    algorithms: Annotated[tuple[Algorithm, ...], Meta(min_length=1)] = ("RS256", "ES256", "Ed25519")
    user_claim: ClaimName = "sub"
    groups_claim: ClaimName = "groups"
    leeway_seconds: Annotated[int, Meta(ge=0, le=300)] = 30
    cache_seconds: Annotated[int, Meta(ge=1, le=86_400)] = 3600
    stale_seconds: Annotated[int, Meta(ge=1, le=604_800)] = 86_400
    refetch_seconds: Annotated[int, Meta(ge=1, le=3600)] = 30
    timeout_seconds: Annotated[int, Meta(ge=1, le=60)] = 5
    allow_http: bool = False

    def __post_init__(self) -> None:
        for name in ("issuer", "jwks_url"):
            url = getattr(self, name)
            if url is not None and not self.may_fetch(url):
                raise ValueError(f"`{name}` must begin with https:// (`allow_http` is for trying things out)")
        if self.stale_seconds < self.cache_seconds:
            raise ValueError("`stale_seconds` must not be below `cache_seconds`")

    @property
    def audiences(self) -> list[str]:
        """Whom a token may be meant for; one of them is enough."""
        return [self.audience] if isinstance(self.audience, str) else self.audience

    def may_fetch(self, url: str) -> bool:
        """Whether the scheme of this URL is good enough for keys to be fetched from it."""
        return urlsplit(url).scheme in (("http", "https") if self.allow_http else ("https",))
