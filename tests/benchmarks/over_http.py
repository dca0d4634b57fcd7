"""REST and SOAP from end to end: real server processes, a client in a process of its own, keep-alive connections."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from figures import Figure, latencies
from servers import database

from licentia.cli.measuring.stock import HOT, Stock
from licentia.cli.measuring.timing import Timed
from licentia.services.application import Application
from licentia.settings import Settings

CONNECTIONS = 64
PLENTY = Stock(HOT.product_code, 1, 10_000_000)
HERE = Path(__file__).parent
WAIT_SECONDS = 30
BARE = "a bare Starlette route"


class Served:
    """A server that runs: its rate, and the CPU that its processes spend on a request."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, key: str) -> None:
        self._process = process
        self._port = port
        self._key = key

    def measure(self, kind: str, seconds: float) -> tuple[Timed, float]:
        """Requests for so long, and microseconds of CPU for each."""
        before = _cpu_seconds(self._process.pid)
        words = [sys.executable, str(HERE / "http_client.py"), "127.0.0.1", str(self._port), kind, self._key]
        words += [PLENTY.user(0), str(seconds), str(CONNECTIONS)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        cpu = (_cpu_seconds(self._process.pid) - before) / told["all"]
        return Timed(0.0, told["elapsed"], told["seconds"]), cpu * 1e6


def end_to_end(server: str | None, rounds: int, seconds: float) -> Iterator[Figure]:
    """Rates by REST and SOAP next to a bare route's, and what they cost in CPU."""
    with _running([str(HERE / "bare_server.py")]) as (process, port):
        beside = Served(process, port, "none")
        for workers in (1, 2):
            many = f"{workers} worker{'' if workers == 1 else 's'}"
            yield from _figures(beside, f"SQLite, {many}", None, workers, rounds, seconds)
            if server:
                yield from _figures(beside, f"PostgreSQL, {many}", server, workers, rounds, seconds)


def _figures(
    beside: Served, where: str, server: str | None, workers: int, rounds: int, seconds: float
) -> Iterator[Figure]:
    measured: dict[str, list[tuple[Timed, float]]] = {"bare": [], "rest": [], "soap": []}
    with _licentia(server, workers) as served:
        for _ in range(rounds):
            measured["bare"].append(beside.measure("rest", seconds))
            for kind in ("rest", "soap"):
                measured[kind].append(served.measure(kind, seconds))
    for kind in ("rest", "soap"):
        pairs = zip(measured[kind], measured["bare"], strict=True)
        yield Figure(
            what=f"{kind.upper()} checkout, {where}",
            value=statistics.median(timed.rate for timed, _ in measured[kind]),
            unit="/s",
            reference=BARE,
            reference_value=statistics.median(timed.rate for timed, _ in measured["bare"]),
            ratio=statistics.median(timed.rate / bare.rate for (timed, _), (bare, _) in pairs),
            goal=0.4 if kind == "rest" and workers == 1 else None,
            **latencies([timed for timed, _ in measured[kind]]),
        )
    cpu = {kind: statistics.median(spent for _, spent in each) for kind, each in measured.items()}
    for kind, other, name, goal in (("rest", "bare", BARE, None), ("soap", "rest", "REST checkout", 2.0)):
        yield Figure(
            what=f"{kind.upper()} checkout, {where}: CPU of the server",
            value=cpu[kind],
            unit=" us",
            reference=name,
            reference_value=cpu[other],
            ratio=cpu[kind] / cpu[other],
            goal=goal if workers == 1 else None,
            less_is_better=True,
        )


@contextlib.contextmanager
def _licentia(server: str | None, workers: int) -> Iterator[Served]:
    with tempfile.TemporaryDirectory(prefix="licentia-bench-") as name, database(server, (PLENTY,)) as url:
        folder = Path(name)
        config = folder / "licentia.toml"
        config.write_text(f"database = {json.dumps(url)}\n", "utf-8")
        key = asyncio.run(_key(Settings(data=folder, database=url)))
        words = ["-m", "licentia", "serve", "--config", str(config), "--workers", str(workers), "--port"]
        with _running(words) as (process, port):
            yield Served(process, port, key)


@contextlib.contextmanager
def _running(words: list[str]) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, *words, str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + WAIT_SECONDS
        while not _ready(port):
            assert process.poll() is None, f"{words} ended with {process.returncode}"
            assert time.monotonic() < deadline, f"{words} was not ready within {WAIT_SECONDS} s"
            time.sleep(0.02)
        yield process, port
    finally:
        process.terminate()
        process.wait(WAIT_SECONDS)


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


async def _key(settings: Settings) -> str:
    application = await Application.open(settings)
    try:
        return (await application.create_key(frozenset({"licensing"})))[1]
    finally:
        await application.close()


def _cpu_seconds(pid: int) -> float:
    """CPU time of a process and those it has started, with theirs, as Linux tells it."""
    ticks = 0
    for each in _family(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{each}/stat").read_text("ascii").rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _family(pid: int) -> list[int]:
    children: list[int] = []
    with contextlib.suppress(OSError):
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]
    return [pid, *(each for child in children for each in _family(child))]
