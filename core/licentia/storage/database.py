"""The database: one URL, opened, migrated, read and written.

`write()` is the only way to change anything. What runs inside is one transaction, with the events
that record it; the caller must run it in a task that is not cancelled (`services.application` does),
as Tortoise leaks the connection of a transaction that is cancelled while it begins.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.backends.base.config_generator import expand_db_url
from tortoise.context import TortoiseContext, _current_context
from tortoise.exceptions import BaseORMException, ConfigurationError
from tortoise.migrations.executor import MigrationExecutor, MigrationTarget
from tortoise.transactions import in_transaction

from licentia.domain.instants import from_micros, to_micros
from licentia.storage.statements import CLOCK, Clock, Query, Row, Step, Work, Write, for_postgres, for_sqlite, marked

T = TypeVar("T")
APP = "licentia"
MIGRATIONS = "licentia.storage.migrations"
MIGRATING = int.from_bytes(b"licentia")
"""The key by which processes that migrate take turns."""


class DatabaseError(Exception):
    """The database cannot be used; the message says why and what to do, without its password."""


class Connection:
    """Raw SQL with `$1` placeholders, on either database."""

    def __init__(self, client: BaseDBAsyncClient, dialect: str) -> None:
        self.dialect = dialect
        self._client = client

    async def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """The rows of a query, or those that a `RETURNING` clause gives."""
        return await self._rows(Query(sql, values))

    async def _rows(self, query: Query) -> list[dict[str, Any]]:
        sql, values = (query.sql, [*query.values]) if self.dialect == "postgres" else marked(query)
        return await self._client.execute_query_dict(sql, values)

    async def row(self, sql: str, *values: Any) -> dict[str, Any] | None:
        """The first row, or None."""
        rows = await self.rows(sql, *values)
        return rows[0] if rows else None

    async def now(self) -> datetime:
        """The database's clock at this moment, not at the start of the transaction.

        SQLite runs inside this process, so its clock is ours. Every judgement of time inside a
        transaction uses this, after the row lock is held: a server whose own clock is wrong can
        neither grant nor free a seat wrongly.
        """
        if self.dialect == "sqlite":
            return datetime.now(UTC)
        row = await self.row(f"SELECT {CLOCK} AS now")
        assert row is not None
        return from_micros(row["now"])


class Transaction(Connection):
    """A connection inside a write transaction."""

    async def run(self, work: Work[T]) -> T:
        """Do the steps of a piece of work, one after the other; what it gives in the end."""
        try:
            step = next(work)
            while True:
                step = work.send(await self._done(step))
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    async def _done(self, step: Step) -> Sequence[Row]:
        match step:
            case Query():
                return await self._rows(step)
            case Clock():
                return [{"now": to_micros(await self.now())}]
            case Write() if self.dialect == "postgres":
                await self._client.execute_query_dict(*for_postgres(step))
            case Write(changes):
                for change in changes:
                    await self._client.execute_many(*for_sqlite(change))
        return ()

    async def take_turns(self, *keys: int) -> None:
        """Wait for every other transaction that named one of these keys; SQLite's transactions take turns anyway."""
        if self.dialect == "postgres" and keys:
            sql = "SELECT pg_advisory_xact_lock(key) FROM unnest($1::bigint[]) WITH ORDINALITY AS given(key, place)"
            await self.rows(f"{sql} ORDER BY place", sorted(keys))

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """A part that is undone alone when it raises."""
        async with self._client._in_transaction():
            yield


