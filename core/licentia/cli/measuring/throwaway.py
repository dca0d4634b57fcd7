"""A database beside yours, on the same disk or server, that is gone in the end."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from licentia.cli.command import Failure
from licentia.storage.database import without_password


@contextlib.contextmanager
def beside(url: str) -> Iterator[str]:
    """The URL of an empty database: a file in the folder of the SQLite file, or a database on the PostgreSQL server.

    What is at `url` is neither read nor changed; a SQLite file need not be there yet.

    Raises:
        Failure: none can be made there.
    """
    with _file(url) if url.startswith("sqlite:///") else _database(url) as empty:
        yield empty


@contextlib.contextmanager
def _file(url: str) -> Iterator[str]:
    folder = Path(url.removeprefix("sqlite:///")).absolute().parent
    try:
        made = tempfile.TemporaryDirectory(prefix="licentia-bench-", dir=folder)
    except OSError as error:
        raise Failure(f"No folder can be made in {folder}: {error.strerror}.") from None
    with made as inside:
        yield f"sqlite:///{inside}/licentia.db"


@contextlib.contextmanager
def _database(url: str) -> Iterator[str]:
    name = f"licentia_bench_{secrets.token_hex(6)}"
    with contextlib.ExitStack() as exits:
        # Before it is made: who interrupts that must not leave it behind.
        exits.callback(lambda: asyncio.run(_execute(url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")))
        try:
            asyncio.run(_execute(url, f"CREATE DATABASE {name}"))
        except Failure:
            exits.pop_all()
            raise
        yield urlsplit(url)._replace(path=f"/{name}").geturl()


async def _execute(url: str, statement: str) -> None:
    try:
        import asyncpg
    except ImportError:
        raise Failure("PostgreSQL needs its driver: pip install 'licentia[postgres]'.") from None
    try:
        connection = await asyncpg.connect(url, timeout=10)
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise Failure(f"The database {without_password(url)} cannot be opened: {error}.") from None
    try:
        await connection.execute(statement)
    except asyncpg.InsufficientPrivilegeError:
        raise Failure(
            f"The user of {without_password(url)} may not create databases, and a throw-away one is needed: nothing "
            "else on the server is touched. Name a user who may by `--database`, or let an administrator run "
            "ALTER ROLE ... CREATEDB."
        ) from None
    except asyncpg.PostgresError as error:
        raise Failure(f"{' '.join(statement.split()[:2])} failed: {error}.") from None
    finally:
        await connection.close()
