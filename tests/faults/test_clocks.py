"""Servers whose clock is wrong, or is set by an hour while they work."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

SEATS = 10
CLAIM = {"product_code": "hot", "user": "team", "ttl_seconds": 1}
LIBRARIES = [*Path("/usr/lib").glob("*/faketime/libfaketime.so.1")]

pytestmark = pytest.mark.skipif(not LIBRARIES, reason="libfaketime is not installed (Debian: apt install libfaketime)")


def clock(**settings: str) -> dict[str, str]:
    """The variables that give a process another clock; what it measures durations with stays true."""
    return {"LD_PRELOAD": str(LIBRARIES[0]), "FAKETIME_DONT_FAKE_MONOTONIC": "1", **settings}


async def test_the_clock_of_a_server_decides_nothing(postgres_url: str, open_shop: Any) -> None:
    """Two servers an hour ahead and two an hour behind share a license: PostgreSQL's clock alone ends leases."""
    async with open_shop(postgres_url) as shop:
        await shop.license("hot", "team", SEATS)
        load = {"clients": 16, "seconds": 3, "claim": CLAIM}
        async with (
            shop.workers("lease", 2, environment=clock(FAKETIME="+3600s"), **load) as ahead,
            shop.workers("lease", 2, environment=clock(FAKETIME="-3600s"), **load) as behind,
        ):
            await asyncio.gather(ahead.done(), behind.done())
        now = time.time() * 1e6
        granted = shop.acknowledged("granted")
        assert len(granted) > SEATS
        assert all(abs(entry["until"] - now) < 60e6 for entry in granted)
        assert await shop.faults() == []


async def happened(database: Path, shift: int) -> None:
    """Wait until something happened by a clock that is so many seconds ahead, for 3 s at most."""
    with contextlib.closing(sqlite3.connect(database)) as connection, contextlib.suppress(TimeoutError):
        async with asyncio.timeout(3):
            found = "SELECT COUNT(*) FROM event WHERE abs(at - ?) < 60e6"
            while not connection.execute(found, ((time.time() + shift) * 1e6,)).fetchone()[0]:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.5)


async def test_a_clock_that_is_set_oversells_nothing(data: Path, open_shop: Any, tmp_path: Path) -> None:
    """SQLite has the server's clock: set on by an hour and back by two, no seat is sold twice."""
    file = tmp_path / "clock"
    file.write_text("+0s")
    async with open_shop(f"sqlite:///{data / 'licentia.db'}") as shop:
        await shop.license("hot", "team", SEATS)
        environment = clock(FAKETIME_TIMESTAMP_FILE=str(file), FAKETIME_NO_CACHE="1")
        async with shop.workers("lease", 2, environment=environment, clients=16, seconds=10, claim=CLAIM) as workers:
            await workers.at_work(3)
            for shift in (3600, -3600, 0):
                file.write_text(f"{shift:+}s")
                await happened(data / "licentia.db", shift)
            await workers.done()
        acknowledged = {entry["lease"] for entry in shop.acknowledged("granted")}
        # What was promised by one clock cannot be judged by another; the rest of the books can.
        shop.journals.clear()
        assert await shop.faults() == []
    connection = sqlite3.connect(data / "licentia.db")
    blocks = connection.execute("SELECT at, entries FROM event ORDER BY last_seq").fetchall()
    connection.close()
    entries = [entry for _, text in blocks for entry in json.loads(text)]
    assert acknowledged <= {facts["lease_id"] for kind, _, facts in entries if kind == "lease.granted"}
    times = [at for at, _ in blocks]
    assert max(times) - min(times) > 7000e6
    assert any(before > after for before, after in itertools.pairwise(times))
