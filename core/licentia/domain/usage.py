"""Adding up leases: how often, how long, how many at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from heapq import heappop, heappush

import msgspec

_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00Z")
_MICROSECOND = timedelta(microseconds=1)
_Piece = tuple[int, int, int]


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """One lease in time; instants in microseconds since the Unix epoch, the end not included.

    Leases of one `shared` key count once while they overlap, as the largest of them.
    """

    license_id: str
    product_code: str
    shared: str
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
    groups: dict[str, list[_Piece]] = defaultdict(list)
    for span in spans:
        begin, end = max(span.granted_at, start), min(span.ended_at, stop)
        if begin < end:
            groups[span.shared].append((begin, end, span.seats))
    micros = peak = level = last = 0
    # At one instant ends come before beginnings: a seat handed on is one seat.
    for instant, change in sorted(step for pieces in groups.values() for step in _steps(pieces)):
        micros += level * (instant - last)
        last = instant
        level += change
        peak = max(peak, level)
    return Tally(
        checkouts=sum(start <= span.granted_at < stop for span in spans),
        seat_seconds=micros // 1_000_000,
        peak=peak,
    )


def _steps(pieces: list[_Piece]) -> Iterator[tuple[int, int]]:
    """When, and by how much, the largest of the pieces that overlap changes."""
    waiting = sorted(pieces, reverse=True)
    live: list[tuple[int, int]] = []
    level = 0
    for instant in sorted({bound for begin, end, _ in pieces for bound in (begin, end)}):
        while waiting and waiting[-1][0] <= instant:
            _, end, seats = waiting.pop()
            heappush(live, (-seats, end))
        while live and live[0][1] <= instant:
            heappop(live)
        top = -live[0][0] if live else 0
        if top != level:
            yield instant, top - level
        level = top
