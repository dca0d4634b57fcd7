"""The hash chain that makes the audit trail tamper-evident.

The hash of an event is SHA-256 over its canonical JSON: the members actor, at, chain, data, kind,
previous_hash and seq, names sorted, no white space, UTF-8, as RFC 8785 has it for values without
fractions. `at` is the text that the API shows. `previous_hash` is the hash of the event before it in
the same chain, or 64 zeros.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from licentia.contract.events import Event

GENESIS = "0" * 64
_PLAIN = frozenset({str, int, bool})


def canonical(value: Any) -> str:
    """The canonical JSON of a value made of objects, lists, strings, whole numbers, truth values and null."""
    return msgspec.json.encode(value, order="sorted").decode()


def plain(data: Mapping[str, Any]) -> dict[str, Any]:
    """Event data as plain JSON values, without what is None."""
    return {
        name: value if type(value) in _PLAIN else msgspec.to_builtins(value)
        for name, value in data.items()
        if value is not None
    }


def event_hash(*, chain: int, seq: int, at: Any, kind: str, actor: str, data: Any, previous_hash: str) -> str:
    """The hash of one event."""
    members = {
        "actor": actor,
        "at": at,
        "chain": chain,
        "data": data,
        "kind": kind,
        "previous_hash": previous_hash,
        "seq": seq,
    }
    return hashlib.sha256(msgspec.json.encode(members, order="sorted")).hexdigest()


def verify_chain(events: Iterable[Event]) -> list[str]:
    """The faults in a complete trail, each in one sentence; none if it is intact.

    Events of several chains may be mixed, but each chain must be in order and start at its first.
    """
    faults: list[str] = []
    heads: dict[int, tuple[int, str]] = {}
    for event in events:
        seq, previous = heads.get(event.chain, (0, GENESIS))
        if event.seq != seq + 1:
            faults.append(f"Event {event.event_id} follows {event.chain}-{seq}: some are missing or out of order.")
        if event.previous_hash != previous:
            faults.append(f"Event {event.event_id} does not link to the hash of the event before it.")
        expected = event_hash(
            chain=event.chain,
            seq=event.seq,
            at=event.at,
            kind=event.kind,
            actor=event.actor,
            data=event.data,
            previous_hash=event.previous_hash,
        )
        if event.hash != expected:
            faults.append(f"Event {event.event_id} was changed: its hash does not fit its content.")
        heads[event.chain] = (event.seq, event.hash)
    return faults
