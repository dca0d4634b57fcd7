"""Migrations: any database of ours comes to today's schema, and keeps what it holds."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tortoise.migrations.autodetector import MigrationAutodetector
from tortoise.migrations.executor import MigrationTarget

from licentia.services.application import Application
from licentia.settings import Settings
from licentia.storage import models
from licentia.storage.database import APP, Database, DatabaseError
from licentia.storage.migrations import __path__ as folder

STEPS = sorted(path.stem for path in Path(folder[0]).glob("0*.py"))
MIGRATE = """
import asyncio, sys
from licentia.storage.database import Database
async def main():
    database = await Database.open(sys.argv[1])
    try:
        print("ready", flush=True)
        sys.stdin.readline()
        print(len(await database.migrate()), await database.pending())
    finally:
        await database.close()
asyncio.run(main())
"""
DIE = """
import os
from licentia.storage.migrations._checks import AddCheck
forward = AddCheck.database_forward
async def database_forward(self, *given, **named):
    if self.name == "meter_units":
        os._exit(9)
    await forward(self, *given, **named)
AddCheck.database_forward = database_forward
"""
LICENSE = {
    "id": "l", "order_id": "o", "ticket_id": "t", "line_id": "1", "sku": "s", "product_code": "c", "name": "n",
    "terms": "{}", "quantity": 5, "placed": 3, "to_reclaim": 1,
    "standing": "live", "overdraft_placed": 0, "restores": 0, "renewals": 0, "created_at": 0,
}  # fmt: skip
POOL = {
    "id": "p", "activation_id": "a", "license_id": "l", "container_id": "k", "user_id": "u", "product_code": "c",
    "leasing": True, "state": "open", "seats": 3, "overdraft": 1, "unlimited": False, "in_use": 4,
    "waiters": 0,
}  # fmt: skip
METER = {"license_id": "l", "name": "", "total": 9, "used": 4}
LEASE = {
    "id": "e", "parts": 1, "pool_id": "p", "user_id": "u", "state": "live",
    "seats": 2, "charged": 2, "granted_at": 0, "expires_at": 1,
}  # fmt: skip


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    """The database, closed at the end."""
    database = await Database.open(url)
    try:
        yield database
    finally:
        await database.close()


async def apply(database: Database, name: str) -> None:
    """Migrate up to one step, as older code did."""
    with database._active():
        await database._executor().migrate([MigrationTarget(app_label=APP, name=name)])


async def insert(database: Database, table: str, row: dict[str, Any]) -> None:
    """Write one row as a hand or a bug would."""
    marks = ", ".join(f"${place}" for place in range(1, len(row) + 1))
    async with database.write() as tx:
        await tx.rows(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", *row.values())


async def test_a_fresh_database_gets_the_schema(empty_database_url: str) -> None:
    """Every step is missing before and none after; doing it again does nothing."""
    async with opened(empty_database_url) as database:
        assert await database.pending() == STEPS
        assert await database.migrate() == STEPS
        assert await database.pending() == []
        assert await database.migrate() == []
        async with database.read() as connection:
            chains = await connection.rows("SELECT id, seq, hash FROM chain ORDER BY id")
        assert chains == [{"id": chain, "seq": 0, "hash": "0" * 64} for chain in range(16)]


async def test_models_and_migrations_agree(empty_database_url: str) -> None:
    """Tortoise's own comparison finds nothing that a migration should still do."""
    async with opened(empty_database_url) as database:
        with database._active():
            detector = MigrationAutodetector(database._context.apps, database._config["apps"])
            assert await detector.changes() == []


