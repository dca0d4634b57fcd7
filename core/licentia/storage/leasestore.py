"""Where batches of wishes become durable: one transaction for all of them, on a connection of its own.

An answer leaves only after the commit. Tortoise is not used here: at thousands of checkouts a second
its layers cost more than the database.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from licentia.domain.seats import Outcome, Wish
from licentia.storage.eventlog import Mark, is_committed
from licentia.storage.ledger import settle
from licentia.storage.retrying import persist
from licentia.storage.statements import Clock, Query, Row, Step, Work, Write, for_postgres, for_sqlite, marked

T = TypeVar("T")

ANSWERED_WITHIN = 20.0
"""Seconds after which a PostgreSQL that does not answer counts as lost."""


class LeaseStore(ABC):
    """The seat ledger of one database, for one process."""

    @abstractmethod
    async def apply(self, batch: Sequence[Wish]) -> list[Outcome]:
        """Judge the wishes in one transaction, in their order; their outcomes, once these are durable.

        Raises:
            an error of the database, after it was tried again where that makes sense; nothing has happened then,
            or, if the database went away for longer than that, it is not known.
        """

    @abstractmethod
    async def close(self) -> None:
        """Give up the connection."""


def lease_store(url: str) -> LeaseStore:
    """The store for a database URL, which connects when it is first used."""
    if url.startswith("sqlite:///"):
        return SqliteLeaseStore(url.removeprefix("sqlite:///"))
    return PostgresLeaseStore(url)


class SqliteLeaseStore(LeaseStore):
    """One writer thread; processes take turns by a lock on a file, which is fairer than SQLite's busy handler."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="licentia-ledger")
        self._connection: sqlite3.Connection | None = None
        self._queue = -1

    async def apply(self, batch: Sequence[Wish]) -> list[Outcome]:
        """See `LeaseStore.apply`; one hop into the thread and back for the whole batch."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._settled, batch)

    async def close(self) -> None:
        """Close the file, when the last batch is done."""
        if self._connection is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._closed)
        self._thread.shutdown()

    def _settled(self, batch: Sequence[Wish]) -> list[Outcome]:
        connection = self._connection or self._connected()
        fcntl.flock(self._queue, fcntl.LOCK_EX)
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                outcomes, _ = self._run(settle(batch), connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        finally:
            fcntl.flock(self._queue, fcntl.LOCK_UN)
        return outcomes

    def _connected(self) -> sqlite3.Connection:
        self._connection = connection = sqlite3.connect(
            self._path, isolation_level=None, timeout=15, cached_statements=512, check_same_thread=False
        )
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        self._queue = os.open(f"{self._path}-lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return connection

    def _closed(self) -> None:
        assert self._connection is not None
        self._connection.close()
        os.close(self._queue)
        self._connection = None

    def _run(self, work: Work[T], connection: sqlite3.Connection) -> T:
        try:
            step = next(work)
            while True:
                step = work.send(self._done(step, connection))
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    def _done(self, step: Step, connection: sqlite3.Connection) -> Sequence[Any]:
        match step:
            case Query():
                return connection.execute(*marked(step)).fetchall()
            case Clock():
                return [{"now": time.time_ns() // 1000}]
            case Write(changes):
                for change in changes:
                    connection.executemany(*for_sqlite(change))
        return ()


class PostgresLeaseStore(LeaseStore):
    """One connection, made again when it is lost; what became of a batch whose COMMIT was not answered is looked up."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Any = None

    async def apply(self, batch: Sequence[Wish]) -> list[Outcome]:
        """See `LeaseStore.apply`."""
        outcomes: list[Outcome] = []
        mark: Mark | None = None

        async def once() -> list[Outcome]:
            nonlocal outcomes, mark
            try:
                connection = await self._connected()
                if mark is not None and await self._in_transaction(is_committed(mark), connection):
                    return outcomes
                mark = None
                await connection.execute("BEGIN")
                outcomes, mark = await self._run(settle(batch), connection)
                await connection.execute("COMMIT")
            except BaseException:
                await self._dropped()
                raise
            return outcomes

        return await persist(once)

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            await self._connection.close(timeout=5)
            self._connection = None

    async def _connected(self) -> Any:
        if self._connection is None or self._connection.is_closed():
            import asyncpg

            # The planner must not take a table for small that was small when it looked first.
            settings = {
                "synchronous_commit": "on",
                "idle_in_transaction_session_timeout": "60000",
                "jit": "off",
                "enable_seqscan": "off",
                "max_parallel_workers_per_gather": "0",
                "plan_cache_mode": "force_generic_plan",
            }
            self._connection = await asyncpg.connect(
                self._url, timeout=10, command_timeout=ANSWERED_WITHIN, server_settings=settings
            )
        return self._connection

    async def _dropped(self) -> None:
        """Let go of a connection after an error: whatever state it is in, the next batch has a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def _in_transaction(self, work: Work[T], connection: Any) -> T:
        async with connection.transaction():
            return await self._run(work, connection)

    async def _run(self, work: Work[T], connection: Any) -> T:
        try:
            step = next(work)
            while True:
                step = work.send(await self._done(step, connection))
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    async def _done(self, step: Step, connection: Any) -> Sequence[Row]:
        if isinstance(step, Query):
            return await connection.fetch(step.sql, *step.values)  # type: ignore[no-any-return]
        if isinstance(step, Write):
            sql, values = for_postgres(step)
            await connection.execute(sql, *values)
        return ()
