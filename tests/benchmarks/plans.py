"""By which plans the databases find what the ledger asks for, taken from the ledger itself while it works.

A store like the real one explains each statement before it executes it, so none can be forgotten here.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec
from flatness import PLENTY

from licentia.cli.loops import loop_factory
from licentia.cli.measuring.stock import Stock, lay_in, release
from licentia.contract.products import Terms
from licentia.domain.seats import Wish
from licentia.storage.database import Database
from licentia.storage.leasestore import PostgresLeaseStore, SqliteLeaseStore
from licentia.storage.statements import Query, Row, Step, Write, for_postgres, for_sqlite, marked

NAMED = Stock("bench-named", 1, 10)
FULL = Stock("bench-full", 1, 1)
_NAME_USERS = "UPDATE license SET terms = $1 WHERE product_code = $2"

Plans = dict[str, list[tuple[str, str]]]
"""By what was done: statements, each with its plan."""


class ExplainingPostgres(PostgresLeaseStore):
    """Explains with the figures of an execution that is undone."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.seen: list[tuple[str, str]] = []

    async def _done(self, step: Step, connection: Any) -> Sequence[Row]:
        if isinstance(step, Query):
            await self._explain(step.sql, step.values, connection)
        elif isinstance(step, Write):
            await self._explain(*for_postgres(step), connection)
        return await super()._done(step, connection)

    async def _explain(self, sql: str, values: Sequence[Any], connection: Any) -> None:
        # EXECUTE, as only a prepared statement is planned as the ledger's are: without a look at the values.
        await connection.execute(f"SAVEPOINT explained; PREPARE explained AS {sql}")
        given = f"({', '.join(map(_literal, values))})" if values else ""
        rows = await connection.fetch(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF) EXECUTE explained{given}")
        await connection.execute("ROLLBACK TO SAVEPOINT explained; DEALLOCATE explained")
        self.seen.append((sql, "\n".join(row[0] for row in rows)))


class ExplainingSqlite(SqliteLeaseStore):
    """Explains by `EXPLAIN QUERY PLAN`."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.seen: list[tuple[str, str]] = []

    def _done(self, step: Step, connection: sqlite3.Connection) -> Sequence[Any]:
        if isinstance(step, Query):
            self._explain(*marked(step), connection)
        elif isinstance(step, Write):
            for change in step.changes:
                sql, rows = for_sqlite(change)
                self._explain(sql, rows[0], connection)
        return super()._done(step, connection)

    def _explain(self, sql: str, values: Sequence[Any], connection: sqlite3.Connection) -> None:
        depths = {0: 0}
        lines = []
        for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values):
            depths[row["id"]] = depths[row["parent"]] + 1
            lines.append(f"{'  ' * depths[row['parent']]}{row['detail']}")
        self.seen.append((sql, "\n".join(lines)))


def explain(url: str) -> Plans:
    """The plans of a checkout, a renewal, a release, a named user's, and a refusal because all seats are taken."""
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(_explain(url))


async def _explain(url: str) -> Plans:
    database = await Database.open(url)
    try:
        await lay_in(database, NAMED)
        await lay_in(database, FULL)
        terms = msgspec.json.encode(Terms(license_model="named_user")).decode()
        async with database.write() as tx:
            await tx.rows(_NAME_USERS, terms, NAMED.product_code)
    finally:
        await database.close()
    sqlite = url.startswith("sqlite:///")
    store = ExplainingSqlite(url.removeprefix("sqlite:///")) if sqlite else ExplainingPostgres(url)
    plans: Plans = {}
    try:
        await store.apply([FULL.claim("explained-held", 0)])
        claims = [PLENTY.claim(f"explained-{number}", 0) for number in range(256)]
        wishes: dict[str, Sequence[Wish]] = {
            "256 checkouts of a floating license": claims,
            "256 renewals": claims,
            "256 releases": [release(claim.lease_id) for claim in claims],
            "a checkout by a named user": [NAMED.claim("explained-named", 0)],
            "a refusal, as all seats are taken": [FULL.claim("explained-refused", 0)],
        }
        known: set[str] = set()
        for title, batch in wishes.items():
            store.seen = []
            await store.apply(batch)
            plans[title] = [(sql, plan) for sql, plan in store.seen if sql not in known]
            known |= {sql for sql, _ in store.seen}
    finally:
        await store.close()
    return plans


def _literal(value: Any) -> str:
    if isinstance(value, list):
        return f"ARRAY[{', '.join(map(_literal, value))}]::text[]"
    return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"


def scans(plans: Plans) -> list[str]:
    """Reads of a whole table that grows, which there should be none of."""
    growing = ("lease", "license", "seat_pool", "past_lease", "event", "l", "p", "s", "h")
    lines = [line.strip() for each in plans.values() for _, plan in each for line in plan.splitlines()]
    return [
        line
        for line in lines
        if ("Seq Scan on" in line and line.split("Seq Scan on ")[1].split()[0] in growing)
        or (line.startswith("SCAN ") and line.split()[1] in growing and "VIRTUAL" not in line)
    ]
