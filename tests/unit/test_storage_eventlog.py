"""The event log: chains without gaps, and cursors that miss nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from licentia.contract.events import Event
from licentia.domain.events import verify_chain
from licentia.domain.seats import Happened
from licentia.errors import InvalidRequest
from licentia.storage import eventlog
from licentia.storage.database import Database


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An open database without events."""
    database = await Database.open(database_url)
    try:
        yield database
    finally:
        await database.close()


def entry(name: str) -> Happened:
    """An event of this name."""
    return Happened(kind="test.done", actor="test", data={"name": name, "nothing": None, "list": [1, "日本"]})


async def write(database: Database, *names: str, hold: float = 0) -> None:
    """Write events in one transaction, which takes a while before its commit."""
    async with database.write() as tx:
        await eventlog.append(tx, [entry(name) for name in names])
        await asyncio.sleep(hold)


async def read(database: Database, cursor: str | None = None, limit: int = 500) -> tuple[list[Event], str]:
    """A page."""
    async with database.read() as connection:
        return await eventlog.page(connection, cursor, limit)


def names(events: list[Event]) -> list[str]:
    """What the events are called."""
    return [event.data["name"] for event in events]


async def test_events_are_read_as_they_were_written(database: Database) -> None:
    """One after the other, linked, with what was recorded and without what is None."""
    await write(database, "a", "b")
    await write(database)
    await write(database, "c")
    events, _ = await read(database)
    assert names(events) == ["a", "b", "c"]
    assert events[0].data == {"name": "a", "list": [1, "日本"]}
    assert events[0].event_id == f"{events[0].chain}-1"
    assert verify_chain(events) == []


async def test_a_transaction_that_fails_leaves_no_event(database: Database) -> None:
    """A rollback takes the events with it, and the chain goes on without a gap."""

    async def fail() -> None:
        async with database.write() as tx:
            await eventlog.append(tx, [entry("lost")])
            raise KeyError

    await write(database, "a")
    with pytest.raises(KeyError):
        await fail()
    await write(database, "b")
    events, _ = await read(database)
    assert names(events) == ["a", "b"]
    assert verify_chain(events) == []


@pytest.mark.parametrize("limit", [1, 3, 500])
async def test_pages_give_every_event_once(database: Database, limit: int) -> None:
    """Following the cursor gives the whole trail, each chain in its order, and ends where nothing is left."""
    await asyncio.gather(*[write(database, f"{n}a", f"{n}b", hold=0.01) for n in range(9)])
    found: list[Event] = []
    cursor: str | None = None
    while True:
        events, cursor = await read(database, cursor, limit)
        if not events:
            break
        assert len(events) <= limit
        found += events
    assert sorted(names(found)) == sorted(f"{n}{letter}" for n in range(9) for letter in "ab")
    assert verify_chain(found) == []


async def test_a_reader_misses_nothing_while_others_write(database: Database) -> None:
    """A reader that keeps its cursor sees every event exactly once, whichever transaction commits first."""
    writers = asyncio.gather(*[write(database, f"{n}", hold=0.02 * (n % 3)) for n in range(30)])
    found: list[Event] = []
    events: list[Event] = []
    cursor: str | None = None
    done = False
    while not done or events:
        done = writers.done()  # asked before the reading: what is committed meanwhile is read in the next round
        events, cursor = await read(database, cursor, 4)
        found += events
        await asyncio.sleep(0)
    await writers
    assert sorted(names(found), key=int) == [f"{n}" for n in range(30)]
    assert verify_chain(found) == []


async def test_transactions_of_postgresql_do_not_wait_for_each_other(postgres_url: str) -> None:
    """Each open transaction has a chain of its own, as long as there are chains."""
    database = await Database.open(postgres_url)
    try:
        inside = asyncio.Barrier(5)

        async def hold() -> None:
            async with database.write() as tx:
                await eventlog.append(tx, [entry("a")])
                await asyncio.wait_for(inside.wait(), 10)

        await asyncio.gather(*[hold() for _ in range(5)])
        events, _ = await read(database)
    finally:
        await database.close()
    assert sorted(event.chain for event in events) == [0, 1, 2, 3, 4]


async def test_more_transactions_than_chains_wait_their_turn(postgres_url: str) -> None:
    """When every chain is held by somebody, a commit waits for one and the trail stays whole."""
    database, other = await Database.open(postgres_url), await Database.open(postgres_url)
    try:
        await asyncio.gather(*[write((database, other)[n % 2], f"{n}", hold=0.05) for n in range(40)])
        events, _ = await read(database)
    finally:
        await database.close()
        await other.close()
    assert len(events) == 40
    assert verify_chain(events) == []


@pytest.mark.parametrize("limit", [1, 3, 500])
async def test_a_clock_that_is_set_back_keeps_the_chain_in_order(database: Database, limit: int) -> None:
    """Events are never shown before those they link to, whatever the clock did."""
    for name in "abcd":
        await write(database, name)
    async with database.write() as tx:
        await tx.rows("UPDATE event SET at = at - 3600000000 WHERE last_seq > 2")
    found: list[Event] = []
    cursor: str | None = None
    for _ in range(4):
        events, cursor = await read(database, cursor, limit)
        found += events
    assert names(found) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("cursor", ["x", "0", "0.x", "0.1.2", "~", "0.1~", "-1.5", "0.-5", "0." + "9" * 30, "0.1_0"])
async def test_a_cursor_of_somebody_else_is_refused(database: Database, cursor: str) -> None:
    """What is no cursor of this server is a wrong value of that field."""
    with pytest.raises(InvalidRequest) as refusal:
        await read(database, cursor)
    assert [problem.pointer for problem in refusal.value.problems] == ["/cursor"]


async def test_the_cursor_at_the_end_waits_for_more(database: Database) -> None:
    """The last cursor gives nothing until something happens, then just that."""
    await write(database, "a")
    _, cursor = await read(database)
    assert await read(database, cursor) == ([], cursor)
    await write(database, "b")
    events, _ = await read(database, cursor)
    assert names(events) == ["b"]
