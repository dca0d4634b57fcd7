"""Which parts of a time are answered by sums of whole hours, days and months, and which by the leases themselves.

All times are microseconds since the Unix epoch; periods are those of the calendar in UTC.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from licentia.domain.instants import DAY, EPOCH, SECOND, from_micros, to_micros

Level = Literal["hour", "day", "month"]
LEVELS: tuple[Level, ...] = ("hour", "day", "month")
Per = Literal["total", "hour", "day", "month"]

HOUR = 3600 * SECOND


class Marks(msgspec.Struct, frozen=True, kw_only=True):
    """Up to where the sums of each level are all there, and from where on past leases are kept."""

    hour: int = 0
    day: int = 0
    month: int = 0
    kept: int = 0


class Part(msgspec.Struct, frozen=True):
    """The time [begins, ends), which is answered by the sums of `level`; None: by the leases.

    What it adds up to belongs to the period that starts at `slot`; None: each sum to its own start.
    """

    slot: int | None
    level: Level | None
    begins: int
    ends: int


def floor(level: Level, instant: int) -> int:
    """The start of the period that an instant is in."""
    if level != "month":
        length = HOUR if level == "hour" else DAY
        return instant - instant % length
    return to_micros(from_micros(instant).replace(day=1, hour=0, minute=0, second=0, microsecond=0))


def after(level: Level, start: int) -> int:
    """The end of the period that starts at `start`."""
    if level == "month":
        # The longest month has 31 days, and 32 days after a first is in the next month.
        return floor("month", start + 32 * DAY)
    return start + (HOUR if level == "hour" else DAY)


def ceil(level: Level, instant: int) -> int:
    """The first start of a period that is not before an instant."""
    start = floor(level, instant)
    return start if start == instant else after(level, start)


def kept_whole(since: int, to: int, kept: int) -> tuple[int, int]:
    """The time, widened to whole hours where its ends are in the time whose leases are gone."""
    return floor("hour", since) if since < kept else since, ceil("hour", to) if to < kept else to


def parts(since: int, to: int, per: Per, marks: Marks) -> list[Part]:
    """The time [since, to) in parts without gap or overlap, with as few sums to read as there can be."""
    found: list[Part] = []
    for level, begins, ends in _covered(max(since, to_micros(EPOCH)), to, per, marks):
        if per == "total":
            found.append(Part(since, level, begins, ends))
        elif level == per:
            found.append(Part(None, level, begins, ends))
        else:
            while begins < ends:
                start = floor(per, begins)
                found.append(Part(start, level, begins, min(ends, after(per, start))))
                begins = found[-1].ends
    return found


def _covered(since: int, to: int, per: Per, marks: Marks) -> Iterator[tuple[Level | None, int, int]]:
    """The time by what answers it: the inner part by the coarsest level, each end by the next finer one."""
    allowed = LEVELS if per == "total" else LEVELS[: LEVELS.index(per) + 1]
    ends: list[tuple[Level | None, int, int]] = []
    finer: Level | None = None
    for level in allowed:
        begins, stops = ceil(level, since), min(floor(level, to), getattr(marks, level))
        if begins >= stops:
            break
        ends += [(finer, since, begins), (finer, stops, to)]
        since, to, finer = begins, stops, level
    return (piece for piece in [*ends, (finer, since, to)] if piece[1] < piece[2])
