"""The judge of these tests finds what is planted, so that its silence means something."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

SEATS = 3


@pytest.fixture
async def history(data: Path, open_shop: Any) -> AsyncIterator[Any]:
    """A shop on SQLite with a history in which nothing is wrong, and with the journal of its client."""
    async with open_shop(f"sqlite:///{data / 'licentia.db'}") as shop:
        await shop.license("cad", "anna", SEATS, units=100)
        claim = {"product_code": "cad", "user": "anna"}
        for seat in range(SEATS):
            await shop.call("CheckoutLicense", lease_id=f"lease-{seat}", **claim)
        await shop.call("ReleaseLease", lease_id="lease-0")
        await shop.call("CheckoutLicense", lease_id="lease-0", **claim)
        await shop.call("ReleaseLease", lease_id="lease-1")
        await shop.call("ConsumeUnits", request_id="request", units=7, **claim)
        shop.journals = [data / "journal"]
        write(shop, [{"op": "granted", "lease": "lease-1", "until": 0}, {"op": "released", "lease": "lease-1"}])
        assert await shop.faults() == []
        yield shop


def write(shop: Any, entries: list[dict[str, Any]]) -> None:
    """Add lines to the journal."""
    with shop.journals[0].open("a") as journal:
        journal.writelines(json.dumps(entry) + "\n" for entry in entries)


def plant(shop: Any, *statements: str) -> None:
    """Change the database behind the server's back, and behind the rules that guard its tables."""
    with sqlite3.connect(shop.database.removeprefix("sqlite:///")) as connection:
        for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {trigger}")
        for statement in statements:
            connection.execute(statement)
    connection.close()


def forge(shop: Any, change: Callable[[dict[str, Any]], object]) -> None:
    """Add an event to the chain, with good hashes: the last grant, changed."""
    with sqlite3.connect(shop.database.removeprefix("sqlite:///")) as connection:
        connection.row_factory = sqlite3.Row
        grants = "SELECT * FROM event WHERE entries LIKE '%lease.granted%' ORDER BY at DESC"
        event = dict(connection.execute(grants).fetchone())
        ((kind, actor, facts),) = json.loads(event["entries"])
        head = connection.execute("SELECT * FROM chain WHERE id = ?", (event["chain"],)).fetchone()
        change(facts)
        data = json.dumps(facts, sort_keys=True, separators=(",", ":"))
        seq = head["seq"] + 1
        hashed = (
            f'{{"actor":"{actor}","at":"2100-01-01T00:00:00Z","chain":{event["chain"]},"data":{data},'
            f'"kind":"{kind}","previous_hash":"{head["hash"]}","seq":{seq}}}'
        )
        hash = hashlib.sha256(hashed.encode()).hexdigest()
        event |= {"id": f"{event['chain']}-{seq}", "first_seq": seq, "last_seq": seq, "at": 4_102_444_800_000_000}
        event |= {"previous_hash": head["hash"], "hash": hash, "entries": json.dumps([[kind, actor, facts]])}
        marks = ", ".join("?" * len(event))
        connection.execute(f"INSERT INTO event ({', '.join(event)}) VALUES ({marks})", tuple(event.values()))
        connection.execute("UPDATE chain SET seq = ?, hash = ? WHERE id = ?", (seq, hash, event["chain"]))
    connection.close()


async def test_an_oversold_pool_is_found(history: Any) -> None:
    """One seat fewer than were once in use at the same time: an oversell, although all counters agree."""
    plant(history, f"UPDATE seat_pool SET seats = {SEATS - 1}", f"UPDATE license SET placed = {SEATS - 1}")
    assert any("is oversold at event" in fault for fault in await history.faults())


async def test_a_lease_that_is_granted_twice_is_found(history: Any) -> None:
    """A second grant without an end between, in a chain that is intact."""
    forge(history, lambda facts: facts)
    faults = await history.faults()
    assert any("grants lease lease-0 again" in fault for fault in faults)
    assert not any("was changed" in fault or "does not link" in fault for fault in faults)


async def test_a_grant_without_a_lease_is_found(history: Any) -> None:
    """A grant that is in the log and not in the table."""
    forge(history, lambda facts: facts.update(lease_id="ghost"))
    assert any("lease ghost lives by the events and has no row" in fault for fault in await history.faults())


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ({"op": "granted", "lease": "lost", "until": 0}, "lease lost was acknowledged and is lost"),
        ({"op": "granted", "lease": "lease-2", "until": 2**60}, f"lease lease-2 was promised until {2**60}"),
        ({"op": "released", "lease": "lease-2"}, "1 releases of lease lease-2 were acknowledged and 0 are there"),
        ({"op": "order", "number": "1", "ticket": "X"}, "order 1 was acknowledged with a ticket that is not there"),
        ({"op": "consumed", "request": "lost"}, "consumption lost was acknowledged and is lost"),
        ({"op": "activated", "activation": "lost"}, "activation lost was acknowledged and is lost"),
    ],
)
async def test_a_broken_promise_is_found(history: Any, entry: dict[str, Any], fault: str) -> None:
    """A client was told what is not so."""
    write(history, [entry])
    (found,) = await history.faults()
    assert found.startswith(fault)


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("UPDATE seat_pool SET in_use = in_use + 1", "counts 3 seats in use, its leases add up to 2"),
        ("DELETE FROM lease WHERE id = 'lease-2'", "lease lease-2 lives by the events and has no row"),
        ("UPDATE license SET placed = placed + 1", "has 4 seats placed of 3"),
        ("UPDATE meter SET used = 8", "counts 8 of 300 units, its events 7"),
        ("DELETE FROM unit_consumption", "consumption request has a row or an event, not both"),
        ("DELETE FROM ticket", "its ticket 0 times"),
        ("DELETE FROM license", "has no license for its lines ['1']"),
        ("DELETE FROM seat_pool", "which is not there"),
        ("DELETE FROM activation", "is there 0 times, its event 1 times"),
    ],
)
async def test_a_drifted_table_is_found(history: Any, statement: str, fault: str) -> None:
    """A table no longer says what the log says."""
    plant(history, statement)
    assert any(fault in found for found in await history.faults())


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("UPDATE event SET entries = replace(entries, 'anna', 'eve') WHERE last_seq = 6", "was changed"),
        ("UPDATE event SET at = at - 1000000 WHERE last_seq = 6", "was changed"),
        ("DELETE FROM event WHERE last_seq = 3", "has a gap before"),
        ("DELETE FROM event WHERE last_seq = (SELECT max(last_seq) FROM event)", "the head of chain 0 is at"),
        ("UPDATE event SET previous_hash = hash WHERE last_seq = 3", "does not link to the one before"),
        ("UPDATE chain SET hash = 'x' WHERE id = 7", "the head of chain 7 is at 0"),
    ],
)
async def test_a_tampered_log_is_found(history: Any, statement: str, fault: str) -> None:
    """An event was changed or taken out."""
    plant(history, statement)
    assert any(fault in found for found in await history.faults())
