"""Events: the audit trail, a hash chain per writer."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from licentia.contract.operation import Operation, Reply, Request
from licentia.contract.types import Count, Cursor, Id, Instant, PageSize


class ListEvents(Request):
    """The audit trail, oldest first. Keep the last `next_cursor` to ask for what comes later."""

    cursor: Cursor | None = None
    limit: PageSize = 100


class Event(Reply):
    """One change. `hash` covers the event and `previous_hash`, that of the event before in the same chain."""

    event_id: Id
    chain: Count
    seq: Count
    at: Instant
    kind: Annotated[str, Meta(description="What happened, as `noun.verb`.")]
    actor: Annotated[str, Meta(description="The id of the key, the user, or `operator` for the command line.")]
    data: Annotated[dict[str, Any], Meta(description="The facts of the change; in SOAP a string of JSON.")]
    previous_hash: Annotated[str, Meta(description="SHA-256 in hexadecimal; 64 zeros at the start of a chain.")]
    hash: Annotated[str, Meta(description="SHA-256 in hexadecimal.")]


class EventPage(Reply):
    """A page of events. `next_cursor` is always there: later events follow it."""

    events: list[Event]
    next_cursor: Cursor


OPERATIONS = (
    Operation(
        "ListEvents", "admin", "GET", "/v1/events", "events:list_events", ListEvents, EventPage,
        "Read the audit trail.",
    ),
)
