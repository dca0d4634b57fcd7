"""The databases to measure on, and what one program after the other can do with them."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from licentia.cli.measuring.ledger import prepare
from licentia.cli.measuring.stock import Stock
from licentia.cli.measuring.throwaway import beside
from licentia.cli.measuring.timing import in_flight

CLIENTS = 64
ACCOUNTS = 100_000
_TRANSACTION = (
    "UPDATE pgbench_accounts SET abalance = abalance + $2 WHERE aid = $1",
    "SELECT abalance FROM pgbench_accounts WHERE aid = $1",
    "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (1, 1, $1, $2, CURRENT_TIMESTAMP)",
)


def _conftest() -> Any:
    """The fixtures' module of the tests, which knows how to start a PostgreSQL."""
    spec = importlib.util.spec_from_file_location("licentia_conftest", Path(__file__).parents[1] / "conftest.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def postgres() -> Iterator[str | None]:
    """The URL of a PostgreSQL: `LICENTIA_TEST_POSTGRES`, else one of our own; None if there is none."""
    if given := os.environ.get("LICENTIA_TEST_POSTGRES"):
        yield given
        return
    conftest = _conftest()
    binaries = conftest._binaries()
    if binaries is None:
        yield None
        return
    cluster = conftest._Cluster(binaries)
    try:
        yield cluster.url
    finally:
        cluster.stop()


@contextlib.contextmanager
def database(server: str | None, stocks: Sequence[Stock]) -> Iterator[str]:
    """An empty database with these licenses: on the server, or a SQLite file."""
    with (
        tempfile.TemporaryDirectory(prefix="licentia-bench-") as folder,
        beside(server or f"sqlite:///{folder}/any.db") as url,
    ):
        asyncio.run(prepare(url, stocks))
        yield url


class Pgbench:
    """The reference on PostgreSQL: `pgbench -N -M prepared`, or the same transaction by asyncpg where it is missing."""

    def __init__(self, url: str, seconds: float) -> None:
        self._url = url
        self._seconds = max(1, round(seconds))
        binaries = _conftest()._binaries()
        self._program = binaries / "pgbench" if binaries is not None and (binaries / "pgbench").exists() else None
        known_as = "pgbench -N" if self._program else "pgbench's transaction by asyncpg"
        self.name = f"{known_as}, {CLIENTS} clients"
        if self._program:
            self._run("-i", "-q", "-s", "1")
        else:
            asyncio.run(self._fill())

    def measure(self) -> float:
        """Transactions per second."""
        if self._program is None:
            return asyncio.run(self._by_asyncpg())
        told = self._run("-N", "-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "2", "-T", str(self._seconds))
        found = re.search(r"tps = ([\d.]+) \(without", told)
        assert found is not None, told
        return float(found[1])

    def _run(self, *arguments: str) -> str:
        parts = urlsplit(self._url)
        environment = {**os.environ, "PGPASSWORD": parts.password or "", "LC_ALL": "C"}
        place = ["-h", parts.hostname or "", "-p", str(parts.port or 5432), "-U", parts.username or "postgres"]
        command = [str(self._program), *arguments, *place, parts.path[1:]]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    async def _fill(self) -> None:
        import asyncpg

        connection = await asyncpg.connect(self._url)
        await connection.execute(
            "CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84));"
            "CREATE TABLE pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22));"
            f"INSERT INTO pgbench_accounts SELECT n, 1, 0, '' FROM generate_series(1, {ACCOUNTS}) AS n"
        )
        await connection.close()

    async def _by_asyncpg(self) -> float:
        import asyncpg

        async with asyncpg.create_pool(self._url, min_size=CLIENTS, max_size=CLIENTS) as pool:

            async def transaction(number: int) -> None:
                async with pool.acquire() as connection, connection.transaction():
                    account = number * 7919 % ACCOUNTS + 1
                    await connection.execute(_TRANSACTION[0], account, number % 1000)
                    await connection.fetchval(_TRANSACTION[1], account)
                    await connection.execute(_TRANSACTION[2], account, number % 1000)

            ends = time.monotonic() + self._seconds
            numbers = iter(lambda: int(time.monotonic() * 1e6) if time.monotonic() < ends else 0, 0)
            return (await in_flight(transaction, numbers, CLIENTS)).rate
