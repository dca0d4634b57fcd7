"""Where the server gets the certificates between a signer and a known key, when it has none at hand."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from time import monotonic
from typing import TypeVar

import structlog

from licentia.crypto.certificates import Certificate, CertificateError, read, unwrapped
from licentia.fetching import FetchError, fetch

MAX_BYTES = 16 * 1024
MAX_KEPT = 256
MAX_AT_ONCE = 4
RETRY_SECONDS = 60
"""How long an address that failed is not asked again."""

T = TypeVar("T")
log = structlog.get_logger(__name__)


class Intermediates(ABC):
    """A source of certificates. None of them is trusted: each has to lead to a known key."""

    @abstractmethod
    async def at(self, urls: Sequence[str]) -> list[Certificate]:
        """What is found at the addresses that a certificate names for its issuer's; empty if nothing is."""


class FetchedIntermediates(Intermediates):
    """Fetched from the addresses themselves, as far as they are on the hosts allowed, and kept in memory."""

    def __init__(self, hosts: Sequence[str], seconds: float) -> None:
        self._hosts = hosts
        self._seconds = seconds
        self._kept: dict[str, list[Certificate]] = {}
        self._failed: dict[str, float] = {}
        self._places = asyncio.Semaphore(MAX_AT_ONCE)

    async def at(self, urls: Sequence[str]) -> list[Certificate]:
        """The certificates at the first of these addresses that has any."""
        for url in urls[:2]:
            if found := self._kept.get(url) or await self._fetched(url):
                return found
        return []

    async def _fetched(self, url: str) -> list[Certificate]:
        if monotonic() - self._failed.get(url, float("-inf")) < RETRY_SECONDS:
            return []
        try:
            async with self._places:
                data = await fetch(url, hosts=self._hosts, seconds=self._seconds, max_bytes=MAX_BYTES)
            found = [read(der) for der in unwrapped(data)]
        except (FetchError, CertificateError) as error:
            log.warning("azure_intermediate_not_fetched", url=url[:200], reason=str(error))
            _keep(self._failed, url, monotonic())
            return []
        _keep(self._kept, url, found)
        return found


def _keep(kept: dict[str, T], url: str, value: T) -> None:
    while len(kept) >= MAX_KEPT:
        del kept[next(iter(kept))]
    kept[url] = value
