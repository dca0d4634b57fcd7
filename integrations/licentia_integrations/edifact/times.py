"""Times of UN/EDIFACT as versions: DTM in its format (data element 2379), and when the interchange was made."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from licentia_integrations.edifact.interchange import Segment
from licentia_integrations.shops import EPOCH

DIGITS = re.compile(r"([0-9]{6,14})(.*)", re.DOTALL)
OFFSET = re.compile(r"([+-])([0-9]{2}):?([0-9]{2})?")
LONG = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
SHORT = {6: "%y%m%d", 10: "%y%m%d%H%M", 12: "%y%m%d%H%M%S"}
FORMATS = dict.fromkeys(("", "102", "203", "204", "205", "303", "304"), LONG)
FORMATS |= dict.fromkeys(("101", "201", "202", "301", "302"), SHORT)
"""By 2379. Which of them it is, is told by its length, as many senders write one and name another."""

HOURS = {"CET": 1, "MEZ": 1, "CEST": 2, "MESZ": 2, "EET": 2, "EST": -5, "CST": -6, "MST": -7, "PST": -8}
"""Zones of 303 and 304, from UTC."""


class Moment(NamedTuple):
    """A time as it is written, how far its zone is from UTC, and whether more than the day is told."""

    written: datetime
    offset: timedelta
    timed: bool


def version_of(stamp: Segment | None, header: Segment) -> int:
    """A version of a message by its DTM+137, in milliseconds since 1970; 0 if there is none.

    A time without a zone is taken as UTC. If only a day is told, and the interchange was made on that day
    by its UNB, it is that minute: else a change would seem older than its order, whose hour is told.

    Raises:
        InvalidRequest: it is no time of the format that it names.
    """
    told = None if stamp is None else _moment(stamp.value(1, 2), stamp.value(1, 3), stamp)
    if told is None:
        return 0
    if not told.timed:
        day, minute = header.value(4, 1), header.value(4, 2)
        made = _parsed(f"{day}{minute}", {10: SHORT[10], 12: LONG[12]})
        if made is not None and made.date() == told.written.date():
            told = told._replace(written=made)
    return max(0, (told.written.replace(tzinfo=UTC) - EPOCH - told.offset) // timedelta(milliseconds=1))


def _moment(text: str, form: str, stamp: Segment) -> Moment | None:
    forms, found = FORMATS.get(form), DIGITS.fullmatch(text)
    if forms is None or not text:
        return None
    written = _parsed(found[1], forms) if found else None
    if written is None or found is None:
        raise stamp.odd(f"{text[:40]!r} is no time of the format {form or '102'}")
    return Moment(written, _offset(found[2].strip()), (written.hour, written.minute, written.second) != (0, 0, 0))


def _parsed(digits: str, forms: dict[int, str]) -> datetime | None:
    try:
        return datetime.strptime(digits, forms[len(digits)])  # noqa: DTZ007 - its zone is told elsewhere
    except (KeyError, ValueError):
        return None


def _offset(zone: str) -> timedelta:
    if (found := OFFSET.fullmatch(zone)) is not None:
        length = timedelta(hours=int(found[2]), minutes=int(found[3] or 0))
        return length if found[1] == "+" else -length
    return timedelta(hours=HOURS.get(zone.upper(), 0))
