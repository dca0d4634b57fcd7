"""How connectors ask a system for what has changed: a walk along the time of the last change.

A row is committed a while after the time that it bears, so each walk begins a little before the last one
began, by the clock of the system, and what was found there already is remembered by a hash. Rows of one time
may be more than a page has; these are asked for by their numbers, and no row is skipped when another one
changes meanwhile.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime

import msgspec

from licentia.connectors import Delivery
from licentia_integrations.shops import EPOCH, since_1970

OVERLAP = timedelta(minutes=10) // timedelta(milliseconds=1)
"""How late a change may become visible, in milliseconds."""

BEGIN_BEFORE = timedelta(days=1)
"""How far the first walk goes back, if nobody says."""

REMEMBERED = 1000
"""So many rows are known again; if more have changed in the overlap, it is made shorter."""

MOST_REQUESTS = 20
"""How often one poll asks the system at most."""


class Row(msgspec.Struct, frozen=True):
    """A document that has changed: its number, the time of the change in milliseconds, and the document."""

    number: str
    changed: int
    delivery: Delivery
    id: str


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What rows are asked for: changed at `since` or later, oldest first.

    Attributes:
        after: if this is no None, only those of the very millisecond `since` whose number is greater than
            it, by number.
        most: of so many rows.
    """

    since: int
    after: str | None
    most: int


class Told(msgspec.Struct, frozen=True):
    """The rows, whether there may be more of them, and the time of the system in milliseconds."""

    rows: list[Row]
    more: bool
    now: int


Ask = Callable[[Asked], Awaitable[Told]]


class Position(msgspec.Struct, kw_only=True):
    """How far a walk has come; times are milliseconds since 1970.

    Attributes:
        since: where the next walk begins.
        at: where it goes on; None if it has come to the end.
        after: as in `Asked`.
        began: the time of the system when it began; 0 if it has come to the end.
        seen: the rows of the overlap, by a hash, with their times.
    """

    since: int
    at: int | None = None
    after: str | None = None
    began: int = 0
    seen: dict[str, int] = {}

    async def walk(self, ask: Ask, most: int, page: int) -> list[Delivery]:
        """Up to `most` deliveries that were not found before, by pages of `page`; the position is moved behind them.

        Raises:
            Unavailable: the system does not answer. The position is wrong then; go on from the last one.
        """
        found: list[Delivery] = []
        for _ in range(MOST_REQUESTS):
            if len(found) + page > most:
                break
            asked = Asked(since=self.since if self.at is None else self.at, after=self.after, most=page)
            told = await ask(asked)
            self.began = self.began or told.now
            found += [row.delivery for row in told.rows if self._is_new(row)]
            if self._moved(asked, told.rows[-1] if told.more and told.rows else None):
                self.since, self.began = max(self.since, self.began - OVERLAP), 0
                break
        self._forget()
        return found

    def _is_new(self, row: Row) -> bool:
        key = hashlib.sha256(row.id.encode()).hexdigest()[:16]
        known = key in self.seen
        self.seen[key] = row.changed
        return not known

    def _moved(self, asked: Asked, last: Row | None) -> bool:
        """Move behind a page, whose last row is given if there may be more; whether nothing is left."""
        if asked.after is not None:
            self.at, self.after = (asked.since, last.number) if last else (asked.since + 1, None)
            return False
        if last is None:
            self.at = None
            return True
        self.at, self.after = max(last.changed, asked.since), None if last.changed > asked.since else ""
        return False

    def _forget(self) -> None:
        """Remember only what a walk may find again; if that is too much, begin later."""
        times = sorted(self.seen.values())
        if len(times) > REMEMBERED:
            self.since = max(self.since, times[-REMEMBERED - 1] + 1)
        begin = self.since if self.at is None else max(self.since, min(self.at, self.began - OVERLAP))
        self.seen = {key: time for key, time in self.seen.items() if time >= begin}


def system_now(headers: Mapping[str, str]) -> int:
    """The time of the system by the `Date` of its answer, in milliseconds; ours if it tells none, or a later one."""
    ours = since_1970(datetime.now(UTC))
    try:
        told = parsedate_to_datetime(headers.get("date", ""))
    except ValueError:
        return ours
    return min(ours, int(told.timestamp() * 1000))


def begin_of(day: date | None) -> int:
    """When the first walk begins, in milliseconds: with a day of UTC, by default a day ago."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC) if day else datetime.now(UTC) - BEGIN_BEFORE
    return since_1970(start)


def positions(cursor: str, kinds: tuple[str, ...], begin: date | None) -> dict[str, Position]:
    """The position of each kind of document that a cursor tells; those it does not tell begin at a day.

    Args:
        cursor: as `cursor_of` made it; empty for the first poll.
        kinds: what is asked for.
        begin: the first day, in UTC; by default a day ago.
    """
    try:
        known = msgspec.json.decode(cursor or "{}", type=dict[str, Position])
    except msgspec.DecodeError:
        known = {}
    first = begin_of(begin)
    return {kind: known.get(kind) or Position(since=first) for kind in kinds}


def cursor_of(known: dict[str, Position]) -> str:
    """The cursor of positions."""
    return msgspec.json.encode(known).decode()


def moment(milliseconds: int) -> str:
    """A time in UTC as ISO 8601, with milliseconds: `2026-01-31T08:00:00.000Z`."""
    told = EPOCH + timedelta(milliseconds=milliseconds)
    return told.isoformat(timespec="milliseconds").replace("+00:00", "Z")
