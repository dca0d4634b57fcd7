"""Writing and reading the event chains.

There are several chains so that processes on one PostgreSQL do not wait for each other: a commit
takes the first one that no other transaction holds. Holding it until the commit makes each chain
gap-free and in commit order, so a cursor that keeps a number per chain never misses an event. The
events of one commit are one row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import msgspec

from licentia.contract.events import Event
from licentia.domain.events import canonical, event_hash, plain
from licentia.domain.instants import from_micros
from licentia.domain.seats import Happened
from licentia.errors import InvalidRequest
from licentia.storage.database import Connection, Transaction
from licentia.storage.statements import CLOCK, Change, Clock, Insert, Query, Row, Update, Work, Write

_CURSOR = re.compile(r"[0-9]{1,4}\.[0-9]{1,18}(~[0-9]{1,4}\.[0-9]{1,18})*")
_COLUMNS = ("id", "chain", "first_seq", "last_seq", "at", "previous_hash", "hash", "entries")
_HEAD = f"SELECT id, seq, hash, {CLOCK} AS now FROM chain"
_FREE = f"{_HEAD} ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED"
_NEXT = """SELECT * FROM event WHERE chain = $1 AND last_seq > $2
AND last_seq <= coalesce((SELECT min(last_seq) FROM event WHERE chain = $1 AND last_seq >= $3), $3)
ORDER BY last_seq"""
_FIRST_SQLITE = "SELECT id, seq, hash FROM chain ORDER BY id LIMIT 1"
_ENTRIES = msgspec.json.Decoder(list[tuple[str, str, dict[str, Any]]])


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """The last event of a transaction, which is in the log if and only if the transaction was committed."""

    chain: int
    seq: int
    hash: str


class Head(msgspec.Struct, frozen=True):
    """The end of a chain, and what the database's clock said when it was locked."""

    chain: int
    seq: int
    hash: str
    now: int


def lock_head() -> Work[Head]:
    """The head of the first chain that is free, locked until the end of the transaction."""
    rows = yield Query(_FREE, (), (_FIRST_SQLITE, ()))
    if not rows:
        rows = yield Query(f"{_HEAD} WHERE id = 0 FOR UPDATE")
    row = dict(rows[0])
    if "now" not in row:
        (clock,) = yield Clock()
        row |= clock
    return Head(row["id"], row["seq"], row["hash"], row["now"])


def block(head: Head, happened: Sequence[Happened], at: int) -> tuple[tuple[Change, ...], Mark]:
    """The rows that add the events of one commit to a chain, and the mark of it."""
    chain, first, hash = head.chain, head.seq + 1, head.hash
    shown = from_micros(at)
    entries = []
    for seq, entry in enumerate(happened, start=first):
        data = plain(entry.data)
        hash = event_hash(
            chain=chain, seq=seq, at=shown, kind=entry.kind, actor=entry.actor, data=data, previous_hash=hash
        )
        entries.append((entry.kind, entry.actor, data))
    last = first + len(entries) - 1
    row = (f"{chain}-{last}", chain, first, last, at, head.hash, hash, canonical(entries))
    changes = (Insert("event", _COLUMNS, [row]), Update("chain", ("id", "seq", "hash"), [(chain, last, hash)]))
    return changes, Mark(chain=chain, seq=last, hash=hash)


async def append(transaction: Transaction, happened: Iterable[Happened]) -> Mark | None:
    """Add events to a chain, as the last thing that the transaction does before its commit; its mark, if any."""
    happened = list(happened)
    return await transaction.run(_append(happened)) if happened else None


def _append(happened: list[Happened]) -> Work[Mark]:
    head = yield from lock_head()
    changes, mark = block(head, happened, head.now)
    yield Write(changes)
    return mark


