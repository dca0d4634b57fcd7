"""The whole audit trail, page by page, from a server or a data folder alike."""

from __future__ import annotations

from collections.abc import Iterator

from licentia.cli.backend import Backend
from licentia.contract import BY_NAME
from licentia.contract.events import Event, EventPage, ListEvents

PAGE = 500


class Trail:
    """All events of a server, counted while they are read."""

    def __init__(self, licentia: Backend) -> None:
        self.events = 0
        self.last: Event | None = None
        self._licentia = licentia

    def __iter__(self) -> Iterator[Event]:
        cursor = None
        while True:
            page = self._licentia.call(BY_NAME["ListEvents"], ListEvents(cursor=cursor, limit=PAGE))
            assert isinstance(page, EventPage)
            for event in page.events:
                self.events += 1
                self.last = event
                yield event
            if len(page.events) < PAGE:
                return
            cursor = page.next_cursor
