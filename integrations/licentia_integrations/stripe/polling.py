"""Asking Stripe for the events that were lost, and for the state of things where it has no events any more.

A list of Stripe has the newest first, and what is read has to begin with the oldest. So windows of time are asked
for: all that is left, and if that is more than a page, shorter ones, down to a second. Stripe has events for 30 days.
What happened before is asked as it is now, of all that may have been bought, changed or paid back since.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar

import msgspec
import structlog

from licentia.connectors import Delivery, Page
from licentia.errors import InvalidRequest, Unavailable
from licentia_integrations.changed import MOST_REQUESTS, OVERLAP, Asked, Position, Row, Told, positions
from licentia_integrations.shops import EPOCH, since_1970
from licentia_integrations.stripe.events import EVENTS, meaning
from licentia_integrations.stripe.rest import NoSuchStart, Rest

MOST, PAGE = 300, 100
"""Documents of one poll, and of one answer."""

SECOND = 1000
KEPT = timedelta(days=29) // timedelta(milliseconds=1)
"""How old an event is that Stripe still has, with a day to spare; in milliseconds."""

EARLIER = timedelta(days=30) // timedelta(seconds=1)
"""How long before it is paid or paid back a document may be made, in seconds."""

STATES: tuple[tuple[str, Mapping[str, str]], ...] = (
    ("checkout/sessions", {"status": "complete"}),
    ("invoices", {"status": "paid"}),
    ("subscriptions", {"status": "all"}),
    ("invoice_payments", {"status": "paid"}),
    ("refunds", {"expand[]": "data.charge"}),
    ("disputes", {}),
)
"""The lists that together tell what the events would have told; of a refund its charge."""

T = TypeVar("T")
log = structlog.get_logger(__name__)


class _Head(msgspec.Struct):
    id: str
    created: int


class _Refund(msgspec.Struct):
    id: str
    charge: msgspec.Raw = msgspec.Raw(b"null")


class States(msgspec.Struct, kw_only=True):
    """How far the lists are read; times are milliseconds since 1970.

    Attributes:
        since: what happened before is left out.
        begun: subscriptions and checkouts that were begun before are left out; 0 if their orders may be known.
        began: when that was begun; events tell what came later.
        place: the number of the list in `STATES`.
        after: the last document that is known of it.
    """

    since: int
    begun: int
    began: int
    place: int = 0
    after: str = ""

    async def walk(self, rest: Rest) -> list[Delivery]:
        """What the next pages tell; errors as in `Position.walk`."""
        found: list[Delivery] = []
        for _ in range(MOST_REQUESTS):
            if self.place >= len(STATES) or len(found) + PAGE > MOST:
                break
            found += await self._page(rest)
        return found

    async def _page(self, rest: Rest) -> list[Delivery]:
        path, condition = STATES[self.place]
        subscriptions = path == "subscriptions"
        begin = self.begun // SECOND if subscriptions else max(0, self.since // SECOND - EARLIER)
        query = [*condition.items(), ("created[gte]", str(begin))]
        try:
            page = await rest.listed(path, query, PAGE, self.after)
        except NoSuchStart:
            page = await rest.listed(path, query, PAGE)
        if page is None or not page.has_more or not page.data:
            self.place, self.after = self.place + 1, ""
        else:
            self.after = _head(bytes(page.data[-1]), _Refund).id
        documents = [bytes(each) for each in reversed(page.data)] if page else []
        if path == "refunds":
            documents = [charge for each in documents if (charge := bytes(_head(each, _Refund).charge))[:1] == b"{"]
        return [delivery for each in documents if self._matters(path, delivery := rest.alone(each, path))]

    def _matters(self, path: str, delivery: Delivery) -> bool:
        """Whether it tells of something since then; what is illegible is for a person to see.

        When a checkout was paid is not told, only when it was begun.
        """
        since = self.begun if path == "checkout/sessions" else self.since
        try:
            return any(change.version >= since for change in meaning(delivery))
        except InvalidRequest:
            return True


class Place(msgspec.Struct, kw_only=True):
    """What the cursor tells: how far the events are read, and the lists, if there was no other way."""

    events: Position
    states: States | None = None


class Poll:
    """The polls of one account; `begin` is the first day, in UTC, by default a day ago."""

    def __init__(self, name: str, rest: Rest, begin: date | None) -> None:
        self._name, self._rest, self._begin = name, rest, begin

    async def __call__(self, cursor: str) -> Page:
        """What is new since the cursor."""
        place = self._place(cursor)
        if place.states is None:
            found = await place.events.walk(Events(self._rest), MOST, PAGE)
        else:
            found = await place.states.walk(self._rest)
            if place.states.place >= len(STATES):
                place = Place(events=Position(since=place.states.began - OVERLAP))
        return Page(deliveries=tuple(found), cursor=msgspec.json.encode(place).decode())

    def _place(self, cursor: str) -> Place:
        known = _known(cursor)
        place = known or Place(events=positions("", ("events",), self._begin)["events"])
        begin = place.events.since if place.events.at is None else place.events.at
        now = since_1970(datetime.now(UTC))
        if place.states is None and begin < now - KEPT:
            since = (EPOCH + timedelta(milliseconds=begin)).isoformat()
            (log.error if known else log.info)("stripe_events_expired", connection=self._name, since=since)
            place.states = States(since=begin, begun=0 if known else begin, began=now)
        return place


class Events:
    """`licentia_integrations.changed.Ask` for the events that are read; good for one walk."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._width: int | None = None

    async def __call__(self, asked: Asked) -> Told:
        """The oldest events, as many as the shortest window in which there are any has, up to a page."""
        begin = -(-asked.since // SECOND)
        if asked.after is not None:
            rows, more = await self._page(asked, begin, begin + 1)
            return Told(rows, more, self._rest.now)
        width = 2 * self._width if self._width else None
        while True:
            end = begin + width if width else None
            rows, more = await self._page(asked, begin, end)
            self._width = width
            if more and width != 1:
                width = max(1, (rows[0].changed // SECOND - begin) // 2)
            elif end is None or end > self._rest.now // SECOND:
                return Told(rows, more, self._rest.now)
            elif rows:
                return Told(rows, True, self._rest.now)
            else:
                begin, width = end, 2 * (end - begin)

    async def _page(self, asked: Asked, begin: int, end: int | None) -> tuple[list[Row], bool]:
        """The newest events of a window, the oldest first, and whether there are older ones."""
        query = [*(("types[]", each) for each in EVENTS), ("created[gte]", str(begin))]
        query += [("created[lt]", str(end))] if end else []
        page = await self._rest.listed("events", query, asked.most, asked.after or "")
        if page is None:
            raise Unavailable("Stripe has no list of events.", help="Check `api_url`.")
        found = [(bytes(each), _head(bytes(each), _Head)) for each in page.data]
        last = found[-1][1].id if found else ""
        rows = [Row(last, head.created * SECOND, self._rest.alone(body, "events"), head.id) for body, head in found]
        return rows[::-1], page.has_more and bool(rows)


def _known(cursor: str) -> Place | None:
    try:
        return msgspec.json.decode(cursor, type=Place) if cursor else None
    except msgspec.DecodeError:
        return None


def _head(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Unavailable("Stripe listed something without an id or a time.") from None