class Database:
    """One database with its connections. Make it with `Database.open`."""

    def __init__(self, url: str, context: TortoiseContext, config: dict[str, Any]) -> None:
        # Also the name of the connection: Tortoise keeps the SQL it has made by that name, for the whole process.
        self.dialect = config["apps"][APP]["default_connection"]
        self.shown_url = without_password(url)
        self._context = context
        self._config = config

    @classmethod
    async def open(cls, url: str) -> Database:
        """Connect, without touching the schema.

        Raises:
            DatabaseError: the URL is not understood, or nothing answers there.
        """
        try:
            config = _config(url)
        except (ValueError, ConfigurationError):  # Their words may hold the password.
            raise DatabaseError(
                f"The database URL {without_password(url)!r} is not understood: write postgres://user:password@host:port"
                "/name, special characters in percent-encoding. Check `database` in the settings."
            ) from None
        context = TortoiseContext()
        database = cls(url, context, config)
        try:
            with database._active():
                await context.init(config=config)
            async with database.read() as connection:
                await connection.rows("SELECT 1")
        except Exception as error:
            await database.close()
            raise DatabaseError(
                f"The database {database.shown_url} cannot be opened: {error}. Check `database` in the settings."
            ) from error
        return database

    async def close(self) -> None:
        """Close all connections."""
        with self._active():
            await self._context.close_connections()

    async def migrate(self) -> list[str]:
        """Bring the schema to what this code needs, and give the names of the steps that were missing.

        All steps are one transaction: a process that dies leaves the schema as it was, and one that
        starts at the same time waits.

        Raises:
            DatabaseError: the database was made by newer code.
        """
        if not await self.pending():
            return []
        async with self.write() as tx:
            await tx.take_turns(MIGRATING)
            executor = self._executor()
            # Tortoise looks for its table before it makes it, and a failed look spoils a transaction.
            await executor.recorder.ensure_schema(executor._schema_editor(atomic=False))
            missing = await self.pending()
            await executor.migrate([MigrationTarget(app_label=APP, name="__latest__")])
        return missing

    async def pending(self) -> list[str]:
        """The migrations that this database lacks.

        Raises:
            DatabaseError: the database has migrations that this code does not know.
        """
        # Tortoise takes a database that does not answer for one without tables.
        async with self.read() as connection:
            await connection.rows("SELECT 1")
        with self._active():
            executor = self._executor()
            await executor.loader.build_graph()
            known = {key.name for key in executor.loader.disk_migrations}
            applied = {key.name for key in executor.loader.applied_migrations if key.app_label == APP}
        if applied - known:
            raise DatabaseError(
                f"The database {self.shown_url} was made by a newer version of Licentia "
                f"({', '.join(sorted(applied - known))}). Install that version."
            )
        return sorted(known - applied)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Connection]:
        """A connection for queries; each sees what is committed."""
        with self._active():
            yield Connection(self._context.connections.get(self.dialect), self.dialect)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Transaction]:
        """A transaction: committed when the block ends, rolled back when it raises."""
        with self._active():
            async with in_transaction(self.dialect) as client:
                yield Transaction(client, self.dialect)

    def _executor(self) -> MigrationExecutor:
        return MigrationExecutor(self._context.connections.get(self.dialect), self._config["apps"])

    @contextmanager
    def _active(self) -> Iterator[None]:
        # Tortoise's own `with context:` keeps its token on the object and so cannot be entered by two tasks at once.
        token = _current_context.set(self._context)
        try:
            yield
        finally:
            _current_context.reset(token)


def is_transient(error: BaseException) -> bool:
    """Whether the whole transaction may simply be run again: a deadlock, a lost race, a lost connection."""
    causes = [error, error.__cause__, *(argument for argument in error.args if isinstance(argument, BaseException))]
    names = {name.__name__ for cause in causes if cause is not None for name in type(cause).__mro__}
    return bool(
        names
        & {
            "DeadlockDetectedError",
            "SerializationError",
            "UniqueViolationError",
            "PostgresConnectionError",
            "ConnectionDoesNotExistError",
            "CannotConnectNowError",
            "AdminShutdownError",
            "InternalClientError",
            "InterfaceError",
            "ConnectionError",
        }
    )


def is_database_error(error: BaseException) -> bool:
    """Whether the database, not our code, is at fault: it is away, full, locked or read-only."""
    module = type(error).__module__
    return isinstance(error, (BaseORMException, OSError)) or module.startswith(("asyncpg", "sqlite3", "aiosqlite"))


def without_password(url: str) -> str:
    """The URL as it may be shown."""
    return re.sub(r"(://[^:/@]*):[^/?#]*@", r"\1:***@", url)


def _config(url: str) -> dict[str, Any]:
    scheme = urlsplit(url).scheme
    if scheme == "sqlite":
        path = url.removeprefix("sqlite:///")
        if not Path(path).parent.is_dir():
            raise DatabaseError(f"The folder {Path(path).parent} does not exist. `licentia init` makes it.")
        credentials = {"file_path": path, "synchronous": "FULL", "busy_timeout": 15000}
        name, connection = "sqlite", {"engine": "licentia.storage.sqlite_engine", "credentials": credentials}
    elif scheme in ("postgres", "postgresql"):
        name, connection = "postgres", _postgres(url.replace("postgresql://", "postgres://", 1))
    else:
        raise DatabaseError(
            f"The database URL {without_password(url)!r} is not understood: it starts with sqlite:/// or postgres://."
        )
    return {
        "connections": {name: connection},
        "apps": {
            APP: {
                "models": [f"licentia.storage.{name}" for name in ("models", "connector_models", "webhook_models")],
                "default_connection": name,
                "migrations": MIGRATIONS,
            }
        },
        "use_tz": True,
        "timezone": "UTC",
    }


def _postgres(url: str) -> dict[str, Any]:
    try:
        import asyncpg  # noqa: F401
    except ImportError:
        raise DatabaseError("PostgreSQL needs its driver: pip install 'licentia[postgres]'.") from None
    expanded: dict[str, Any] = expand_db_url(url) | {"engine": "licentia.storage.postgres_engine"}
    expanded["credentials"].update(
        {"maxsize": 10, "server_settings": {"synchronous_commit": "on", "idle_in_transaction_session_timeout": "60000"}}
    )
    return expanded
