"""Adding up leases: how often, how long, how many at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00Z")
_MICROSECOND = timedelta(microseconds=1)


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """One lease in time; instants in microseconds since the Unix epoch, the end not included."""

    license_id: str
    product_code: str
    seats: int
    granted_at: int
    ended_at: int


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """Leases granted in the time, whole seat-seconds in it, and the most seats at one instant of it."""

    checkouts: int
    seat_seconds: int
    peak: int


def tally(spans: Sequence[Span], since: datetime, to: datetime) -> Tally:
    """What the spans add up to within [since, to)."""
    start, stop = (since - _EPOCH) // _MICROSECOND, (to - _EPOCH) // _MICROSECOND
    micros = 0
    steps: list[tuple[int, int]] = []
    for span in spans:
        begin, end = max(span.granted_at, start), min(span.ended_at, stop)
        if begin < end:
            micros += (end - begin) * span.seats
            steps += [(begin, span.seats), (end, -span.seats)]
    peak = level = 0
    # At one instant ends come before beginnings: a seat handed on is one seat.
    for _, change in sorted(steps):
        level += change
        peak = max(peak, level)
    return Tally(
        checkouts=sum(start <= span.granted_at < stop for span in spans),
        seat_seconds=micros // 1_000_000,
        peak=peak,
    )
