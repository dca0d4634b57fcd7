"""Column types of our own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tortoise.fields import BigIntField

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
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


class InstantField(BigIntField):
    """A point in time, stored as whole microseconds since the Unix epoch.

    Both databases then compare and add times alike, in the ORM and in raw SQL.
    """

    def to_db_value(self, value: Any, instance: Any) -> int | None:
        """The number to store."""
        return to_micros(value) if isinstance(value, datetime) else value

    def to_python_value(self, value: Any) -> datetime | None:
        """The instant that the number means."""
        return from_micros(value) if isinstance(value, int) else value