def is_committed(mark: Mark) -> Work[bool]:
    """Whether the transaction of a mark took effect, when its connection was lost before its COMMIT was answered.

    The database may still be at work on it: it holds its chain until its end, so this waits for that.
    """
    yield Query("SELECT id FROM chain WHERE id = $1 FOR UPDATE", (mark.chain,))
    rows = yield Query(
        "SELECT id FROM event WHERE chain = $1 AND last_seq = $2 AND hash = $3", (mark.chain, mark.seq, mark.hash)
    )
    return bool(rows)


async def page(connection: Connection, cursor: str | None, limit: int) -> tuple[list[Event], str]:
    """The next events after a cursor, oldest first, and the cursor after them."""
    seen = _read_cursor(cursor)
    found: list[Event] = []
    heads = await connection.rows("SELECT id, seq FROM chain ORDER BY id")
    for head in heads:
        if head["seq"] > seen.get(head["id"], 0):
            found.extend(await _of_chain(connection, head["id"], seen.get(head["id"], 0), limit))
    found.sort(key=lambda event: (event.at, event.chain, event.seq))
    found = _whole_chains_first(found)[:limit]
    for event in found:
        seen[event.chain] = max(seen.get(event.chain, 0), event.seq)
    return found, "~".join(f"{chain}.{seq}" for chain, seq in sorted(seen.items()))


async def end(connection: Connection) -> str:
    """The cursor after everything that is committed."""
    heads = await connection.rows("SELECT id, seq FROM chain WHERE seq > 0 ORDER BY id")
    return "~".join(f"{head['id']}.{head['seq']}" for head in heads)


async def some(connection: Connection, places: Sequence[tuple[int, int]]) -> list[Event]:
    """The events at these places, each a chain and a number in it, oldest first."""
    found: list[Event] = []
    for chain, seq in sorted(set(places)):
        if found and (found[-1].chain, found[-1].seq) >= (chain, seq):
            continue
        rows = await connection.rows(
            "SELECT * FROM event WHERE chain = $1 AND last_seq >= $2 ORDER BY last_seq LIMIT 1", chain, seq
        )
        found.extend(event for row in rows for event in _events(row) if event.seq >= seq)
    wanted = set(places)
    chosen = [event for event in found if (event.chain, event.seq) in wanted]
    return sorted(chosen, key=lambda event: (event.at, event.chain, event.seq))


async def _of_chain(connection: Connection, chain: int, seen: int, limit: int) -> list[Event]:
    """The next `limit` events of a chain; all if there are fewer."""
    rows = await connection.rows(_NEXT, chain, seen, seen + limit)
    return [*islice((event for row in rows for event in _events(row) if event.seq > seen), limit)]


def _whole_chains_first(events: list[Event]) -> list[Event]:
    """Keep each chain in its own order where a clock that was set back has mixed it."""
    by_chain: dict[int, list[Event]] = {}
    for event in sorted(events, key=lambda event: event.seq, reverse=True):
        by_chain.setdefault(event.chain, []).append(event)
    return [by_chain[event.chain].pop() for event in events]


def _read_cursor(cursor: str | None) -> dict[int, int]:
    if not cursor:
        return {}
    if not _CURSOR.fullmatch(cursor):
        raise InvalidRequest.at("/cursor", "not a cursor that this server gave")
    pairs = (part.split(".") for part in cursor.split("~"))
    return {int(chain): int(seq) for chain, seq in pairs}


def _events(row: Row) -> Iterable[Event]:
    """The events of a row. The last one's hash is the recorded one, so that a change of any of them shows."""
    chain, at, previous_hash = row["chain"], from_micros(row["at"]), row["previous_hash"]
    for seq, (kind, actor, data) in enumerate(_ENTRIES.decode(row["entries"]), start=row["first_seq"]):
        hash = row["hash"]
        if seq < row["last_seq"]:
            hash = event_hash(
                chain=chain, seq=seq, at=at, kind=kind, actor=actor, data=data, previous_hash=previous_hash
            )
        yield Event(
            event_id=f"{chain}-{seq}",
            chain=chain,
            seq=seq,
            at=at,
            kind=kind,
            actor=actor,
            data=data,
            previous_hash=previous_hash,
            hash=hash,
        )
        previous_hash = hash
