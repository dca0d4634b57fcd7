"""Imports that are killed: the next run goes on with the order after the last one that is there."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest

from licentia.contract import BY_NAME, parse
from licentia.domain.events import verify_chain
from licentia.services.application import Application
from licentia.services.identity import OPERATOR
from licentia.settings import Settings
from licentia.storage import eventlog

HERE = Path(__file__).parent
ORDERS, BATCH = 320, 8
AHEAD = 2
"""Batches that a run may be ahead of whoever kills it."""
COUNTS = {"purchase_order": ORDERS, "license": 2 * ORDERS, "ticket": ORDERS, "source_order": ORDERS, "delivery": ORDERS}


async def lives(job: dict[str, Any], batches: int | None, delay: float) -> list[int]:
    """What one run writes: it is killed so many seconds after so many batches, or comes to its end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(HERE / "importers.py"), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    most = None if batches is None else batches + AHEAD
    process.stdin.write(json.dumps({**job, "most": most}).encode() + b"\n")
    told: list[int] = []
    try:
        while line := await asyncio.wait_for(process.stdout.readline(), 30):
            told.append(int(line))
            if batches is not None and len(told) > batches:
                await asyncio.sleep(delay)
                break
    finally:
        if batches is not None:
            process.kill()
        await asyncio.wait_for(process.wait(), 30)
    assert process.returncode == (0 if batches is None else -9)
    return told


async def all_is_there(data: Path, database_url: str) -> None:
    """Each order is there once, with its licenses, and the trail is whole."""
    application = await Application.open(Settings(data=data, database=database_url))
    try:
        async with application.database.read() as connection:
            for table, count in COUNTS.items():
                (row,) = await connection.rows(f"SELECT count(*) AS n FROM {table}")
                assert row["n"] == count, table
            (row,) = await connection.rows("SELECT count(*) AS n FROM purchase_order WHERE version <> 1")
            assert row["n"] == 0
            events, cursor = [], ""
            while True:
                found, cursor = await eventlog.page(connection, cursor, 1000)
                if not found:
                    break
                events += found
        assert verify_chain(events) == []
        assert sum(event.kind == "order.placed" for event in events) == ORDERS
        assert [event.data["placed"] for event in events if event.kind == "import.ended"] == [ORDERS]
    finally:
        await application.close()


async def killed(data: Path, database_url: str, seed: int, times: int) -> None:
    """Import a file in some lives."""
    chance = random.Random(seed)
    file = data / "orders.csv"
    rows = (f"{number};{line};cad;1;c" for number in range(ORDERS) for line in (1, 2))
    file.write_text("order;line;sku;quantity;customer\n" + "\n".join(rows), "utf-8")
    application = await Application.open(Settings(data=data, database=database_url))
    put = BY_NAME["PutProduct"]
    await application.call(put, parse(put, {"sku": "cad", "name": "CAD", "items": [{"product_code": "1"}]}), OPERATOR)
    await application.close()
    job = {"data": str(data), "database": database_url, "file": str(file), "batch": BATCH}
    done = 0
    for _ in range(times):
        told = await lives(job, chance.randrange(1, 6), chance.random() * 0.03)
        assert done <= told[0]  # more may be committed than was told
        assert told == [*range(told[0], told[-1] + 1, BATCH)]
        done = told[-1]
    told = await lives(job, None, 0)
    assert done <= told[0] < ORDERS
    assert told[-1] == ORDERS
    await all_is_there(data, database_url)


async def test_an_import_that_is_killed_goes_on(data: Path, database_url: str) -> None:
    """Killed with SIGKILL three times at any moment, it places each order once, and says where it goes on."""
    await killed(data, database_url, seed=1, times=3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 7))
async def test_at_any_instant(data: Path, database_url: str, seed: int) -> None:
    """The same with five lives, at other moments."""
    await killed(data, database_url, seed, times=5)
