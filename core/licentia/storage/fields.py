"""Column types of our own."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tortoise.fields import BigIntField

from licentia.domain.instants import from_micros, to_micros


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
