"""Fetching an issuer's public keys: its discovery document, then its key set (JWKS)."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

import httpx
import msgspec
import structlog
from joserfc.jwk import JWKRegistry, Key

from licentia_plugins.directories.oidc.settings import OidcSettings

MAX_DOCUMENT_BYTES = 256 * 1024
"""Ten times what large issuers publish; more is not read, whatever the issuer sends."""

MIN_RSA_MODULUS_CHARACTERS = 342
"""2048 bits in base64url; RFC 7518 section 3.3 forbids shorter RSA keys."""

T = TypeVar("T")
log = structlog.get_logger(__name__)


class FetchError(Exception):
    """The keys could not be had; the message says at which step and why."""


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
    try:
        limit = settings.timeout_seconds
        async with asyncio.timeout(limit), httpx.AsyncClient(timeout=limit) as client:
            url = settings.jwks_url or await _discover(client, settings)
            published = await _get(client, url, _KeySet)
    except TimeoutError:
        raise FetchError(f"no answer within {limit} s") from None
    keys = tuple(key for jwk in published.keys if (key := _usable(jwk)) is not None)
    if not keys:
        raise FetchError(f"{url} holds no key of use here")
    return keys


async def _discover(client: httpx.AsyncClient, settings: OidcSettings) -> str:
    url = f"{settings.issuer.rstrip('/')}/.well-known/openid-configuration"
    found = await _get(client, url, _Discovery)
    if found.issuer != settings.issuer:
        raise FetchError(f"{url} is of the issuer {found.issuer!r}, not {settings.issuer!r}")
    if not settings.may_fetch(found.jwks_uri):
        raise FetchError(f"{url} names a `jwks_uri` that does not begin with https://")
    return found.jwks_uri


async def _get(client: httpx.AsyncClient, url: str, wanted: type[T]) -> T:
    body = bytearray()
    try:
        async with client.stream("GET", url, headers={"Accept-Encoding": "identity"}) as reply:
            if reply.status_code != 200:
                raise FetchError(f"{url} answered with status {reply.status_code}")
            async for chunk in reply.aiter_raw():
                body += chunk
                if len(body) > MAX_DOCUMENT_BYTES:
                    raise FetchError(f"{url} sent more than {MAX_DOCUMENT_BYTES} bytes")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise FetchError(f"{url} cannot be reached: {type(error).__name__}: {error}") from None
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
