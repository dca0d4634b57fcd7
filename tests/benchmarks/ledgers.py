"""The seat ledger alone: no HTTP, no tokens, but every checkout durable before it is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from figures import Figure, Rounds
from processes import under_load
from servers import Pgbench, database

from licentia.cli.measuring.stock import HOT, SPREAD, Stock
from licentia.cli.measuring.unbatched import one_commit_each

CLIENTS = 256
LEASES = 9_984
"""Of a round: many for 1, 2 or 4 processes alike, and fewer than the hot license has seats."""
CONCURRENCY = (1, 4, 16, 64, 256, 1024)
KINDS: dict[str, Stock] = {"one license": HOT, "1,000 licenses": SPREAD}


def on_postgres(server: str, rounds: int, seconds: float) -> list[Figure]:
    """Against `pgbench -N` beside it, by one, two and four processes."""
    with database(server, (HOT, SPREAD)) as url:
        pgbench = Pgbench(url, seconds)
        goals = {1: 8.0, 4: 5.0}
        return [
            _against(pgbench.measure, pgbench.name, url, stock, f"PostgreSQL, {kind}", rounds, processes, goals)
            for processes in (1, 2, 4)
            for kind, stock in KINDS.items()
        ]


def on_sqlite(rounds: int, seconds: float) -> list[Figure]:
    """Against one commit per checkout, by one and two processes."""
    with database(None, (HOT, SPREAD)) as url:

        def beside() -> float:
            return asyncio.run(one_commit_each(url, HOT, 1, seconds / 3)).rate

        name, goals = "raw sqlite3, one commit each", {1: 20.0}
        return [
            _against(beside, name, url, stock, f"SQLite, {kind}", rounds, processes, goals)
            for processes in (1, 2)
            for kind, stock in KINDS.items()
        ]


def signed(server: str | None, rounds: int) -> list[Figure]:
    """What the signed token of each lease costs: checkouts with them, against those without."""
    figures = []
    for name, place in {"SQLite": None, **({"PostgreSQL": server} if server else {})}.items():
        with database(place, (HOT,)) as url:
            together = Rounds()
            for _ in range(rounds):
                (without,) = under_load(url, HOT, leases=LEASES, clients=CLIENTS)
                (with_tokens,) = under_load(url, HOT, leases=LEASES, clients=CLIENTS, signed=True)
                together.add(with_tokens["checkout"], without["checkout"].rate)
            figures.append(together.figure(f"{name}, one license, with signed tokens", "the same without tokens"))
    return figures


def by_concurrency(server: str | None, seconds: float) -> dict[str, list[tuple[float, float]]]:
    """Checkouts per second of one process with so many calls in flight, by database."""
    curves: dict[str, list[tuple[float, float]]] = {}
    for name, place in {"SQLite": None, **({"PostgreSQL": server} if server else {})}.items():
        with database(place, (HOT,)) as url:
            points = []
            for clients in CONCURRENCY:
                leases = min(LEASES, max(int(200 * seconds), clients * 40))
                done = under_load(url, HOT, leases=leases, clients=clients, rounds=3)
                rates = sorted(each["checkout"].rate for each in done)
                points.append((float(clients), rates[1]))
            curves[name] = points
    return curves


def _against(
    measure: Callable[[], float],
    reference: str,
    url: str,
    stock: Stock,
    what: str,
    rounds: int,
    processes: int,
    goals: dict[int, float],
) -> Figure:
    together = Rounds()
    for _ in range(rounds):
        beside = measure()
        (done,) = under_load(url, stock, leases=LEASES, clients=CLIENTS, processes=processes)
        together.add(done["checkout"], beside)
    many = f"{processes} process{'' if processes == 1 else 'es'}"
    return together.figure(f"{what}, {many}", reference, goals.get(processes))
