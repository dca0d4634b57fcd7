"""The issuer's keys as this process has them: cached, and fetched anew by one task at a time."""

from __future__ import annotations

import asyncio
from time import monotonic

import structlog
from joserfc.jwk import Key

from licentia.errors import Unavailable
from licentia.fetching import FetchError
from licentia_plugins.directories.oidc.fetch import fetch_keys
from licentia_plugins.directories.oidc.settings import OidcSettings

RETRY_SECONDS = 5
"""How long a failed fetch is not tried again: an issuer that is down is neither flooded nor waited for long."""

log = structlog.get_logger(__name__)


class KeyCache:
    """The keys of one issuer.

    They are fetched when they are first needed, when they are older than `cache_seconds`, and when a
    token names one that is not among them. While the issuer does not answer, the old ones serve until
    they are `stale_seconds` old; nobody waits for an issuer that is already known to be down.
    """

    def __init__(self, name: str, settings: OidcSettings) -> None:
        self._name = name
        self._settings = settings
        self._keys: tuple[Key, ...] = ()
        self._fetched_at = float("-inf")
        self._asked_at = float("-inf")
        self._failed = False
        self._fetching: asyncio.Task[None] | None = None

    async def current(self) -> tuple[Key, ...]:
        """The keys, fetched if it is time.

        Raises:
            Unavailable: there are none, or they are too old to be trusted.
        """
        if self._age() > self._settings.cache_seconds:
            fetching = self._fetch()
            if fetching and not (self._failed and self._usable()):
                await asyncio.shield(fetching)
            if not self._usable():
                raise self._unavailable()
        return self._keys

    async def renewed(self) -> tuple[Key, ...]:
        """The keys after the issuer was asked again, at most every `refetch_seconds`.

        Raises:
            Unavailable: the issuer does not answer, so nobody can say whether it has new ones.
        """
        if fetching := self._fetch():
            await asyncio.shield(fetching)
        if self._failed:
            raise self._unavailable()
        return self._keys

    async def close(self) -> None:
        """Give up a fetch that is under way."""
        if self._fetching:
            self._fetching.cancel()
            await asyncio.wait([self._fetching])

    def _age(self) -> float:
        return monotonic() - self._fetched_at

    def _usable(self) -> bool:
        return self._age() <= self._settings.stale_seconds

    def _fetch(self) -> asyncio.Task[None] | None:
        """The fetch under way, which may be a new one; None if it is too early to ask again."""
        pause = RETRY_SECONDS if self._failed else self._settings.refetch_seconds
        if self._fetching is None and monotonic() - self._asked_at >= pause:
            self._asked_at = monotonic()
            self._fetching = asyncio.create_task(self._run())
        return self._fetching

    async def _run(self) -> None:
        try:
            self._keys = await fetch_keys(self._settings)
            self._fetched_at = monotonic()
            self._failed = False
        except Exception as error:
            self._failed = True
            unexpected = not isinstance(error, FetchError)
            log.warning("oidc_keys_not_fetched", directory=self._name, reason=str(error), exc_info=unexpected)
        finally:
            self._fetching = None

    def _unavailable(self) -> Unavailable:
        return Unavailable(
            f"directory({self._name}): the keys of {self._settings.issuer} cannot be fetched now.",
            retry_after_seconds=RETRY_SECONDS,
        )
