"""What `licentia bench` measures, and what it tells of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from licentia.cli.measuring.ledger import for_seconds, open_desk, prepare
from licentia.cli.measuring.stock import HOT, SPREAD, Stock
from licentia.cli.measuring.timing import Timed, flush_seconds
from licentia.cli.measuring.unbatched import one_commit_each

TTL_SECONDS = 600
"""The usual life of a lease; it is renewed after a third of it."""
SHARE = 0.5
"""How much of what is possible one should plan with."""
MOST_BESIDE = 2.0
"""Seconds of one commit for each at most: on SQLite nothing else runs meanwhile, not even a Ctrl-C."""
AT_ONCE = 40
"""Leases of a client in one round; with few clients on a slow disk a round must not take for ever."""

TITLES = {"hot": "one license for all", "spread": f"{SPREAD.licenses:,} licenses"}
UNBATCHED = "one commit each"


class Rate(msgspec.Struct, frozen=True):
    """Calls per second, and the milliseconds within which half, 99 % and 99.9 % of them were answered."""

    per_second: float
    p50_ms: float
    p99_ms: float
    p999_ms: float

    @classmethod
    def of(cls, timed: Timed) -> Rate:
        """The summary of calls that were timed."""
        return cls(round(timed.rate, 1), *(round(timed.percentile(percent), 3) for percent in (50, 99, 99.9)))


class Report(msgspec.Struct, frozen=True):
    """All results. `flush_ms` is of the disk of a SQLite file; `commit_ms` of one transaction at a time."""

    clients: int
    flush_ms: float | None
    commit_ms: float
    hot: Mapping[str, Rate]
    spread: Mapping[str, Rate]

    @property
    def renewing_clients(self) -> int:
        """How many programs that renew their leases the ledger carries with half of its strength."""
        renewals = min(each["renewal"].per_second for each in (self.hot, self.spread))
        return int(renewals * SHARE * TTL_SECONDS / 3)


async def measure(url: str, folder: Path, clients: int, seconds: float, tell: Callable[[str], None]) -> Report:
    """Measure for about so many seconds, in an empty database; `folder` is for keys."""
    flush = None
    if url.startswith("sqlite:///"):
        flush = round(flush_seconds(Path(url.removeprefix("sqlite:///")).parent) * 1e3, 3)
        tell(f"the disk keeps a page in {flush} ms")
    await prepare(url, (HOT, SPREAD))
    commit = round((await one_commit_each(url, HOT, 1, min(seconds / 40, 0.5))).percentile(50), 3)
    tell(f"one transaction at a time takes {commit} ms")

    beside = min(seconds / 10, MOST_BESIDE)

    async def both(stock: Stock, title: str) -> dict[str, Rate]:
        unbatched = await one_commit_each(url, stock, clients, beside)
        tell(f"{title}, {UNBATCHED}: {unbatched.rate:,.0f} checkouts a second")
        async with open_desk(url, folder) as desk:
            size = min(HOT.seats, max(AT_ONCE, AT_ONCE * clients))
            deeds = await for_seconds(desk.ask, stock, clients, max(seconds / 4, seconds / 2 - beside), size)
        tell(f"{title}: {deeds['checkout'].rate:,.0f} checkouts a second")
        return {**{deed: Rate.of(timed) for deed, timed in deeds.items()}, UNBATCHED: Rate.of(unbatched)}

    hot, spread = await both(HOT, TITLES["hot"]), await both(SPREAD, TITLES["spread"])
    return Report(clients, flush, commit, hot, spread)


def as_json(report: Report) -> dict[str, Any]:
    """All values by name."""
    values: dict[str, Any] = msgspec.to_builtins(report)
    for kind in TITLES:
        values[kind] = {name.replace(" ", "_"): rate for name, rate in values[kind].items()}
    return values | {"ttl_seconds": TTL_SECONDS, "renewing_clients": report.renewing_clients}


def as_text(report: Report) -> str:
    """A table, and what it means."""
    lines = [f"{'':24}{'per second':>12}{'p50 ms':>10}{'p99 ms':>10}{'p99.9 ms':>10}"]
    for kind, title in TITLES.items():
        lines.append(title)
        for name, rate in getattr(report, kind).items():
            times = "".join(f"{value:10.2f}" for value in (rate.p50_ms, rate.p99_ms, rate.p999_ms))
            lines.append(f"  {name:22}{rate.per_second:12,.0f}{times}")
    disk = f"The disk keeps a page in {report.flush_ms} ms. " if report.flush_ms is not None else ""
    return "\n".join(
        [
            *lines,
            "",
            f"{report.clients} clients at once, one server process; each answer durable and signed, without HTTP.",
            f"{disk}One transaction at a time takes {report.commit_ms} ms.",
            f"A program renews a lease of {TTL_SECONDS} s every {TTL_SECONDS // 3} s: half of these renewals",
            f"are those of {report.renewing_clients:,} running programs. By HTTP a request costs more than its lease:",
            "plan the server's processes by that.",
        ]
    )
