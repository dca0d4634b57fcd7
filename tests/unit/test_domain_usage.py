"""Usage: the sums over leases, against counting every single second."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from licentia.domain.usage import Span, Tally, tally

START = datetime(2026, 5, 1, tzinfo=UTC)
SECOND = 1_000_000


def at(seconds: float) -> datetime:
    """So many seconds after the start."""
    return START + timedelta(seconds=seconds)


def span(begin: float, end: float, seats: int = 1, shared: str | None = None) -> Span:
    """A lease from one second to another."""
    origin = int(START.timestamp()) * SECOND
    return Span(
        license_id="l",
        product_code="p",
        shared=f"{begin} {end} {seats}" if shared is None else shared,
        seats=seats,
        granted_at=origin + int(begin * SECOND),
        ended_at=origin + int(end * SECOND),
    )


LEASES = st.lists(
    st.tuples(st.integers(0, 20), st.integers(0, 10), st.integers(1, 4), st.integers(0, 4)), max_size=12
)


@given(LEASES, st.integers(0, 20), st.integers(1, 10))
def test_the_tally_equals_counting_every_second(
    leases: list[tuple[int, int, int, int]], since: int, length: int
) -> None:
    """Checkouts, seat-seconds and peak of any leases in any time are what a clock would count."""
    to = since + length
    levels = []
    for second in range(since, to):
        groups: dict[int, int] = {}
        for place, (begin, life, seats, group) in enumerate(leases):
            if begin <= second < begin + life:
                key = group or -place  # group 0 shares with nobody
                groups[key] = max(groups.get(key, 0), seats)
        levels.append(sum(groups.values()))
    spans = [
        span(begin, begin + life, seats, str(group or -place))
        for place, (begin, life, seats, group) in enumerate(leases)
    ]
    assert tally(spans, at(since), at(to)) == Tally(
        checkouts=sum(since <= lease[0] < to for lease in leases), seat_seconds=sum(levels), peak=max(levels)
    )


def test_a_seat_handed_on_is_one_seat() -> None:
    """A lease that begins at the instant another ends makes no peak of two."""
    assert tally([span(0, 5), span(5, 9)], at(0), at(10)).peak == 1
    assert tally([span(0, 5.000001), span(5, 9)], at(0), at(10)).peak == 2


def test_shared_seats_count_as_the_largest_claim() -> None:
    """Leases of one key that overlap are one; what remains when the largest ends is the next."""
    spans = [span(0, 10, 2, "ws1"), span(2, 5, 3, "ws1"), span(4, 12, 1, "ws1"), span(4, 6, 1, "ws2")]
    assert tally(spans, at(0), at(20)) == Tally(checkouts=4, seat_seconds=2 * 10 + 3 + 2 + 2, peak=4)


def test_parts_of_seconds_add_up_before_they_are_cut() -> None:
    """Three leases of half a second are one whole seat-second."""
    assert tally([span(begin, begin + 0.5) for begin in (0, 1, 2)], at(0), at(10)).seat_seconds == 1


def test_nothing_is_counted_outside_the_time() -> None:
    """A lease that began before counts its seconds inside, and is no checkout of this time."""
    assert tally([span(0, 100, 2)], at(10), at(20)) == Tally(checkouts=0, seat_seconds=20, peak=2)
    assert tally([span(0, 10), span(20, 30)], at(10), at(20)) == Tally(checkouts=0, seat_seconds=0, peak=0)
