"""The seat ledger under load: everybody takes a seat, renews it, and gives it back."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

from licentia.cli.measuring.stock import Stock, lay_in, release
from licentia.cli.measuring.timing import Timed, in_flight, joined
from licentia.crypto.keyfolder import KeyFolder
from licentia.crypto.leases import LeaseSigner
from licentia.domain.seats import Wish
from licentia.services.desk import Desk
from licentia.storage.database import Database
from licentia.storage.leasestore import lease_store

Deed = Literal["checkout", "renewal", "release"]
Ask = Callable[[Wish], Awaitable[object]]

WARM_UP = 512
"""Calls before those that count: connections are made and statements prepared by then."""


async def prepare(url: str, stocks: Sequence[Stock]) -> None:
    """Make the tables and the licenses in an empty database."""
    database = await Database.open(url)
    try:
        await database.migrate()
        for stock in stocks:
            await lay_in(database, stock)
    finally:
        await database.close()


@asynccontextmanager
async def open_desk(url: str, folder: Path) -> AsyncIterator[Desk]:
    """The desk of a server on this database, with keys in the folder."""
    desk = Desk(lease_store(url), LeaseSigner(KeyFolder(folder / "keys").lease_key()))
    try:
        yield desk
    finally:
        await desk.close()


async def round_of(
    ask: Ask,
    stock: Stock,
    leases: Sequence[str],
    clients: int,
    *,
    first: int = 0,
    together: Callable[[], object] = lambda: None,
) -> dict[Deed, Timed]:
    """All these leases are taken, then renewed, then released, by so many clients; `first` is the first one's license.

    `together` is called before each of the three, as where several processes wait for each other.
    """
    claims = [stock.claim(lease, number) for number, lease in enumerate(leases, start=first)]
    deeds: Mapping[Deed, Sequence[Wish]] = {
        "checkout": claims,
        "renewal": claims,
        "release": [release(lease) for lease in leases],
    }
    timed: dict[Deed, Timed] = {}
    for deed, wishes in deeds.items():
        together()
        timed[deed] = await in_flight(ask, wishes, clients)
    return timed


async def for_seconds(ask: Ask, stock: Stock, clients: int, seconds: float, size: int) -> dict[Deed, Timed]:
    """Rounds of so many leases until the time is over, one at least; all calls of a kind as if made in one go."""
    names = map("bench-{}".format, itertools.count())
    await round_of(ask, stock, [*itertools.islice(names, min(WARM_UP, size))], clients)
    ends = time.monotonic() + seconds
    rounds: list[dict[Deed, Timed]] = []
    while not rounds or time.monotonic() < ends:
        rounds.append(await round_of(ask, stock, [*itertools.islice(names, size)], clients))
    return {deed: in_a_row([each[deed] for each in rounds]) for deed in rounds[0]}


def in_a_row(parts: Sequence[Timed]) -> Timed:
    """Rounds one after the other as one that takes the sum of their times."""
    whole = joined(parts)
    return Timed(0.0, sum(part.ended - part.began for part in parts), whole.seconds)
