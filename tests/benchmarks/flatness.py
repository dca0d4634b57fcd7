"""Whether a checkout costs the same when there is a thousand times more, and by which plans it is found.

Two databases are measured in turns, so that a disturbance hits both alike: one stays small, the other
grows. What is timed is whole batches at the store: many claims, then the releases of these.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence

import msgspec
from figures import Figure
from servers import database

from licentia.cli.loops import loop_factory
from licentia.cli.measuring.stock import SPREAD, Stock, lay_in, release
from licentia.storage.database import Database
from licentia.storage.leasestore import LeaseStore, lease_store

BATCH = 256
PLENTY = Stock("bench-hot", 1, 10_000_000)
GOAL = 1.2

_FILL = """
INSERT INTO lease (id, parts, pool_id, user_id, seats, charged, granted_at, expires_at, state)
WITH RECURSIVE counted(n) AS (SELECT CAST($1 AS bigint) UNION ALL SELECT n + 1 FROM counted WHERE n + 1 < $2)
SELECT 'live-' || n, 1, $3 || '-' || (CASE WHEN n % 2 = 0 THEN 0 ELSE n % 1000 END),
  'someone', 1, 1, $4, $4 + 86400000000 + n, 'live' FROM counted WHERE n % 2 = $5
"""
_COUNT = (
    "UPDATE seat_pool SET seats = 100000000, in_use = (SELECT count(*) FROM lease l WHERE l.pool_id = seat_pool.id)"
    " WHERE id IN (SELECT DISTINCT pool_id FROM lease)"
)

Curves = dict[str, list[tuple[float, float]]]


class Growth(msgspec.Struct, frozen=True):
    """What grows, in which steps, and how."""

    what: str
    steps: tuple[int, ...]
    grow: Callable[[Database, int, int], Awaitable[None]]


async def more_leases(database: Database, before: int, count: int) -> None:
    """Live leases up to so many: half of them on the very license that is measured, half on a thousand others."""
    async with database.write() as tx:
        now = int((await tx.now()).timestamp() * 1e6)
        await tx.rows(_FILL, before, count, PLENTY.product_code, now, 0)
        await tx.rows(_FILL, before, count, SPREAD.product_code, now, 1)
        await tx.rows(_COUNT)
        await tx.rows("ANALYZE")


async def more_licenses(database: Database, before: int, count: int) -> None:
    """Licenses of other users, up to so many."""
    await lay_in(database, Stock(f"bench-{count}", count - before, 10))
    async with database.write() as tx:
        await tx.rows("ANALYZE")


def growths(*, quick: bool) -> tuple[Growth, Growth]:
    """Of leases and of licenses; the quick ones stop early."""
    leases, licenses = (1_000, 10_000, 100_000, 1_000_000), (10, 1_000, 100_000)
    return (
        Growth("live leases", leases[:2] if quick else leases, more_leases),
        Growth("licenses", licenses[:2] if quick else licenses, more_licenses),
    )


def measure(server: str | None, growth: Growth, batches: int, then: Callable[[str], None]) -> tuple[Figure, Curves]:
    """The cost at the last step against the first, and the microseconds at each; `then` looks at the grown database."""
    name = "PostgreSQL" if server else "SQLite"
    stocks = (PLENTY, SPREAD) if growth.grow is more_leases else (PLENTY,)
    with database(server, stocks) as small, database(server, stocks) as grown:
        points: list[tuple[float, float]] = []
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(_grow(small, growth, 0, growth.steps[0]))
            for before, count in itertools.pairwise((0, *growth.steps)):
                runner.run(_grow(grown, growth, before, count))
                costs = runner.run(_in_turns([small, grown], batches))
                points.append((float(count), costs[1] / costs[0]))
        then(grown)
    figure = Figure(
        what=f"checkout and release, {name}, {growth.steps[-1]:,} {growth.what}",
        value=costs[1],
        unit=" us",
        reference=f"the same with {growth.steps[0]:,}",
        reference_value=costs[0],
        ratio=costs[1] / costs[0],
        goal=GOAL,
        less_is_better=True,
    )
    return figure, {f"{name}, {growth.what}": points}


async def _grow(url: str, growth: Growth, before: int, count: int) -> None:
    database = await Database.open(url)
    try:
        await growth.grow(database, before, count)
        # What was written at once would be moved to its place while we measure.
        async with database.read() as connection:
            await connection.rows(
                "CHECKPOINT" if connection.dialect == "postgres" else "PRAGMA wal_checkpoint(TRUNCATE)"
            )
    finally:
        await database.close()


async def _in_turns(urls: Sequence[str], batches: int) -> list[float]:
    """Microseconds of a checkout with its release in each of these databases: the median of many batches."""
    stores = [lease_store(url) for url in urls]
    costs: list[list[float]] = [[] for _ in stores]
    try:
        for number in range(batches + 2):
            for store, seconds in zip(stores, costs, strict=True):
                seconds.append(await _batch(store, number))
    finally:
        for store in stores:
            await store.close()
    return [statistics.median(seconds[2:]) / BATCH * 1e6 for seconds in costs]


async def _batch(store: LeaseStore, number: int) -> float:
    leases = [f"flat-{number}-{place}" for place in range(BATCH)]
    claims = [PLENTY.claim(lease, 0) for lease in leases]
    releases = [release(lease) for lease in leases]
    began = time.perf_counter()
    await store.apply(claims)
    await store.apply(releases)
    return time.perf_counter() - began
