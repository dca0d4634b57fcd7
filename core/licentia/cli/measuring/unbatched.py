"""The same promise without a ledger that batches: one transaction, one commit per checkout.

It counts a seat and notes a lease, in two small tables of its own; there is no audit trail, no token, and
no answer why. It is what a careful program without group commit can do at most on this database.
"""

from __future__ import annotations

import itertools
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from licentia.cli.measuring.stock import Stock
from licentia.cli.measuring.timing import Timed, in_flight

MOST_CONNECTIONS = 64
WARM_UP = 256
"""Checkouts before those that count."""

_TABLES = (
    "DROP TABLE IF EXISTS counter",
    "DROP TABLE IF EXISTS counted",
    "CREATE TABLE counter (id integer PRIMARY KEY, seats bigint NOT NULL, in_use bigint NOT NULL)",
    "CREATE TABLE counted (id text PRIMARY KEY, counter_id integer NOT NULL, expires_at bigint NOT NULL)",
)
_FILL = (
    "INSERT INTO counter WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < $1)"
    " SELECT n, 1000000000, 0 FROM numbers"
)
_BOTH = (
    "WITH taken AS (UPDATE counter SET in_use = in_use + 1 WHERE id = $2 AND in_use < seats RETURNING id)"
    " INSERT INTO counted (id, counter_id, expires_at) SELECT $1, id, $3 FROM taken"
)
_ONE_AFTER_THE_OTHER = (
    "UPDATE counter SET in_use = in_use + 1 WHERE id = $2 AND in_use < seats",
    "INSERT INTO counted (id, counter_id, expires_at) VALUES ($1, $2, $3)",
)


async def one_commit_each(url: str, stock: Stock, clients: int, seconds: float) -> Timed:
    """Checkouts for so long. On SQLite one after the other, as its writers are; on PostgreSQL on many connections."""
    if url.startswith("sqlite:///"):
        return _on_sqlite(url.removeprefix("sqlite:///"), stock, seconds)
    async with _pool(url, min(clients, MOST_CONNECTIONS), stock) as pool:

        async def checkout(number: int) -> None:
            await pool.execute(_BOTH, f"lease-{number}", number % stock.licenses, number)

        await in_flight(checkout, range(-WARM_UP, 0), clients)
        ends = time.monotonic() + seconds
        numbers = itertools.takewhile(lambda _: time.monotonic() < ends, itertools.count())
        return await in_flight(checkout, numbers, clients)


def _on_sqlite(path: str, stock: Stock, seconds: float) -> Timed:
    connection = sqlite3.connect(f"{path}-unbatched", isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        for statement in _TABLES:
            connection.execute(statement)
        connection.execute(_FILL, {"1": stock.licenses})
        return _one_by_one(lambda number: _checkout(connection, number, number % stock.licenses), seconds)
    finally:
        connection.close()


def _checkout(connection: sqlite3.Connection, number: int, license_number: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for statement in _ONE_AFTER_THE_OTHER:
        connection.execute(statement, {"1": f"lease-{number}", "2": license_number, "3": number})
    connection.execute("COMMIT")


def _one_by_one(checkout: Callable[[int], None], seconds: float) -> Timed:
    times: list[float] = []
    began = ended = time.monotonic()
    for number in itertools.count():
        checkout(number)
        now = time.monotonic()
        times.append(now - ended)
        ended = now
        if ended - began > seconds:
            break
    return Timed(began, ended, times)


@asynccontextmanager
async def _pool(url: str, size: int, stock: Stock) -> AsyncIterator[Any]:
    import asyncpg

    async with asyncpg.create_pool(
        url, min_size=size, max_size=size, server_settings={"synchronous_commit": "on"}, reset=_as_it_is
    ) as pool:
        for statement in _TABLES:
            await pool.execute(statement)
        await pool.execute(_FILL, stock.licenses)
        yield pool


async def _as_it_is(connection: Any) -> None:
    """Statements here leave nothing behind, so the pool need not clean a connection with a round trip."""
