"""A PostgreSQL that goes away and comes back under load."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import asyncpg
import pytest

SEATS = 20
CLAIM = {"product_code": "hot", "user": "team"}
LOAD = {"clients": 16, "claim": CLAIM | {"ttl_seconds": 2}}


@pytest.mark.parametrize("seconds", [3, pytest.param(30, marks=pytest.mark.slow)])
async def test_a_crash_of_the_database_loses_nothing(cluster: Any, open_shop: Any, seconds: int) -> None:
    """PostgreSQL crashes: callers are told so, ask again under the same lease id, and what they were told holds."""

    def crash() -> None:
        cluster._run("pg_ctl", "stop", "-D", "data", "-m", "immediate")
        time.sleep(0.7)
        options = f"-p {cluster.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
        cluster._run("pg_ctl", "start", "-D", "data", "-w", "-l", "log", "-o", options)

    async with open_shop(cluster.url) as shop:
        await shop.license("hot", "team", SEATS)
        async with shop.workers("lease", 2, seconds=seconds, **LOAD) as workers:
            await workers.at_work()
            for _ in range(seconds // 3):
                await asyncio.sleep(0.5)
                await asyncio.to_thread(crash)
                before = len(shop.acknowledged("granted"))
            told = await workers.done()
        assert sum(worker["refusals"] for worker in told) > 0
        assert len(shop.acknowledged("granted")) > before > 0
        assert await shop.faults() == []
        assert (await shop.application.checks())["database"] == "ok"


async def test_cut_connections_lose_nothing(postgres_url: str, open_shop: Any) -> None:
    """Somebody ends every connection 40 times: the work goes on, nothing is lost, no connection is leaked."""
    async with open_shop(postgres_url) as shop:
        await shop.license("hot", "team", SEATS)
        killer = await asyncpg.connect(postgres_url)
        try:
            async with shop.workers("lease", 2, seconds=2.5, **LOAD) as workers:
                await workers.at_work()
                for _ in range(40):
                    await asyncio.sleep(0.05)
                    await killer.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    )
                await workers.done()
        finally:
            await killer.close()
        assert len(shop.acknowledged("granted")) > SEATS
        assert await shop.faults() == []
        await asyncio.gather(*(shop.call("ListLeases") for _ in range(30)))
