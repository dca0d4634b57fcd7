"""The walk along what has changed: nothing is missed and nothing told twice, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from licentia.connectors import Delivery
from licentia.errors import Unavailable
from licentia_integrations.changed import (
    OVERLAP,
    REMEMBERED,
    Asked,
    Position,
    Row,
    Told,
    cursor_of,
    moment,
    positions,
    system_now,
)
from licentia_integrations.shops import EPOCH, milliseconds

AT = datetime(2026, 1, 1, tzinfo=UTC)
BEGIN = (AT - EPOCH) // timedelta(milliseconds=1)
PAGE, MOST = 4, 12


class System:
    """Documents by number, with the time of their last change; `restless` is how often something happens meanwhile."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.now = BEGIN + 2 * OVERLAP
        self.documents: dict[str, int] = {}
        self.restless = 0.0
        self.falls = 0.0
        self.page = PAGE

    def change(self, count: int) -> None:
        """Some documents are new or different; the time that they bear is up to the overlap ago, and often the same."""
        for _ in range(count):
            number = str(self.chance.randint(1, 40))
            late = self.chance.choice([0, 0, 1, 1000, OVERLAP - 1])
            changed = self.now - late
            self.documents[number] = max(changed, self.documents.get(number, 0) + 1)

    async def ask(self, asked: Asked) -> Told:
        """A page, as `Asked` wants it."""
        self.now += self.chance.choice([0, 1, 5000])
        if self.chance.random() < self.restless:
            self.change(self.chance.randint(1, 5))
        if self.chance.random() < self.falls:
            raise Unavailable("It is down.")
        rows = [(changed, number) for number, changed in self.documents.items() if changed >= asked.since]
        if asked.after is not None:
            rows = [row for row in rows if row[0] == asked.since and row[1] > asked.after]
        rows.sort(key=lambda row: row[1:] if asked.after is not None else row)
        most = min(asked.most, self.page)
        told = [
            Row(number, changed, Delivery(body=f"{number}@{changed}".encode(), received_at=AT), f"{number}@{changed}")
            for changed, number in rows[:most]
        ]
        return Told(told, len(rows) > most or len(told) == asked.most, self.now)


def walked(system: System, cursor: str, found: list[str]) -> str:
    """The cursor after one poll, which may fail; what it finds is noted only if it does not."""
    known = positions(cursor, ("x",), AT.date())
    try:
        deliveries = asyncio.run(known["x"].walk(system.ask, MOST, PAGE))
    except Unavailable:
        return cursor
    assert len(deliveries) <= MOST
    found += [each.body.decode() for each in deliveries]
    return cursor_of(known)


def settled(system: System, cursor: str, found: list[str]) -> str:
    """The cursor when nothing happens any more and a walk from its beginning to its end has found nothing."""
    system.restless = system.falls = 0.0
    known = -1  # how many were found when the walk began; the first one may have begun before
    for _ in range(200):
        cursor = walked(system, cursor, found)
        if positions(cursor, ("x",), None)["x"].at is None:
            if known == len(found):
                return cursor
            known = len(found)
    pytest.fail("the walk does not end")


@settings(max_examples=40)
@given(chance=st.randoms(use_true_random=False), page=st.sampled_from([1, 3, PAGE]))
def test_nothing_is_missed_and_nothing_is_told_twice(chance: random.Random, page: int) -> None:
    """Also where documents change while their pages are read, bear old times, and the system falls now and then."""
    system, cursor, found = System(chance), "", list[str]()
    system.page = page
    for _ in range(chance.randint(1, 12)):
        system.change(chance.randint(0, 20))
        system.restless, system.falls = 0.5, 0.2
        cursor = walked(system, cursor, found)
        system.now += chance.choice([0, 300_000, OVERLAP, 10 * OVERLAP])
    cursor = settled(system, cursor, found)
    assert {f"{number}@{changed}" for number, changed in system.documents.items()} <= set(found)
    assert len(found) == len(set(found))
    assert settled(system, cursor, []) is not None


@settings(max_examples=20)
@given(chance=st.randoms(use_true_random=False))
def test_where_nothing_changes_the_overlap_is_soon_empty(chance: random.Random) -> None:
    """Ten minutes later nothing is remembered any more, and a poll costs one short answer."""
    system, found = System(chance), list[str]()
    system.change(30)
    cursor = settled(system, "", found)
    system.now += 2 * OVERLAP
    position = positions(settled(system, cursor, []), ("x",), None)["x"]
    assert position.seen == {}
    assert position.since >= system.now - OVERLAP - 60_000


def test_more_than_is_remembered_makes_the_overlap_shorter() -> None:
    """The cursor stays small, and the next walk finds nothing that was told."""
    system, found = System(random.Random(1)), list[str]()
    system.documents = {f"{number:05}": BEGIN + number for number in range(REMEMBERED + 500)}
    system.now, system.page = BEGIN + 5000, 100
    known = {"x": Position(since=BEGIN)}
    while deliveries := asyncio.run(known["x"].walk(system.ask, 100, 100)):
        found += [each.body.decode() for each in deliveries]
    assert len(found) == len(set(found)) == REMEMBERED + 500
    assert len(known["x"].seen) <= REMEMBERED
    assert len(cursor_of(known)) < 64_000


def test_a_cursor_is_read_again_or_begun_anew() -> None:
    """One that is none begins at the given day; without a day, a day ago; a new kind begins beside known ones."""
    told = positions("", ("a",), date(2026, 1, 1))
    told["a"].seen["k"] = BEGIN
    assert positions(cursor_of(told), ("a", "b"), date(2026, 1, 2)) == {
        "a": told["a"],
        "b": Position(since=BEGIN + 86_400_000),
    }
    for strange in ("x", "[]", '{"a": 1}', '{"a": {}}'):
        assert positions(strange, ("a",), date(2026, 1, 1)) == {"a": Position(since=BEGIN)}
    since = positions("", ("a",), None)["a"].since
    ago = datetime.now(UTC) - EPOCH - timedelta(milliseconds=since)
    assert timedelta(days=1) <= ago < timedelta(days=1, minutes=1)


def test_the_time_is_that_of_the_system_but_never_later_than_ours() -> None:
    """A clock that goes ahead would have changes missed; an answer without a time, or with a strange one, has ours."""
    assert system_now({"date": "Thu, 01 Jan 2026 00:00:00 GMT"}) == BEGIN
    ours = (datetime.now(UTC) - EPOCH) // timedelta(milliseconds=1)
    for headers in ({}, {"date": "yesterday"}, {"date": "Fri, 01 Jan 2100 00:00:00 GMT"}):
        assert 0 <= system_now(headers) - ours < 60_000


@given(st.integers(0, 4_000_000_000_000))
def test_a_moment_is_read_again(at: int) -> None:
    """A time in milliseconds is the same after it was written."""
    assert milliseconds(moment(at)) == at
