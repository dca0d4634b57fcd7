"""Tortoise's SQLite client, made safe for several processes on one file.

As shipped it begins transactions in deferred mode, so that two processes that read before they write
fail with "database is locked" (SQLite, "File Locking And Concurrency", section 5). Here a
transaction begins in immediate mode, after an advisory lock on a file beside the database: SQLite's
own busy handler sleeps and is unfair, a lock queue is not.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
from typing import Any

from tortoise.backends.base.client import TransactionContext
from tortoise.backends.sqlite.client import SqliteClient, SqliteTransactionContext, SqliteTransactionWrapper
from tortoise.exceptions import OperationalError


class Client(SqliteClient):
    """A client whose transactions write, one process at a time."""

    def __init__(self, file_path: str, **options: Any) -> None:
        super().__init__(file_path, **options)
        self._queue: int | None = None

    def _in_transaction(self) -> TransactionContext:
        return SqliteTransactionContext(_Transaction(self), self._lock)

    async def close(self) -> None:
        """Close the file and leave the queue."""
        await super().close()
        if self._queue is not None:
            os.close(self._queue)
            self._queue = None

    async def enter_queue(self) -> None:
        """Wait until no other process writes."""
        if self._queue is None:
            self._queue = os.open(f"{self.filename}-lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._queue, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            await asyncio.to_thread(fcntl.flock, self._queue, fcntl.LOCK_EX)

    def leave_queue(self) -> None:
        """Let the next process write."""
        if self._queue is not None:
            fcntl.flock(self._queue, fcntl.LOCK_UN)


class _Transaction(SqliteTransactionWrapper):
    """One transaction of `Client`."""

    _parent: Client

    async def begin(self) -> None:
        await self._parent.enter_queue()
        try:
            await self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            self._parent.leave_queue()
            raise OperationalError(error) from error

    async def commit(self) -> None:
        try:
            await super().commit()
        finally:
            self._parent.leave_queue()

    async def rollback(self) -> None:
        try:
            await super().rollback()
        finally:
            self._parent.leave_queue()


client_class = Client
