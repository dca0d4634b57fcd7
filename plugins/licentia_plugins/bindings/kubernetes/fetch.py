"""The keys of a cluster as the server has them: out of a file, or fetched from where the cluster publishes them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import monotonic
from typing import Protocol

import structlog
from joserfc.jwk import Key

from licentia.errors import Unavailable
from licentia.fetching import FetchError, get
from licentia.settings import SettingsError
from licentia_plugins.bindings.kubernetes.tokens import key_set

MAX_DOCUMENT_BYTES = 64 * 1024
RETRY_SECONDS = 5
"""How long a failed fetch is not tried again."""

REFETCH_SECONDS = 30
"""How often tokens with unknown keys may make us ask again."""

STALE_SECONDS = 86_400
"""How long keys serve while the cluster does not answer."""

log = structlog.get_logger(__name__)


class Keys(Protocol):
    """Where the keys of a cluster come from."""

    async def current(self, wanted: str | None) -> tuple[Key, ...]:
        """The keys; asked for anew if the wanted one is not among them. Unavailable if they cannot be had."""


class KeysOfFile:
    """The keys of a file, read once. SettingsError if it is no key set."""

    def __init__(self, path: Path) -> None:
        try:
            if path.stat().st_size > MAX_DOCUMENT_BYTES:
                raise ValueError(f"it has more than {MAX_DOCUMENT_BYTES} bytes")
            self._keys = key_set(path.read_bytes())
        except OSError as error:
            raise SettingsError(f"{path}: {error.strerror or error}") from None
        except ValueError as error:
            raise SettingsError(f"{path}: this is no set of public keys (JWKS): {error}") from None

    async def current(self, wanted: str | None) -> tuple[Key, ...]:
        """The keys."""
        return self._keys


class KeysOfUrl:
    """The keys that are published at a URL, fetched by one task at a time, when they are needed."""

    def __init__(self, url: str, cache_seconds: int, timeout_seconds: int) -> None:
        self._url = url
        self._cache_seconds = cache_seconds
        self._timeout = timeout_seconds
        self._keys: tuple[Key, ...] = ()
        self._fetched_at = self._asked_at = float("-inf")
        self._failed = False
        self._lock = asyncio.Lock()

    async def current(self, wanted: str | None) -> tuple[Key, ...]:
        """The keys, fetched if they are too old, and at most every 30 seconds if the wanted one is missing."""
        async with self._lock:
            since = monotonic() - self._asked_at
            old = monotonic() - self._fetched_at > self._cache_seconds
            if since >= (RETRY_SECONDS if self._failed else REFETCH_SECONDS) and (old or not self._has(wanted)):
                await self._renew()
        if (self._failed and not self._has(wanted)) or monotonic() - self._fetched_at > STALE_SECONDS:
            raise Unavailable(f"The keys of {self._url} cannot be fetched now.", retry_after_seconds=RETRY_SECONDS)
        return self._keys

    def _has(self, wanted: str | None) -> bool:
        return any(wanted in (None, key.kid) for key in self._keys)

    async def _renew(self) -> None:
        self._asked_at = monotonic()
        try:
            document = await get(self._url, seconds=self._timeout, max_bytes=MAX_DOCUMENT_BYTES)
            self._keys = key_set(document)
            self._fetched_at, self._failed = monotonic(), False
        except (FetchError, ValueError) as error:
            self._failed = True
            reason = f"{type(error).__name__}: {error}"[:300]
            log.warning("kubernetes_keys_not_fetched", url=self._url, reason=reason)
