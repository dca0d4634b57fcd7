"""The API of FastSpring: events that no webhook has delivered, and the tags of orders.

Requests are those of developer.fastspring.com/reference: list all unprocessed events, update an event, retrieve an
order, update order tags and attributes. There is no page to ask for: 25 events are told at most, and those that are
marked as processed make room for others.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

import httpx
import msgspec

from licentia.connectors import Delivery, Outcome
from licentia.errors import Unavailable
from licentia_integrations.calls import Caller, Reply, answered, delivered
from licentia_integrations.changed import begin_of
from licentia_integrations.fastspring.settings import FastSpringSettings
from licentia_integrations.outcomes import differing
from licentia_integrations.shops import EPOCH

API = "FastSpring's API"
MOST_PROBLEM = 500
OLDEST_DAYS = 29
"""FastSpring tells no event that is older than 30 days, and refuses to be asked for it."""

DAY = timedelta(days=1)
ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
T = TypeVar("T")


class Cursor(msgspec.Struct, kw_only=True):
    """What the server has stored: `begin` in milliseconds since 1970, and the events that are to be marked."""

    begin: int
    stored: list[str] = []


class _Head(msgspec.Struct):
    id: str = ""
    created: int = 0


class _Events(msgspec.Struct):
    events: list[msgspec.Raw]


class _Order(msgspec.Struct):
    tags: dict[str, Any] | None = None


class _Result(msgspec.Struct):
    result: str = ""
    error: dict[str, Any] | None = None


class _Results(msgspec.Struct):
    orders: list[_Result] = []


class Rest:
    """The API of one store."""

    def __init__(self, store: FastSpringSettings) -> None:
        self._base = f"{store.api_url.rstrip('/')}/"
        self._caller = Caller(httpx.BasicAuth(store.api_user or "", store.api_password or ""))

    async def close(self) -> None:
        """Give up the connections."""
        await self._caller.close()

    async def mark(self, id: str) -> None:
        """Mark an event as processed. One that FastSpring does not know is marked already, or too old."""
        reply = await self._caller.call("POST", f"{self._base}events/{id}", body=b'{"processed":true}')
        if not (reply.ok or reply.gone or reply.status == httpx.codes.BAD_REQUEST):
            raise reply.refusal()

    async def unprocessed(self, begin: int) -> tuple[list[Delivery], list[str]]:
        """Events since a time, oldest first, each as a webhook would bring it, and the ids of those that can be marked.

        Args:
            begin: milliseconds since 1970.
        """
        age = datetime.now(UTC) - (EPOCH + timedelta(milliseconds=begin))
        days = min(max(1, -(-age // DAY)), OLDEST_DAYS)
        reply = await self._caller.call("GET", f"{self._base}events/unprocessed?days={days}")
        if not reply.ok:
            raise reply.refusal()
        told = [(_head(bytes(each)), bytes(each)) for each in answered(reply.body, _Events, API, "api_url").events]
        told = sorted((each for each in told if not 0 < each[0].created < begin), key=lambda each: each[0].created)
        found = [delivered(b'{"events":[' + event + b"]}", f"{self._base}events/{head.id}") for head, event in told]
        return found, [head.id for head, _ in told if ID.fullmatch(head.id)]

    async def write(self, outcome: Outcome) -> None:
        """Write into the tags of an order what came of it, if it does not stand there; other tags stay."""
        if not ID.fullmatch(outcome.order_number):
            return
        reply = await self._caller.call("GET", f"{self._base}orders/{outcome.order_number}")
        if _names_nothing(reply):
            return
        if not reply.ok:
            raise reply.refusal()
        tags = answered(reply.body, _Order, API, "api_url").tags or {}
        if wanted := differing(tags, outcome, MOST_PROBLEM):
            await self._tag(outcome.order_number, tags | wanted)

    async def _tag(self, number: str, tags: dict[str, Any]) -> None:
        body = msgspec.json.encode({"orders": [{"order": number, "tags": tags}]})
        reply = await self._caller.call("POST", f"{self._base}orders", body=body)
        if not reply.ok:
            raise reply.refusal()
        for each in answered(reply.body, _Results, API, "api_url").orders:
            if each.result == "error":
                reason = "; ".join(map(str, (each.error or {}).values()))[:200]
                raise Unavailable(f"FastSpring refuses: {reason}", help="Look at the tags of the order.")


def cursor_of(text: str, first: date | None) -> Cursor:
    """What a cursor tells.

    Args:
        text: JSON of a `Cursor`; empty for the first poll.
        first: the first day, in UTC; by default a day ago.
    """
    try:
        return msgspec.json.decode(text, type=Cursor)
    except msgspec.DecodeError:
        return Cursor(begin=begin_of(first))


def _head(event: bytes) -> _Head:
    """What is known of an event; nothing if it is illegible, which a person has to see."""
    try:
        return msgspec.json.decode(event, type=_Head)
    except msgspec.DecodeError:
        return _Head()


def _names_nothing(reply: Reply) -> bool:
    """Whether it is FastSpring that does not know an id: by 404 or 400, with an object of JSON."""
    return (reply.gone or reply.status == httpx.codes.BAD_REQUEST) and reply.body.lstrip().startswith(b"{")
