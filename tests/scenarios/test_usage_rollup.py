"""Usage over hours that are added up: the same numbers as counting the leases, whenever and by whomever it was done."""

from __future__ import annotations

import asyncio
import itertools
import random
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from licentia.contract import BY_NAME, parse
from licentia.contract.usage import Usage
from licentia.domain.instants import from_micros, to_micros
from licentia.domain.usage import HOUR, after, floor
from licentia.services.application import Application
from licentia.services.identity import OPERATOR
from licentia.services.rollup import Rollup
from licentia.storage import usagestore
from licentia.storage.database import Database

MINUTE = HOUR // 60
START = to_micros(datetime(2026, 1, 30, 20, tzinfo=UTC))
LENGTH = 60 * HOUR
LICENSES = {"l1": ("p", "erp/a"), "l2": ("p", "shop/a"), "l3": ("q", "erp/b_b"), "l4": ("q", "erp/bxb")}
POOLS = {"l1": ("l1x", "l1y"), "l2": ("l2x",), "l3": ("l3x",), "l4": ("l4x",)}
OWNERS = {pool: (license_id, *LICENSES[license_id]) for license_id, pools in POOLS.items() for pool in pools}
ADD_UP = """
import asyncio, sys
from licentia.services.rollup import Rollup
from licentia.storage.database import Database
async def main():
    database = await Database.open(sys.argv[1])
    try:
        print("ready", flush=True)
        sys.stdin.readline()
        await Rollup(database, 0).catch_up()
    finally:
        await database.close()
asyncio.run(main())
"""


@dataclass
class Held:
    """What one lease holds in one pool, from its beginning to its end as it will turn out."""

    lease_id: str
    pool: str
    key: str
    seats: int
    begins: int
    ends: int
    swept: int


@dataclass
class History:
    """Leases and denials (minute, license, product code, reason, count) over some days."""

    leases: list[Held]
    denials: list[tuple[int, str, str, str, int]]


