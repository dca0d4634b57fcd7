"""SQLite: one file, several processes, and whatever goes wrong with its transactions."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from licentia.storage import models
from licentia.storage.database import Database, is_database_error

WRITER = """
import asyncio, sys
from licentia.storage.database import Database
async def main():
    database = await Database.open(sys.argv[1])
    try:
        print("ready", flush=True)
        sys.stdin.readline()
        for _ in range(100):
            async with database.write() as tx:
                (row,) = await tx.rows("SELECT seq FROM chain WHERE id = 0 FOR UPDATE")
                await tx.rows("UPDATE chain SET seq = $1 WHERE id = 0", row["seq"] + 1)
    finally:
        await database.close()
asyncio.run(main())
"""


@pytest.fixture
def file(data: Path) -> Path:
    """A migrated database file."""
    return data / "licentia.db"


@pytest.fixture
async def database(file: Path) -> AsyncIterator[Database]:
    """The open database, which waits for a lock 50 ms only."""
    database = await Database.open(f"sqlite:///{file}")
    try:
        async with database.read() as connection:
            await connection.rows("PRAGMA busy_timeout = 50")
        yield database
    finally:
        await database.close()


async def write_much(database: Database) -> None:
    """Write more than fits on the pages that are there."""
    async with database.write():
        for number in range(1000):
            await models.ProductCode.create(code=f"{number:060}")


async def test_what_is_acknowledged_is_on_the_disk(database: Database, file: Path) -> None:
    """The file is in WAL mode and every commit is synchronous, so that a power cut loses nothing."""
    async with database.read() as connection:
        assert await connection.row("PRAGMA journal_mode") == {"journal_mode": "wal"}
        assert await connection.row("PRAGMA synchronous") == {"synchronous": 2}
        assert await connection.row("PRAGMA foreign_keys") == {"foreign_keys": 1}
    assert file.with_name(f"{file.name}-wal").stat().st_mode


@pytest.mark.parametrize("processes", [2])
def test_processes_that_read_before_they_write(database_url: str, processes: int) -> None:
    """Two processes with 100 transactions each, read first and write then, lose nothing and fail never."""
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, database_url],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(processes)
    ]  # fmt: skip
    try:
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
        for writer in writers:
            assert writer.stdin is not None
            writer.stdin.write("\n")
            writer.stdin.flush()
        errors = [writer.communicate(timeout=60)[1] for writer in writers]
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()
    assert [writer.returncode for writer in writers] == [0] * processes, errors

    async def count() -> int:
        database = await Database.open(database_url)
        try:
            async with database.read():
                return (await models.Chain.get(id=0)).seq
        finally:
            await database.close()

    assert asyncio.run(count()) == 100 * processes


async def test_a_foreign_lock_fails_one_transaction_only(database: Database, file: Path) -> None:
    """Where another program, a backup say, holds the file too long, that call fails and the next one works."""
    foreign = sqlite3.connect(file, isolation_level=None)
    foreign.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(Exception, match="locked") as refusal:
            async with database.write():
                await models.ProductCode.create(code="a")
        assert is_database_error(refusal.value)
    finally:
        foreign.rollback()
        foreign.close()
    async with asyncio.timeout(5):
        async with database.write():
            await models.ProductCode.create(code="b")
        async with database.read():
            assert await models.ProductCode.all().values_list("code", flat=True) == ["b"]


async def test_a_commit_that_fails_fails_once(database: Database) -> None:
    """A transaction that cannot be committed is rolled back, and the next one works."""
    async with database.write() as tx:
        await tx.rows("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
        await tx.rows("CREATE TABLE child (id INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED)")
    with pytest.raises(Exception, match="FOREIGN KEY"):
        async with database.write() as tx:
            await tx.rows("INSERT INTO child VALUES (1)")
    async with asyncio.timeout(5):
        async with database.write():
            await models.ProductCode.create(code="b")
        async with database.read() as connection:
            assert await connection.rows("SELECT * FROM child") == []


async def test_a_full_disk_is_the_databases_fault(database: Database) -> None:
    """Where no page more fits, the call fails, nothing of it stays, and reading goes on."""
    async with database.read() as connection:
        pages = await connection.row("PRAGMA page_count")
        assert pages is not None
        await connection.rows(f"PRAGMA max_page_count = {pages['page_count']}")
    with pytest.raises(Exception, match="full") as refusal:
        await write_much(database)
    assert is_database_error(refusal.value)
    async with asyncio.timeout(5), database.read() as connection:
        assert await models.ProductCode.all().count() == 0
        await connection.rows("PRAGMA max_page_count = 1000000")
        async with database.write():
            await models.ProductCode.create(code="b")


async def test_a_process_waits_for_its_turn_without_blocking(database: Database, file: Path) -> None:
    """While another process writes, this one's other tasks go on."""
    other = await Database.open(f"sqlite:///{file}")

    async def write() -> None:
        async with database.write():
            await models.ProductCode.create(code="b")

    try:
        async with other.write():
            waiting = asyncio.create_task(write())
            for _ in range(20):
                await asyncio.sleep(0.005)
            assert not waiting.done()
        await asyncio.wait_for(waiting, 5)
    finally:
        await other.close()


async def test_closing_lets_others_in(file: Path) -> None:
    """A database that was closed holds no lock, and can be opened again."""
    for code in "ab":
        database = await Database.open(f"sqlite:///{file}")
        async with database.write():
            await models.ProductCode.create(code=code)
        await database.close()
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT COUNT(*) FROM product_code").fetchone() == (2,)
