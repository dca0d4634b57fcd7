"""Writing and reading the event chains.

There are several chains so that processes on one PostgreSQL do not wait for each other: a commit
takes the first one that no other transaction holds. Holding it until the commit makes each chain
gap-free and in commit order, so a cursor that keeps a number per chain never misses an event.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from licentia.contract.events import Event
from licentia.domain.events import canonical, event_hash, plain
from licentia.errors import InvalidRequest
from licentia.storage.database import Connection, Transaction
from licentia.storage.fields import from_micros, to_micros

_CURSOR = re.compile(r"[0-9]{1,4}\.[0-9]{1,18}(~[0-9]{1,4}\.[0-9]{1,18})*")


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """A change that a use case made, to be written with it."""

    kind: str
    actor: str
    data: Mapping[str, Any]


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """The last event of a transaction, which is in the log if and only if the transaction was committed."""

    chain: int
    seq: int
    hash: str


async def append(transaction: Transaction, recorded: Iterable[Recorded]) -> Mark | None:
    """Add events to a chain, as the last thing that the transaction does before its commit; its mark, if any."""
    recorded = list(recorded)
    if not recorded:
        return None
    head = await _lock_head(transaction)
    chain, seq, previous_hash = head["id"], head["seq"], head["hash"]
    at = await transaction.now()
    for entry in recorded:
        seq += 1
        data = plain(entry.data)
        hash = event_hash(
            chain=chain,
            seq=seq,
            at=at,
            kind=entry.kind,
            actor=entry.actor,
            data=data,
            previous_hash=previous_hash,
        )
        await transaction.rows(
            "INSERT INTO event (id, chain, seq, at, kind, actor, data, previous_hash, hash)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            f"{chain}-{seq}", chain, seq, to_micros(at), entry.kind, entry.actor, canonical(data), previous_hash, hash,
        )  # fmt: skip
        previous_hash = hash
    await transaction.rows("UPDATE chain SET seq = $2, hash = $3 WHERE id = $1", chain, seq, previous_hash)
    return Mark(chain=chain, seq=seq, hash=previous_hash)


async def is_committed(transaction: Transaction, mark: Mark) -> bool:
    """Whether the transaction of a mark took effect, when its connection was lost before its COMMIT was answered.

    The database may still be at work on it: it holds its chain until its end, so this waits for that.
    """
    await transaction.rows(f"SELECT id FROM chain WHERE id = $1 {transaction.for_update}", mark.chain)  # noqa: S608
    event = await transaction.row(
        "SELECT id FROM event WHERE chain = $1 AND seq = $2 AND hash = $3", mark.chain, mark.seq, mark.hash
    )
    return event is not None


async def page(connection: Connection, cursor: str | None, limit: int) -> tuple[list[Event], str]:
    """The next events after a cursor, oldest first, and the cursor after them."""
    seen = _read_cursor(cursor)
    found: list[Event] = []
    heads = await connection.rows("SELECT id, seq FROM chain ORDER BY id")
    for head in heads:
        if head["seq"] > seen.get(head["id"], 0):
            rows = await connection.rows(
                "SELECT * FROM event WHERE chain = $1 AND seq > $2 ORDER BY seq LIMIT $3",
                head["id"], seen.get(head["id"], 0), limit,
            )  # fmt: skip
            found.extend(map(_event, rows))
    found.sort(key=lambda event: (event.at, event.chain, event.seq))
    found = _whole_chains_first(found)[:limit]
    for event in found:
        seen[event.chain] = max(seen.get(event.chain, 0), event.seq)
    return found, "~".join(f"{chain}.{seq}" for chain, seq in sorted(seen.items()))


def _whole_chains_first(events: list[Event]) -> list[Event]:
    """Keep each chain in its own order where a clock that was set back has mixed it."""
    by_chain: dict[int, list[Event]] = {}
    for event in sorted(events, key=lambda event: event.seq):
        by_chain.setdefault(event.chain, []).append(event)
    return [by_chain[event.chain].pop(0) for event in events]


def _read_cursor(cursor: str | None) -> dict[int, int]:
    if not cursor:
        return {}
    if not _CURSOR.fullmatch(cursor):
        raise InvalidRequest.at("/cursor", "not a cursor that this server gave")
    pairs = (part.split(".") for part in cursor.split("~"))
    return {int(chain): int(seq) for chain, seq in pairs}


def _event(row: dict[str, Any]) -> Event:
    return Event(
        event_id=row["id"],
        chain=row["chain"],
        seq=row["seq"],
        at=from_micros(row["at"]),
        kind=row["kind"],
        actor=row["actor"],
        data=msgspec.json.decode(row["data"]),
        previous_hash=row["previous_hash"],
        hash=row["hash"],
    )


async def _lock_head(transaction: Transaction) -> dict[str, Any]:
    skip = "" if transaction.dialect == "sqlite" else "FOR UPDATE SKIP LOCKED"
    head = await transaction.row(f"SELECT id, seq, hash FROM chain ORDER BY id LIMIT 1 {skip}")  # noqa: S608
    if head is None:
        head = await transaction.row("SELECT id, seq, hash FROM chain WHERE id = 0 FOR UPDATE")
    assert head is not None
    return head
