"""Fetching an issuer's public keys: its discovery document, then its key set (JWKS)."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

import msgspec
import structlog
from joserfc.jwk import JWKRegistry, Key

from licentia.fetching import FetchError, get
from licentia_plugins.directories.oidc.settings import OidcSettings

MAX_DOCUMENT_BYTES = 256 * 1024
"""Ten times what large issuers publish; more is not read, whatever the issuer sends."""

MIN_RSA_MODULUS_CHARACTERS = 342
"""2048 bits in base64url; RFC 7518 section 3.3 forbids shorter RSA keys."""

T = TypeVar("T")
log = structlog.get_logger(__name__)


class _Discovery(msgspec.Struct):
    issuer: str
    jwks_uri: str


class _KeySet(msgspec.Struct):
    keys: list[dict[str, Any]]


async def fetch_keys(settings: OidcSettings) -> tuple[Key, ...]:
    """The issuer's signature keys, as it publishes them now.

    Without `jwks_url` they are found by OpenID Connect Discovery 1.0, section 4, which requires that
    the document names the very issuer it was asked of.

    Raises:
        FetchError: the issuer cannot be reached in time, or what it answers is not usable.
    """
    limit = settings.timeout_seconds
    try:
        async with asyncio.timeout(limit):
            url = settings.jwks_url or await _discover(settings)
            published = await _get(url, _KeySet, limit)
    except TimeoutError:
        raise FetchError(f"no answer within {limit} s") from None
    keys = tuple(key for jwk in published.keys if (key := _usable(jwk)) is not None)
    if not keys:
        raise FetchError(f"{url} holds no key of use here")
    return keys


async def _discover(settings: OidcSettings) -> str:
    url = f"{settings.issuer.rstrip('/')}/.well-known/openid-configuration"
    found = await _get(url, _Discovery, settings.timeout_seconds)
    if found.issuer != settings.issuer:
        raise FetchError(f"{url} is of the issuer {found.issuer!r}, not {settings.issuer!r}")
    if not settings.may_fetch(found.jwks_uri):
        raise FetchError(f"{url} names a `jwks_uri` that does not begin with https://")
    return found.jwks_uri


async def _get(url: str, wanted: type[T], seconds: float) -> T:
    body = await get(url, seconds=seconds, max_bytes=MAX_DOCUMENT_BYTES)
    try:
        return msgspec.json.decode(body, type=wanted)
    except (ValueError, RecursionError) as error:
        raise FetchError(f"{url} did not send what it should: {error}") from None


def _usable(jwk: dict[str, Any]) -> Key | None:
    """The key, or None for one that is of no use here: RFC 7517 section 5 says to ignore those."""
    if jwk.get("kty") not in ("RSA", "EC", "OKP"):
        return None
    if jwk["kty"] == "RSA" and len(str(jwk.get("n"))) < MIN_RSA_MODULUS_CHARACTERS:
        return None
    try:
        return JWKRegistry.import_key(jwk)
    except Exception as error:
        log.warning("oidc_key_ignored", kid=str(jwk.get("kid"))[:100], reason=type(error).__name__)
        return None