async def test_the_comparison_can_fail(empty_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A column more in a model is found, so the test above means something."""
    monkeypatch.setattr(models.Chain._meta.fields_map["hash"], "max_length", 65)
    async with opened(empty_database_url) as database:
        with database._active():
            detector = MigrationAutodetector(database._context.apps, database._config["apps"])
            assert len(await detector.changes()) == 1


async def test_every_model_can_be_read(database_url: str) -> None:
    """Each table is there with every column of its model, and empty but for the chains."""
    async with opened(database_url) as database, database.read():
        counts = {model.__name__: len(await model.all()) for model in database._context.apps[APP].values()}
    assert {name for name, count in counts.items() if count} == {"Chain"}
    assert len(counts) == 36


@pytest.mark.parametrize(
    ("table", "row", "broken"),
    [
        ("seat_pool", POOL, {"in_use": 5}),
        ("seat_pool", POOL, {"in_use": -1}),
        ("license", LICENSE, {"to_reclaim": -1}),
        ("license", LICENSE, {"to_reclaim": 4}),
        ("license", LICENSE, {"placed": 6}),
        ("meter", METER, {"used": 10}),
        ("meter", METER, {"used": -1}),
        ("lease", LEASE, {"charged": 3}),
        ("lease", LEASE, {"charged": -1}),
    ],
)
async def test_the_database_itself_refuses(
    database_url: str, table: str, row: dict[str, Any], broken: dict[str, Any]
) -> None:
    """A row that would oversell is refused by the database, when it is written and when it is changed."""
    async with opened(database_url) as database:
        with pytest.raises(Exception, match=r"(?i)check"):
            await insert(database, table, row | broken)
        await insert(database, table, row)
        ((column, value),) = broken.items()
        with pytest.raises(Exception, match=r"(?i)check"):
            async with database.write() as tx:
                await tx.rows(f"UPDATE {table} SET {column} = $1", value)
        async with database.read() as connection:
            assert (await connection.rows(f"SELECT {column} AS kept FROM {table}")) == [{"kept": row[column]}]


async def test_no_limit_has_no_limit(database_url: str) -> None:
    """Unlimited seats are not held back."""
    async with opened(database_url) as database:
        await insert(database, "seat_pool", POOL | {"unlimited": True, "in_use": 10**12})


@pytest.mark.parametrize(
    ("table", "row", "other"),
    [
        ("purchase_order", {"source": "erp", "order_number": "1"}, {"id": "2"}),
        ("ticket", {"code": "A"}, {"id": "2", "order_id": "p"}),
        ("ticket", {"order_id": "o"}, {"id": "2", "code": "B"}),
        ("container", {"kind": "k", "binding": "b"}, {"id": "2"}),
        ("denial", {"license_id": "l", "product_code": "c", "minute": 0, "reason": "r"}, {}),
        ("meter", {"license_id": "l", "name": "n"}, {}),
        ("event", {"chain": 0, "last_seq": 1}, {"id": "2"}),
    ],
)
async def test_natural_keys_are_unique(
    database_url: str, table: str, row: dict[str, Any], other: dict[str, Any]
) -> None:
    """What identifies a thing outside cannot be there twice, whatever the code does."""
    filled: dict[str, dict[str, Any]] = {
        "purchase_order": {"id": "1", "test": False, "digest": "", "customer": "", "lines": "", "created_at": 0,
                           "updated_at": 0,
                           "cancelled": False, "version": 1},
        "ticket": {"id": "1", "code": "A", "order_id": "o"},
        "container": {"id": "1", "sequence": 0, "created_at": 0},
        "denial": {"count": 1},
        "meter": {"total": 1, "used": 0},
        "event": {"id": "1", "first_seq": 1, "at": 0, "entries": "[]", "previous_hash": "", "hash": ""},
    }  # fmt: skip
    first = filled[table] | row
    async with opened(database_url) as database:
        await insert(database, table, first)
        with pytest.raises(Exception, match=r"(?i)unique"):
            await insert(database, table, first | other)


async def test_an_older_database_keeps_its_rows(empty_database_url: str) -> None:
    """What was written before a step is there after it, and is then guarded as well."""
    async with opened(empty_database_url) as database:
        await apply(database, STEPS[0])
        for table, row in {"license": LICENSE, "seat_pool": POOL, "lease": LEASE}.items():
            await insert(database, table, row)
        assert await database.migrate() == STEPS[1:]
        for table, row in {"license": LICENSE, "seat_pool": POOL, "lease": LEASE}.items():
            async with database.read() as connection:
                (kept,) = await connection.rows(f"SELECT * FROM {table}")
            assert {name: kept[name] for name in row} == row
        with pytest.raises(Exception, match=r"(?i)check"):
            async with database.write() as tx:
                await tx.rows("UPDATE seat_pool SET in_use = 5")


async def test_the_database_of_newer_code_is_refused(database_url: str, tmp_path: Path) -> None:
    """A step that this code does not know stops the start, with the sentence that helps."""
    async with opened(database_url) as database:
        async with database.write() as tx:
            await tx.rows(
                "INSERT INTO tortoise_migrations (app, name, applied_at) VALUES ($1, $2, CURRENT_TIMESTAMP)",
                APP, "9999_the_future",
            )  # fmt: skip
        for attempt in (database.pending, database.migrate):
            with pytest.raises(DatabaseError, match=r"newer version of Licentia \(9999_the_future\)\. Install that"):
                await attempt()
    with pytest.raises(DatabaseError, match="newer version"):
        await Application.open(Settings(data=tmp_path, database=database_url))


def test_processes_that_start_together_migrate_once(empty_database_url: str) -> None:
    """Several processes that open an empty database at the same instant all find today's schema."""
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", MIGRATE, empty_database_url],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(3)
    ]  # fmt: skip
    try:
        for racer in racers:
            assert racer.stdout is not None
            assert racer.stdout.readline() == "ready\n"
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write("\n")
            racer.stdin.flush()
        outcomes = [racer.communicate(timeout=30) for racer in racers]
    finally:
        for racer in racers:
            racer.kill()
            racer.communicate()
    assert [racer.returncode for racer in racers] == [0] * 3, outcomes
    assert sorted(out.strip() for out, _ in outcomes) == ["0 []", "0 []", f"{len(STEPS)} []"]


async def test_a_process_that_dies_while_migrating_leaves_nothing_half_done(empty_database_url: str) -> None:
    """After a crash in the middle of a step the schema is as it was, and the next start migrates it."""
    crashed = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", DIE + MIGRATE, empty_database_url], input=b"\n", timeout=30, check=False
    )
    assert crashed.returncode == 9
    async with opened(empty_database_url) as database:
        assert await database.migrate() == STEPS
        assert await database.pending() == []
