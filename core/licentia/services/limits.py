"""Counting what goes wrong, so that guessing is slow and a broken client does not flood the log."""

from __future__ import annotations

import math
import time

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from licentia.errors import TooManyRequests


class Limiter:
    """So many failures a minute for each key (an address, say), counted in this process."""

    def __init__(self, per_minute: int, what: str) -> None:
        self._limit = RateLimitItemPerMinute(per_minute)
        self._window = MovingWindowRateLimiter(MemoryStorage())
        self._what = what

    async def check(self, key: str) -> None:
        """Refuse if the limit is reached.

        Raises:
            TooManyRequests: with the seconds until the next try.
        """
        if not await self._window.test(self._limit, key):
            raise await self._refusal(key)

    async def failed(self, key: str) -> bool:
        """Count one failure; true while it is within the limit."""
        return await self._window.hit(self._limit, key)

    async def _refusal(self, key: str) -> TooManyRequests:
        reset = (await self._window.get_window_stats(self._limit, key)).reset_time
        wait = max(1, math.ceil(reset - time.time()))
        return TooManyRequests(f"Too many {self._what}; try again in {wait} seconds.", retry_after_seconds=wait)
