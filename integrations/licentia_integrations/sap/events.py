"""Business events of S/4HANA as CloudEvents: they name a document that has changed, and tell nothing else of it.

The forms are structured, batched and binary of the HTTP binding of CloudEvents 1.0; S/4HANA on premise
also sends the structured form of CloudEvents 0.1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from licentia.connectors import Change
from licentia_integrations.incoming import identifier
from licentia_integrations.remote import odd
from licentia_integrations.shops import milliseconds, plain_id

TYPE = re.compile(r"(^|.*[./])(SalesOrder|CustomerReturn)[./](\w+?)([./][vV]\d+)?")
NUMBER = re.compile(r"[A-Za-z0-9_-]{1,35}")
MAX_EVENTS = 1000


class Event(msgspec.Struct):
    """A CloudEvent, with the names of both versions."""

    type: str = ""
    source: str = ""
    id: str = ""
    time: str | None = None
    data: Any = None
    old_type: str = msgspec.field(name="eventType", default="")
    old_id: str = msgspec.field(name="eventID", default="")
    old_time: str | None = msgspec.field(name="eventTime", default=None)

    def identity(self) -> str:
        """What is the same when the event is sent again, as CloudEvents define it."""
        return f"{self.source}\n{self.id or self.old_id}"

    def change(self) -> Change | None:
        """Where to ask for the document; None if the event is about another kind of thing."""
        kind = TYPE.fullmatch(self.type or self.old_type)
        if kind is None:
            return None
        entity, verb = kind[2], kind[3]
        number = identifier(_number(self.data, entity), f"The event's {entity}")
        if not NUMBER.fullmatch(number):
            raise odd(f"{entity} is no number of a document")
        number = (number.lstrip("0") or number) if number.isdigit() else number  # older events fill numbers up
        version = milliseconds(self.time or self.old_time)
        if verb == "Deleted" and entity == "SalesOrder":
            return Change(kind="cancelled", order_number=number, version=version)
        return Change(kind="pointer", pointer=f"{entity}/{number}", order_number=number, version=version)


def of_headers(headers: Mapping[str, str], data: Any) -> Event:
    """An event of the binary form: its attributes are headers, its data is the body."""
    told = {name: headers.get(f"ce-{name}", "") for name in ("type", "source", "id", "time")}
    return Event(data=data, **told)


def _number(data: Any, entity: str) -> str | None:
    """The document's number; older events have it as `KEY`, a list of one object with names in capitals."""
    if isinstance(data, dict) and isinstance(data.get("KEY"), list):
        data = next(iter(data["KEY"]), None)
    if not isinstance(data, dict):
        return None
    found = next((value for name, value in data.items() if str(name).lower() == entity.lower()), None)
    return plain_id(found)