def some_instant(luck: random.Random) -> int:
    """Often a full hour or quarter, so that things meet; else any microsecond."""
    step = luck.choice((HOUR, HOUR // 4, 1))
    return floor("hour", START) + luck.randrange(0, LENGTH) // step * step


def some_history(luck: random.Random, size: int = 40) -> History:
    """Leases short and long, alone and sharing, some over two licenses; some that last no time at all."""
    leases = []
    for number in range(luck.randrange(size)):
        begins = some_instant(luck)
        life = luck.choice((0, 1, HOUR // 4, HOUR // 2, HOUR, 7 * HOUR, 20 * HOUR, 90 * HOUR))
        swept = begins + life + luck.choice((0, MINUTE, 30 * HOUR))
        pools = luck.sample([*OWNERS], 1) if luck.random() < 0.8 else ["l1x", "l2x"]
        key = luck.choice(("", "", "station s", "user u")) if len(pools) == 1 else ""
        for pool in pools:
            seats = luck.choice((1, 1, 2, 5))
            leases.append(Held(f"e{number}", pool, key or f"lease e{number}", seats, begins, begins + life, swept))
    denials = Counter[tuple[int, str, str, str]]()
    for _ in range(luck.randrange(size)):
        minute = some_instant(luck) // MINUTE * MINUTE
        license_id = luck.choice(("", *LICENSES))
        code = LICENSES[license_id][0] if license_id else luck.choice("pq")
        denials[minute, license_id, code, luck.choice(("no_free_seats", "license_expired"))] += luck.randrange(1, 4)
    return History(leases, [(*key, count) for key, count in denials.items()])


async def as_it_was(database: Database, history: History, moment: int, luck: random.Random) -> None:
    """Write the tables as they were at a moment: what ended was cleared away or not, what lives has an end to come."""
    async with database.write() as tx:
        for table in ("lease", "past_lease", "denial"):
            await tx.rows(f"DELETE FROM {table}")
        # A seat that is kept for its user is no use.
        await tx.rows(
            "INSERT INTO lease (id, parts, pool_id, user_id, share_key, seats, charged, granted_at, expires_at, state)"
            " VALUES ('+', 1, 'l1x', 'u', 'user v', 7, 7, 0, $1, 'assigned')",
            to_micros(datetime(3000, 1, 1, tzinfo=UTC)),
        )  # fmt: skip
        for place, held in enumerate(history.leases):
            if held.begins > moment:
                continue
            if held.swept <= moment or (held.ends <= moment and held.begins == held.ends):
                await tx.rows(
                    "INSERT INTO past_lease (lease_id, pool_id, share_key, seats, granted_at, ended_at)"
                    " VALUES ($1, $2, $3, $4, $5, $6)",
                    held.lease_id, held.pool, held.key, held.seats, held.begins, held.ends,
                )  # fmt: skip
                continue
            ends = held.ends if held.ends <= moment else moment + luck.randrange(1, 30 * HOUR)
            await tx.rows(
                "INSERT INTO lease (id, whole, parts, pool_id, user_id, share_key, seats, charged, granted_at,"
                " expires_at, state) VALUES ($1, $2, 1, $3, 'u', $4, $5, 0, $6, $7, 'live')",
                f"{held.lease_id}+{place}", held.lease_id, held.pool,
                None if held.key.startswith("lease ") else held.key, held.seats, held.begins, ends,
            )  # fmt: skip
        for minute, license_id, code, reason, count in history.denials:
            if minute <= moment:
                await tx.rows(
                    "INSERT INTO denial (license_id, product_code, minute, reason, count) VALUES ($1, $2, $3, $4, $5)",
                    license_id, code, minute, reason, count,
                )  # fmt: skip


async def sell(database: Database) -> None:
    """The licenses and pools of every history."""
    async with database.write() as tx:
        for license_id, (code, customer) in LICENSES.items():
            source, _, customer_id = customer.partition("/")
            await tx.rows(
                "INSERT INTO purchase_order (id, source, order_number, cancelled, test, version, digest, customer,"
                " lines, created_at, updated_at) VALUES ($1, $2, $1, $3, $3, 1, '', $4, '[]', 0, 0)",
                f"o-{license_id}", source, False, msgspec.json.encode({"id": customer_id, "name": "/"}).decode(),
            )  # fmt: skip
            await tx.rows(
                "INSERT INTO license (id, order_id, ticket_id, line_id, sku, product_code, name, terms, quantity,"
                " placed, to_reclaim, standing, overdraft_placed, restores, renewals, created_at)"
                " VALUES ($1, $2, 't', '1', 's', $3, 'n', '{}', 9, 0, 0, 'live', 0, 0, 0, 0)",
                license_id, f"o-{license_id}", code,
            )  # fmt: skip
            for pool in POOLS[license_id]:
                await tx.rows(
                    "INSERT INTO seat_pool (id, activation_id, license_id, container_id, user_id, product_code,"
                    " leasing, state, seats, overdraft, unlimited, in_use, waiters)"
                    " VALUES ($1, 'a', $2, 'c', 'u', $3, $4, 'open', 9, 0, $5, 0, 0)",
                    pool, license_id, code, True, False,
                )  # fmt: skip


def owners_of(license_id: str, code: str, customer: str) -> list[tuple[str, ...]]:
    """Whose sums it goes into."""
    owners: list[tuple[str, ...]] = [("product", code)]
    return owners + ([("customer", code, customer), ("license", code, license_id)] if license_id else [])


def counted(history: History, since: int, to: int) -> dict[tuple[str, ...], tuple[Any, ...]]:
    """What a time adds up to, counted slowly: checkouts, denials by reason, seat-microseconds, peak, by owner."""
    granted: dict[tuple[str, ...], set[tuple[str, int]]] = defaultdict(set)
    groups: dict[tuple[str, ...], dict[tuple[str, str], list[Held]]] = defaultdict(lambda: defaultdict(list))
    for held in history.leases:
        for owner in owners_of(*OWNERS[held.pool]):
            if since <= held.begins < to:
                granted[owner].add((held.lease_id, held.begins))
            if held.begins < held.ends and held.begins < to and held.ends > since:
                groups[owner][held.pool, held.key].append(held)
    denied: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for minute, license_id, code, reason, count in history.denials:
        if since // MINUTE * MINUTE <= minute < to:
            for owner in owners_of(license_id, code, LICENSES[license_id][1] if license_id else ""):
                denied[owner][reason] += count
    found = {}
    for owner in granted.keys() | groups.keys() | denied.keys():
        all_held = [held for group in groups[owner].values() for held in group]
        bounds = {bound for held in all_held for bound in (held.begins, held.ends) if since < bound < to}
        times = sorted({since, to} | bounds)
        micros = peak = 0
        for begins, ends in itertools.pairwise(times):
            level = sum(
                max((held.seats for held in group if held.begins <= begins < held.ends), default=0)
                for group in groups[owner].values()
            )
            micros += level * (ends - begins)
            peak = max(peak, level)
        reasons = tuple(sorted(denied[owner].items()))
        found[owner] = (len(granted[owner]), reasons, micros // 1_000_000, peak)
    return found


def shown(usage: Usage) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """A report as `counted` has it, with the start of each row."""
    found: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for kind, rows, owner in (
        ("product", usage.products, lambda row: ()),
        ("customer", usage.customers, lambda row: (f"{row.source}/{row.customer_id}",)),
        ("license", usage.licenses, lambda row: (row.license_id,)),
    ):
        for row in rows:  # type: ignore[attr-defined]
            key = (row.start, kind, row.product_code, *owner(row))
            assert key not in found
            assert row.denials == sum(each.count for each in row.denied)
            reasons = tuple((each.reason, each.count) for each in row.denied)
            found[key] = (row.checkouts, reasons, row.seat_seconds, row.peak)
    return found


def expected(history: History, since: int, to: int, per: str) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """What the report must say."""
    if per == "total":
        return {(None, *owner): counts for owner, counts in counted(history, since, to).items()}
    found: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    while since < to:
        slot = floor(per, since)  # type: ignore[arg-type]
        ends = min(to, after(per, slot))  # type: ignore[arg-type]
        found |= {(from_micros(slot), *owner): counts for owner, counts in counted(history, since, ends).items()}
        since = ends
    return found


async def report(
    application: Application, since: int, to: int, **fields: Any
) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """All pages of a report."""
    found: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    times = {"from_": from_micros(since), "to": from_micros(to)}
    request = msgspec.structs.replace(parse(BY_NAME["GetUsage"], fields), **times)
    while True:
        usage: Any = await application.call(BY_NAME["GetUsage"], request, OPERATOR)
        assert (usage.from_, usage.to) == (times["from_"], times["to"])
        page = shown(usage)
        assert len(page) <= request.limit
        assert not page.keys() & found.keys()
        found |= page
        if usage.next_cursor is None:
            return found
        assert len(page) == request.limit
        request = msgspec.structs.replace(request, cursor=usage.next_cursor)


async def cleared(database: Database) -> None:
    """As if nothing had been used yet."""
    async with database.write() as tx:
        for table in ("lease", "past_lease", "denial", "usage_period", "usage_mark"):
            await tx.rows(f"DELETE FROM {table}")


@asynccontextmanager
async def second(url: str) -> AsyncIterator[Database]:
    """A connection of another process."""
    database = await Database.open(url)
    try:
        yield database
    finally:
        await database.close()


async def rolled(database: Database, moment: int) -> None:
    """Add up what is final at a moment."""
    async with database.write() as tx:
        if not (await usagestore.marks(tx)).hour:
            await usagestore.start(tx, moment)
    await Rollup(database, 0).add_up(moment)


@pytest.mark.parametrize("seed", range(12))
async def test_sums_are_what_counting_gives(application_on_both: Application, seed: int) -> None:
    """Any history, added up at any moments while it went on, reports any time as if every lease were counted."""
    luck = random.Random(seed)
    database = application_on_both.database
    await sell(database)
    history = some_history(luck)
    for moment in sorted(some_instant(luck) for _ in range(luck.randrange(4))):
        await as_it_was(database, history, moment, luck)
        await rolled(database, moment)
    await as_it_was(database, history, START + 1000 * HOUR, luck)
    if luck.random() < 0.5:
        await rolled(database, START + LENGTH // 2)
    for _ in range(6):
        since, to = sorted((some_instant(luck) - HOUR, some_instant(luck) + HOUR + 1))
        per = luck.choice(("total", "total", "hour", "day", "month"))
        limit = luck.choice((3, 10_000))
        assert await report(application_on_both, since, to, per=per, limit=limit) == expected(history, since, to, per)


async def test_a_filter_leaves_the_rows_it_is_about(application_on_both: Application) -> None:
    """One product, license or customer: its own rows, with the same numbers, from sums and from leases."""
    luck = random.Random(1)
    database = application_on_both.database
    await sell(database)
    history = some_history(luck, 200)
    await as_it_was(database, history, START + 1000 * HOUR, luck)
    since, to = START + 1, START + LENGTH - 1
    everything = expected(history, since, to, "total")
    assert len(everything) == 2 + 4 + 4
    for added_up in (False, True):
        if added_up:
            await rolled(database, START + LENGTH // 2)
        for fields, keep in (
            ({"product_code": "p"}, lambda owner: owner[1] == "p"),
            ({"license_id": "l2"}, lambda owner: owner[-1] == "l2"),
            # The same id in two sources is two customers; an underscore is no wildcard.
            ({"customer_id": "a"}, lambda owner: owner[-1] in ("erp/a", "shop/a", "l1", "l2")),
            ({"customer_id": "b_b"}, lambda owner: owner[-1] in ("erp/b_b", "l3")),
            ({"customer_id": "a", "product_code": "q"}, lambda owner: False),
        ):
            wanted = {owner: counts for owner, counts in everything.items() if keep(owner[1:])}
            assert await report(application_on_both, since, to, **fields) == wanted, fields


async def test_whoever_adds_up_it_is_done_once(application_on_both: Application, database_url: str) -> None:
    """Several processes at once, one of them killed in the middle, write each period once."""
    luck = random.Random(2)
    database = application_on_both.database
    await sell(database)
    history = some_history(luck, 300)
    await as_it_was(database, history, START + 1000 * HOUR, luck)
    racers = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", ADD_UP, database_url, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(3)
    ]
    try:
        for racer in racers:
            assert racer.stdout is not None
            assert racer.stdin is not None
            assert await racer.stdout.readline() == b"ready\n"
            racer.stdin.write(b"\n")
        async with asyncio.timeout(30):
            while True:
                async with database.read() as connection:
                    if (await usagestore.marks(connection)).hour > START + 10 * HOUR:
                        break
                await asyncio.sleep(0.001)
        racers[0].kill()
        assert [await racer.wait() for racer in racers[1:]] == [0, 0]
    finally:
        for racer in racers:
            if racer.returncode is None:
                racer.kill()
                await racer.wait()
    async with database.read() as connection:
        marks = await usagestore.marks(connection)
        twice = await connection.rows(
            "SELECT level FROM usage_period GROUP BY level, start, scope, product_code, customer, license_id, reason"
            " HAVING count(*) > 1"
        )
    assert marks.hour > START + LENGTH + 100 * HOUR
    assert twice == []
    since, to = START - HOUR + 1, START + LENGTH + 90 * HOUR
    for per in ("total", "day", "month"):
        assert await report(application_on_both, since, to, per=per) == expected(history, since, to, per)


async def test_an_hour_is_not_final_while_a_change_of_it_is_open(
    application_on_both: Application, database_url: str
) -> None:
    """A transaction that runs for long may still write of the hour in which it began: that hour waits for it."""
    database = application_on_both.database
    async with second(database_url) as other:
        async with database.write() as tx:
            began = to_micros(await tx.now())
            await tx.rows("INSERT INTO product_code (code) VALUES ('x')")
            await asyncio.sleep(0.02)
            if database.dialect == "postgres":
                async with other.write() as mine:
                    assert await usagestore.final(mine, 0) <= began
            else:  # there nobody can ask before it has ended
                waiting = asyncio.create_task(_final(other))
                await asyncio.sleep(0.05)
                assert not waiting.done()
        assert await _final(other) > began
        if database.dialect == "sqlite":
            assert await waiting > began


async def _final(database: Database) -> int:
    async with database.write() as tx:
        return await usagestore.final(tx, 0)


async def test_leases_that_are_not_kept_leave_their_sums(application_on_both: Application) -> None:
    """After `usage_keep_days` leases and denials are gone, whole hours say the same, and parts of hours are widened."""
    luck = random.Random(3)
    database = application_on_both.database
    await sell(database)
    history = some_history(luck, 100)
    await as_it_was(database, history, START + 1000 * HOUR, luck)
    await Rollup(database, 1).catch_up()
    async with database.read() as connection:
        for table in ("past_lease", "denial"):
            assert await connection.rows(f"SELECT * FROM {table}") == []
    since, to = START + 2 * HOUR, START + 40 * HOUR
    wanted = expected(history, since, to, "total")
    assert await report(application_on_both, since, to) == wanted
    request = parse(
        BY_NAME["GetUsage"],
        {"from": from_micros(since + 5).isoformat(), "to": from_micros(to - 5).isoformat()},
    )
    usage: Any = await application_on_both.call(BY_NAME["GetUsage"], request, OPERATOR)
    assert (usage.from_, usage.to) == (from_micros(since), from_micros(to))
    assert shown(usage) == wanted


async def test_the_work_begins_where_the_use_began(application_on_both: Application) -> None:
    """Nothing is added up before there is an hour to add up; what came before the first look is not lost."""
    database = application_on_both.database
    await Rollup(database, 0).catch_up()
    async with database.read() as connection:
        empty = await usagestore.marks(connection)
        assert await connection.rows("SELECT * FROM usage_period") == []
    async with database.write() as tx:
        assert HOUR // 12 <= to_micros(await tx.now()) - empty.hour <= 2 * HOUR
    await cleared(database)
    await sell(database)
    history = some_history(random.Random(4))
    await as_it_was(database, history, START + 1000 * HOUR, random.Random(4))
    await Rollup(database, 0).catch_up()
    assert await report(application_on_both, START - HOUR, START + LENGTH) == expected(
        history, START - HOUR, START + LENGTH, "total"
    )


async def test_a_stopped_worker_ends(application_on_both: Application) -> None:
    """The work of a server ends with it, whether it waits or is at it."""
    rollup = Rollup(application_on_both.database, 0)
    rollup.start()
    async with asyncio.timeout(5):
        await rollup.close()
        await rollup.catch_up()
