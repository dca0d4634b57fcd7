"""A walk along the events of Paddle, which are listed by their ids, and so by the time at which they happened.

An event may become visible a while after one that happened later. So a walk begins behind the last event that has
been there for a while, and the younger ones that it found already are known again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta

import msgspec

from licentia.connectors import Delivery
from licentia_integrations.changed import MOST_REQUESTS, OVERLAP, REMEMBERED, begin_of
from licentia_integrations.shops import since_1970

KEPT = timedelta(days=85) // timedelta(milliseconds=1)
"""Paddle forgets events after 90 days; an older one is nothing to go on from."""


class Found(msgspec.Struct, frozen=True):
    """An event: its id, when it happened, in milliseconds, and what is delivered of it."""

    id: str
    happened: int
    delivery: Delivery


class Listed(msgspec.Struct, frozen=True):
    """Events in the order asked for, whether there are more, and the time of Paddle in milliseconds."""

    events: list[Found]
    more: bool
    now: int


Ask = Callable[[str, bool], Awaitable[Listed]]
"""Asks for the events behind an id, the newest first if so wanted; behind no id is from the beginning."""


class Stream(msgspec.Struct, kw_only=True):
    """How far a walk has come; times are milliseconds since 1970.

    Attributes:
        begin: what happened before is not delivered.
        behind: the event behind which a walk begins; empty for the oldest, None if that is not found yet.
        behind_at: when that happened.
        at: the event where the walk or the search goes on; empty if it begins.
        seen: what was found behind `behind`, in the order of ids, with its times.
    """

    begin: int
    behind: str | None = None
    behind_at: int = 0
    at: str = ""
    seen: dict[str, int] = {}

    async def walk(self, ask: Ask, wanted: Callable[[Delivery], bool], most: int) -> list[Delivery]:
        """Wanted deliveries that were not found before; once there are `most`, no further page is asked for.

        Raises:
            Unavailable: Paddle does not answer. The position is wrong then; go on from the last one.
        """
        found: list[Delivery] = []
        for _ in range(MOST_REQUESTS):
            if self.behind is None:
                self._search(await ask(self.at, True))
                continue
            told = await ask(self.at or self.behind, False)
            new = [each for each in told.events if self._is_new(each) and each.happened >= self.begin]
            found += [each.delivery for each in new if wanted(each.delivery)]
            self._settle(told.now)
            self.at = told.events[-1].id if told.more and told.events else ""
            if not self.at or len(found) >= most:
                break
        return found

    def _search(self, told: Listed) -> None:
        """Look for the newest event from before `begin`; `told` has the newest first."""
        older = next((each for each in told.events if each.happened < self.begin - OVERLAP), None)
        if older is not None:
            self.behind, self.behind_at, self.at = older.id, older.happened, ""
        elif told.more and told.events:
            self.at = told.events[-1].id
        else:
            self.behind, self.at = "", ""

    def _is_new(self, event: Found) -> bool:
        known = event.id in self.seen
        self.seen[event.id] = event.happened
        return not known

    def _settle(self, now: int) -> None:
        """Begin later by what has been there for a while, and by what is too much to remember."""
        for id, happened in [*self.seen.items()]:
            if happened >= now - OVERLAP and len(self.seen) <= REMEMBERED:
                break
            self.behind, self.behind_at = id, happened
            del self.seen[id]


def stream_of(cursor: str, first: date | None) -> Stream:
    """The position that a cursor tells.

    Args:
        cursor: JSON of a `Stream`; empty for the first poll.
        first: the first day, in UTC; by default a day ago.
    """
    try:
        stream = msgspec.json.decode(cursor, type=Stream)
    except msgspec.DecodeError:
        return Stream(begin=begin_of(first))
    if stream.behind and stream.behind_at < since_1970(datetime.now(UTC)) - KEPT:
        stream.begin, stream.behind, stream.at = max(stream.begin, stream.behind_at), "", ""
    return stream
