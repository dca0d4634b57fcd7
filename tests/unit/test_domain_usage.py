"""Usage: how a time is put together from sums of whole periods and from leases."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from licentia.domain.instants import DAY, from_micros, to_micros
from licentia.domain.usage import HOUR, LEVELS, Level, Marks, Part, Per, after, ceil, floor, kept_whole, parts

YEARS = datetime(1970, 1, 1), datetime(2400, 1, 1)  # noqa: DTZ001 - hypothesis wants them naive
START = to_micros(datetime(2026, 1, 30, 22, tzinfo=UTC))
INSTANTS = st.integers(START, START + 100 * DAY).map(lambda instant: instant - instant % (HOUR // 4))
MARKS = st.tuples(INSTANTS, INSTANTS, INSTANTS).map(
    lambda three: Marks(
        hour=floor("hour", max(three)), day=floor("day", sorted(three)[1]), month=floor("month", min(three))
    )
)


def at(text: str) -> int:
    """The instant of a time in 2026."""
    return to_micros(datetime.fromisoformat(f"2026-{text}Z"))


@given(st.datetimes(*YEARS, timezones=st.just(UTC)), st.sampled_from(LEVELS))
def test_periods_are_those_of_the_calendar(instant: datetime, level: Level) -> None:
    """Every instant is in one hour, day and month, which begin where a calendar says and are followed by the next."""
    start = floor(level, to_micros(instant))
    shown = from_micros(start)
    kept = LEVELS.index(level)
    day, hour = (1 if kept == 2 else instant.day), (instant.hour if kept == 0 else 0)
    assert shown == datetime(instant.year, instant.month, day, hour, tzinfo=UTC)
    assert start <= to_micros(instant) < after(level, start)
    assert floor(level, after(level, start)) == after(level, start)
    assert floor(level, after(level, start) - 1) == start
    assert ceil(level, start) == start
    assert ceil(level, start + 1) == after(level, start)


@given(INSTANTS, INSTANTS, MARKS, st.sampled_from(get_args(Per)))
def test_parts_cover_a_time_once(one: int, other: int, marks: Marks, per: Per) -> None:
    """No instant is missing or counted twice, sums are read only where they are, and each part is in its slot."""
    since, to = sorted((one, other))
    found = sorted(parts(since, to, per, marks), key=lambda part: part.begins)
    assert all(part.begins < part.ends for part in found)
    assert [part.ends for part in found[:-1]] == [part.begins for part in found[1:]]
    assert (found[0].begins, found[-1].ends) == (since, to) if since < to else not found
    for part in found:
        if part.level:
            assert part.begins == floor(part.level, part.begins)
            assert part.ends == floor(part.level, part.ends) <= getattr(marks, part.level)
        if per == "total":
            assert part.slot == since
        elif part.slot is None:
            assert part.level == per
        else:
            assert part.slot == floor(per, part.begins) == floor(per, part.ends - 1)


def test_the_coarsest_sums_are_read() -> None:
    """A long time is months within days within hours within leases."""
    marks = Marks(hour=at("06-02T05:00:00"), day=at("06-02T00:00:00"), month=at("06-01T00:00:00"))
    found = parts(at("02-26T22:30:00"), at("06-02T05:20:00"), "total", marks)
    shown = [(part.level, f"{from_micros(part.begins):%m-%dT%H:%M}") for part in found]
    assert sorted(shown, key=lambda each: each[1]) == [
        (None, "02-26T22:30"), ("hour", "02-26T23:00"), ("day", "02-27T00:00"), ("month", "03-01T00:00"),
        ("day", "06-01T00:00"), ("hour", "06-02T00:00"), (None, "06-02T05:00"),
    ]  # fmt: skip


def test_nothing_was_used_before_computers() -> None:
    """A time may begin at the first year of the calendar."""
    since = to_micros(datetime(1, 1, 1, tzinfo=UTC))
    assert parts(since, HOUR, "total", Marks()) == [Part(since, None, 0, HOUR)]
    assert parts(since, since + HOUR, "day", Marks()) == []


def test_without_the_leases_an_hour_is_whole() -> None:
    """A time that begins or ends where leases are gone is widened to whole hours; elsewhere it stays."""
    kept = at("03-01T00:00:00")
    early, late = at("02-03T04:05:06"), at("03-03T04:05:06")
    assert kept_whole(early, late, kept) == (at("02-03T04:00:00"), late)
    assert kept_whole(early, early + 1, kept) == (at("02-03T04:00:00"), at("02-03T05:00:00"))
    assert kept_whole(late, late + 1, kept) == (late, late + 1)
    assert kept_whole(early, late, 0) == (early, late)
