"""Adding up past hours, days and months once and for all, so that a report over years reads few rows."""

from __future__ import annotations

import asyncio
import contextlib
import random
from functools import partial

import structlog

from licentia.domain.instants import DAY, to_micros
from licentia.domain.usage import LEVELS, Level, Marks, after, floor
from licentia.storage import usagestore
from licentia.storage.database import Database
from licentia.storage.retrying import persist

log = structlog.get_logger(__name__)

GRACE = 300_000_000
"""Microseconds after its end at which an hour is added up at the earliest: a clock may be set back by so much."""
EVERY = 300.0
"""Seconds between two looks whether an hour is over."""
HOURS = 24
"""How many hours are added up at once at most, when many are missing."""
FEW = 2000
"""With more sums than this, hours are added up one at a time."""


class Rollup:
    """The work of one process. Several may do it at once: each period is written by one of them, in one transaction.

    `keep_days` is for how long past leases and denials are kept once they are added up; 0 is for ever.
    """

    def __init__(self, database: Database, keep_days: int) -> None:
        self._database = database
        self._keep_days = keep_days
        self._stopped = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to work every few minutes, the first time soon."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop after the transaction that runs now."""
        self._stopped.set()
        if self._task is not None:
            await self._task

    async def catch_up(self) -> None:
        """Add up all periods that are final, then delete what is kept no longer."""
        await self.add_up(await persist(self._final))
        if self._keep_days:
            await self._prune()

    async def add_up(self, final: int) -> None:
        """Add up all periods that end at `final` (microseconds since the Unix epoch) or before and are not added up."""
        hours = 1
        while not self._stopped.is_set():
            async with self._database.read() as connection:
                marks = await usagestore.marks(connection)
            due = _due(marks, final, hours)
            if due is None:
                break
            found = await persist(partial(self._write, *due))
            hours = min(hours * 2, HOURS) if found < FEW else 1

    async def _run(self) -> None:
        wait = random.uniform(0.1, 0.3) * EVERY  # noqa: S311
        while not await self._stopped_within(wait):
            try:
                await self.catch_up()
            except Exception:
                log.exception("usage_not_added_up")
            wait = EVERY

    async def _stopped_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopped.wait()
        return self._stopped.is_set()

    async def _final(self) -> int:
        async with self._database.write() as tx:
            final = await usagestore.final(tx, GRACE)
            if not (await usagestore.marks(tx)).hour:
                await usagestore.start(tx, final)
        return final

    async def _write(self, level: Level, begins: int, ends: int) -> int:
        """Write the sums of a time; how many there are. They are read before, when nobody has to wait."""
        async with self._database.read() as connection:
            if level == "hour":
                hours = range(begins, ends, after("hour", 0))
                periods = await usagestore.of_hours(connection, hours)
            else:
                periods = await usagestore.of_periods(connection, level, begins, ends)
        async with self._database.write() as tx:
            await tx.run(usagestore.advance(level, begins, ends, periods))
        return len(periods)

    async def _prune(self) -> None:
        async with self._database.write() as tx:
            now = to_micros(await tx.now())
            before = floor("hour", min(now - self._keep_days * DAY, (await usagestore.marks(tx)).hour))
            if before > 0:
                await usagestore.forget(tx, before)
        more = before > 0
        while more and not self._stopped.is_set():
            async with self._database.write() as tx:
                more = await usagestore.prune(tx, before)


def _due(marks: Marks, final: int, hours: int) -> tuple[Level, int, int] | None:
    """The next time to add up, of the coarsest level that can be; None if there is none yet."""
    until = dict(zip(LEVELS, (final, marks.hour, marks.day), strict=True))
    for level in reversed(LEVELS):
        begins = getattr(marks, level)
        most = hours if level == "hour" else 1
        ends = begins
        for _ in range(most):
            if after(level, ends) <= until[level]:
                ends = after(level, ends)
        if ends > begins:
            return level, begins, ends
    return None
