"""The ledger under load from several processes at once, each with a connection and a desk of its own."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import tempfile
from collections.abc import Mapping, Sequence
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from licentia.cli.loops import loop_factory
from licentia.cli.measuring.ledger import WARM_UP, Deed, round_of
from licentia.cli.measuring.stock import Stock
from licentia.cli.measuring.timing import Timed, joined
from licentia.crypto.keyfolder import KeyFolder
from licentia.crypto.leases import LeaseSigner
from licentia.services.desk import Desk
from licentia.storage.leasestore import lease_store

Rounds = list[dict[Deed, Timed]]


class NoSigner(LeaseSigner):
    """Leaves the tokens out, where the ledger alone is measured."""

    async def sign_many(self, claims: Sequence[Mapping[str, Any]]) -> list[str]:
        """Nothing for each."""
        return [""] * len(claims)


def under_load(
    url: str, stock: Stock, *, leases: int, clients: int, rounds: int = 1, processes: int = 1, signed: bool = False
) -> Rounds:
    """Rounds of so many leases by so many clients, both over all processes.

    Raises:
        RuntimeError: a process failed; it has said why on the standard error.
    """
    spawning = multiprocessing.get_context("spawn")
    meet = spawning.Barrier(processes)
    results = spawning.Queue()
    share, each = leases // processes, max(1, clients // processes)
    workers = [
        spawning.Process(target=_work, args=(url, stock, place, share, each, rounds, signed, meet, results))
        for place in range(processes)
    ]
    for worker in workers:
        worker.start()
    try:
        parts: list[Rounds] = [results.get(timeout=300) for _ in workers]
    finally:
        for worker in workers:
            worker.join(5)
            worker.kill()
    if not all(parts):
        raise RuntimeError(f"a process that measured {url} failed")
    return [{deed: joined([part[turn][deed] for part in parts]) for deed in parts[0][turn]} for turn in range(rounds)]


def _work(
    url: str,
    stock: Stock,
    place: int,
    leases: int,
    clients: int,
    rounds: int,
    signed: bool,
    meet: Barrier,
    results: Queue[Rounds],
) -> None:
    done: Rounds = []
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            done = runner.run(_rounds(url, stock, place, leases, clients, rounds, signed, meet))
    finally:
        if not done:
            meet.abort()
        results.put(done)


async def _rounds(
    url: str, stock: Stock, place: int, leases: int, clients: int, rounds: int, signed: bool, meet: Barrier
) -> Rounds:
    with tempfile.TemporaryDirectory() as folder:
        key = KeyFolder(Path(folder)).lease_key()
        desk = Desk(lease_store(url), LeaseSigner(key) if signed else NoSigner(key))
        first = place * leases
        try:
            names = [f"p{place}-w-{number}" for number in range(min(WARM_UP, leases))]
            await round_of(desk.ask, stock, names, clients, first=first)
            gc.collect()
            gc.freeze()  # as the server does when it has started
            done = []
            for turn in range(rounds):
                names = [f"p{place}-{turn}-{number}" for number in range(leases)]
                done.append(await round_of(desk.ask, stock, names, clients, first=first, together=meet.wait))
            meet.wait()  # who closes while others measure disturbs them
            return done
        finally:
            await desk.close()
