"""Finds what has changed in Tryton since the last time, by Tryton's own times.

A sweep lists the documents of a model that were written since a moment, in the order of their keys, some at a
time: so what changes while it goes on is missed by no page, and is in the next sweep if it was passed. The next
sweep begins a while before the newest time that was there when this one began, as a transaction tells the time
of its start and can be committed long after it. What is listed twice by that is known by its content.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from licentia.connectors import Delivery
from licentia.errors import InvalidRequest, Unavailable
from licentia_integrations.calls import TooLong, delivered
from licentia_integrations.shops import EPOCH
from licentia_integrations.tryton.documents import HOPS, MODELS, ORIGINS, document_of, parent_of
from licentia_integrations.tryton.rest import Rest

OVERLAP = 600 * 1_000_000
"""Microseconds that a sweep begins before the newest time of the last: longer than a transaction takes."""

PAGE = 50
"""Documents in one request."""

MOST_SEEN = 2000
"""Documents that are remembered as told. If more were written in the overlap, the overlap is shorter."""

MICROSECOND = timedelta(microseconds=1)


class Keyed(msgspec.Struct):
    """Whatever it is, it has a key."""

    id: int


Asked = Callable[[str, list[Any]], Awaitable[list[msgspec.Raw]]]


class Sweep(msgspec.Struct):
    """How far the documents of a model are told; times in microseconds since 1970.

    Attributes:
        since: the moment from which this sweep lists.
        newest: the newest time when it began.
        after: the key of the last document that it listed; 0 if it has yet to begin.
        seen: by key, the time and the hash of the documents of the overlap that were told.
    """

    since: int = 0
    newest: int = 0
    after: int = 0
    seen: dict[int, tuple[int, str]] = {}

    def ended(self) -> None:
        """Begin anew the next time, a while before what was the newest."""
        told = sorted(((at, key) for key, (at, _) in self.seen.items()), reverse=True)
        begin = max(self.since, self.newest - OVERLAP)
        if len(told) > MOST_SEEN:
            begin = min(max(begin, told[MOST_SEEN][0] + 1), self.newest + 1)  # never into the future
        self.seen = {key: (at, digest) for key, (at, digest) in self.seen.items() if at >= begin}
        self.since, self.after = begin, 0


async def page(
    rest: Rest, sweep: Sweep, model: str, fields: Iterable[str], since: date | None
) -> tuple[list[msgspec.Raw], bool]:
    """The next documents of a sweep that were not told yet, oldest first, and whether it has ended with them."""
    if sweep.after == 0:
        sweep.newest = max(sweep.newest, await _newest(rest, model))
    domain: list[Any] = [
        ["id", ">", sweep.after],
        ["number", "!=", None],
        ["state", "in", sorted(MODELS[model].states)],
    ]
    if since is not None:
        domain.append(["create_date", ">=", _moment(datetime(since.year, since.month, since.day, tzinfo=UTC))])
    if sweep.since:
        moment = _moment(EPOCH + sweep.since * MICROSECOND)
        times = ("write_date", "create_date", "lines.write_date", "lines.create_date")
        domain.append(["OR", *([time, ">=", moment] for time in times)])
    limit, found = PAGE, None
    while found is None:
        try:
            found = await rest.search(model, domain, fields, order=[("id", "ASC")], limit=limit)
        except TooLong:
            if limit == 1:
                raise
            limit = max(1, limit // 7)
    told: list[tuple[int, msgspec.Raw]] = []
    for record in found.records:
        key, at, digest = _key(record), _changed_at(record) or sweep.newest, _digest(record)
        sweep.after = max(sweep.after, key)
        known = sweep.seen.get(key)
        sweep.seen[key] = (at, digest)
        if known is None or known[1] != digest:
            told.append((at, record))
    _forget(sweep)
    more = len(found.records) == limit
    if not more:
        sweep.ended()
    return [record for _, record in sorted(told, key=lambda each: each[0])], not more


async def with_origins(asked: Asked, documents: list[msgspec.Raw]) -> list[list[msgspec.Raw]]:
    """Each document, behind those that lead from it to the sale that it is of, as it tells only their keys."""
    found: dict[str, msgspec.Raw] = {}
    wanted = {parent for each in documents if (parent := parent_of(each))}
    for _ in range(HOPS):
        fresh: dict[str, msgspec.Raw] = {}
        for model in ORIGINS:
            keys = sorted(int(each.partition(",")[2]) for each in wanted if each.startswith(f"{model},"))
            if keys:
                for record in await asked(model, [["id", "in", keys]]):
                    fresh[f"{model},{_key(record)}"] = record
        found |= fresh
        wanted = {parent for each in fresh.values() if (parent := parent_of(each))} - found.keys()
    return [[*_chain(each, found), each] for each in documents]


def _chain(document: msgspec.Raw, found: dict[str, msgspec.Raw]) -> list[msgspec.Raw]:
    """The sale first, so that it is placed before something of it is returned."""
    chain: list[msgspec.Raw] = []
    parent = parent_of(document)
    while parent in found and len(chain) < HOPS:
        chain.insert(0, found[parent])
        parent = parent_of(found[parent])
    return chain


def delivery(documents: list[msgspec.Raw], pointer: str = "") -> Delivery:
    """Documents as a delivery; its bytes are the same whatever order Tryton wrote the members in."""
    return delivered(_canonical(documents), "", pointer)


def _key(record: msgspec.Raw) -> int:
    try:
        return msgspec.json.decode(record, type=Keyed).id
    except msgspec.DecodeError:
        raise Unavailable("Tryton gave a document without a key.") from None


def _changed_at(record: msgspec.Raw) -> int:
    """When a document was written; 0 if it is illegible, which is for a person to see, and stops no poll."""
    try:
        return document_of(record).changed_at
    except InvalidRequest:
        return 0


async def _newest(rest: Rest, model: str) -> int:
    """The newest time at which a document of this model or a line of it was written, but not in Tryton's future."""
    newest = 0
    for each in (model, MODELS[model].lines):
        found = await rest.search(
            each,
            [["write_date", "!=", None]],
            ["create_date", "write_date"],
            order=[("write_date", "DESC")],
            limit=1,
        )
        for record in found.records:
            at = _changed_at(record)
            newest = max(newest, min(at, found.at * 1_000_000) if found.at else at)
    return newest


def _forget(sweep: Sweep) -> None:
    """Keep in mind only what the next sweep may list again."""
    begin = sweep.newest - OVERLAP
    sweep.seen = {key: told for key, told in sweep.seen.items() if told[0] >= begin}


def _canonical(value: Any) -> bytes:
    return msgspec.json.encode(msgspec.json.decode(msgspec.json.encode(value)), order="sorted")


def _digest(record: msgspec.Raw) -> str:
    return hashlib.sha256(_canonical(record)).hexdigest()[:16]


def _moment(at: datetime) -> dict[str, Any]:
    """A time as Tryton reads it."""
    fields = ("year", "month", "day", "hour", "minute", "second", "microsecond")
    return {"__class__": "datetime", **{field: getattr(at, field) for field in fields}}
