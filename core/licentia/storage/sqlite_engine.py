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
import re
import sqlite3
from typing import Any

from tortoise.backends.base.client import NestedTransactionContext, TransactionalDBClient, TransactionContext
from tortoise.backends.sqlite.client import SqliteClient, SqliteTransactionContext, SqliteTransactionWrapper
from tortoise.connection import get_connections
from tortoise.exceptions import OperationalError


class Client(SqliteClient):
    """A client whose transactions write, one process at a time."""

    def __init__(self, file_path: str, **options: Any) -> None:
        super().__init__(file_path, **options)
        self._queue: int | None = None

    def _in_transaction(self) -> TransactionContext:
        return _Context(_Transaction(self), self._lock)

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

    def _in_transaction(self) -> TransactionContext:
        return NestedTransactionContext(_Transaction(self))

    async def execute_script(self, query: str) -> None:
        """Run one statement after the other: sqlite3's own `executescript` would commit first."""
        statement = ""
        for part in re.split("(?<=;)", query):
            statement += part
            if sqlite3.complete_statement(statement):
                await self.execute_query_dict(statement)
                statement = ""
        if statement.strip():
            await self.execute_query_dict(statement)

    async def begin(self) -> None:
        try:
            await self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            raise OperationalError(error) from error

    async def commit(self) -> None:
        try:
            await super().commit()
        except BaseException:
            await self.rollback()
            raise


class _Context(SqliteTransactionContext):
    """The block of one transaction: whatever happens, it leaves the connection and the queue to the next."""

    async def __aenter__(self) -> TransactionalDBClient:
        await self._trxlock.acquire()
        try:
            await self.ensure_connection()
            await self._parent.enter_queue()
            await self.connection.begin()
        except BaseException:
            self._parent.leave_queue()
            self._trxlock.release()
            raise
        client: TransactionalDBClient = self.connection
        self.token = get_connections().set(self.connection_name, client)
        return client

    async def __aexit__(self, *exit: Any) -> None:
        try:
            await super().__aexit__(*exit)
        finally:
            self._parent.leave_queue()

    @property
    def _parent(self) -> Client:
        parent: Client = self.connection._parent
        return parent


client_class = Client
