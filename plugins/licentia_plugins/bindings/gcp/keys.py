"""Google's public keys: as Google publishes them now, or out of a folder."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import msgspec
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from licentia.crypto import rsa
from licentia.crypto.certificates import CertificateError, read, unwrapped
from licentia.errors import Unavailable
from licentia.fetching import FetchError, fetch
from licentia_plugins.bindings.gcp.token import Jwk, rsa_key

MAX_BYTES = 128 * 1024
MAX_FILES = 100
REFETCH_SECONDS = 30
"""How often an unknown key, or a failure, may make us ask again."""

log = structlog.get_logger(__name__)


class Keys(ABC):
    """A source of Google's keys."""

    @abstractmethod
    async def known(self, kid: str) -> Mapping[str, Jwk]:
        """All keys by their ids, after `kid` was looked for; Unavailable if nobody can say which there are."""


class PinnedKeys(Keys):
    """The keys of a folder: files `*.json` with a key set (RFC 7517), and certificates `KEYID.pem`."""

    def __init__(self, folder: Path) -> None:
        """Read the folder.

        Raises:
            ValueError: it holds no key of use; the message names the file that is wrong.
            OSError: it cannot be read.
        """
        files = sorted(path for path in folder.iterdir() if path.suffix in (".json", ".pem") and path.is_file())
        self._keys: dict[str, Jwk] = {}
        for path in files[:MAX_FILES]:
            try:
                self._keys |= _certified(path) if path.suffix == ".pem" else key_set(path.read_bytes())
            except (ValueError, CertificateError) as error:
                raise ValueError(f"{path}: {error}") from None
        if not self._keys:
            raise ValueError(f"{folder} holds no key: a key set in a file `*.json`, or certificates `KEYID.pem`")

    async def known(self, kid: str) -> Mapping[str, Jwk]:
        """The keys of the folder."""
        return self._keys


class FetchedKeys(Keys):
    """The keys as they are published at an address, kept for a while, fetched by one task at a time."""

    def __init__(self, url: str, *, seconds: float, cache_seconds: float, stale_seconds: float) -> None:
        parts = urlsplit(url)
        self._url, self._seconds = url, seconds
        self._hosts = (parts.netloc,)
        self._cache_seconds, self._stale_seconds = cache_seconds, stale_seconds
        self._keys: Mapping[str, Jwk] = {}
        self._fetched_at = self._asked_at = float("-inf")
        self._failed = False
        self._one = asyncio.Lock()

    async def known(self, kid: str) -> Mapping[str, Jwk]:
        """The keys, fetched if they are old or `kid` is not among them.

        Raises:
            Unavailable: Google does not answer, and the keys at hand are too old, or this one is not among them.
        """
        if self._wanting(kid):
            async with self._one:
                if self._wanting(kid) and monotonic() - self._asked_at >= REFETCH_SECONDS:
                    await self._fetch()
        if self._failed and (kid not in self._keys or monotonic() - self._fetched_at > self._stale_seconds):
            raise Unavailable(
                f"Google's keys cannot be fetched now from {self._url}.",
                help="Let the server reach that address, or put the keys into a folder that `trust` names.",
                retry_after_seconds=REFETCH_SECONDS,
            )
        return self._keys

    def _wanting(self, kid: str) -> bool:
        return kid not in self._keys or monotonic() - self._fetched_at > self._cache_seconds

    async def _fetch(self) -> None:
        self._asked_at = monotonic()
        try:
            published = await fetch(self._url, hosts=self._hosts, seconds=self._seconds, max_bytes=MAX_BYTES)
            self._keys = key_set(published)
            self._fetched_at, self._failed = self._asked_at, False
        except (FetchError, ValueError) as error:
            self._failed = True
            log.warning("gcp_keys_not_fetched", url=self._url, reason=str(error))


class _KeySet(msgspec.Struct):
    keys: list[dict[str, Any]]


def key_set(document: bytes) -> dict[str, Jwk]:
    """The RSA keys of a key set that have an id and 2048 bits or more, by their ids; others are left out.

    Raises:
        ValueError: it is no key set.
    """
    try:
        published = msgspec.json.decode(document, type=_KeySet).keys
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    return {str(jwk["kid"]): key for jwk in published if jwk.get("kid") and (key := _public(jwk))}


def _public(jwk: Mapping[str, Any]) -> Jwk | None:
    try:
        key = rsa_key(jwk)
        rsa.public_key(key.as_der(private=False))
    except (JoseError, ValueError, TypeError):
        return None
    return {**key.as_dict(private=False), "kid": str(jwk["kid"])}


def _certified(path: Path) -> dict[str, Jwk]:
    (der,) = unwrapped(path.read_bytes())
    jwk = RSAKey.import_key(_pem(read(der).key)).as_dict(private=False)
    return {path.stem: {**jwk, "kid": path.stem}}


def _pem(spki: bytes) -> str:
    key = rsa.public_key(spki).export_key("PEM")
    return key.decode("ascii")
