"""Events: read the audit trail."""

from __future__ import annotations

from licentia.contract.events import EventPage, ListEvents
from licentia.services.context import Context
from licentia.storage import eventlog


async def list_events(request: ListEvents, context: Context) -> EventPage:
    """The events after the cursor, oldest first."""
    events, cursor = await eventlog.page(context.db, request.cursor, request.limit)
    return EventPage(events=events, next_cursor=cursor)
