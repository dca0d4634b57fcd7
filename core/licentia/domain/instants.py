"""Points in time as whole microseconds since the Unix epoch, as both databases store and compare them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = 1_000_000
DAY = 86_400 * SECOND
FOREVER = 2**62
"""An end that never comes."""
_MICROSECOND = timedelta(microseconds=1)


def to_micros(instant: datetime) -> int:
    """Microseconds since the Unix epoch."""
    return (instant - EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """The instant, in UTC."""
    return EPOCH + timedelta(microseconds=micros)


def optional_instant(micros: int | None) -> datetime | None:
    """As `from_micros`, where a column may be empty."""
    return None if micros is None else from_micros(micros)
