"""sap: IDocs of the type ORDERS05, events of S/4HANA, and the documents that the events point to."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from licentia.connectors import (
    Answer,
    Change,
    Connector,
    Delivery,
    Fetching,
    Handshake,
    Outcome,
    Page,
    Polling,
    WriteBack,
)
from licentia.errors import InvalidRequest
from licentia_integrations.calls import Caller, delivered
from licentia_integrations.changed import cursor_of, positions
from licentia_integrations.incoming import check_shown, secrets_of, settings_of
from licentia_integrations.remote import login_of, needed, odd
from licentia_integrations.sap import idoc
from licentia_integrations.sap.events import MAX_EVENTS, NUMBER, Event, of_headers
from licentia_integrations.sap.odata import SETS, WITH_ITEMS, Wrapped
from licentia_integrations.sap.polling import MOST, PAGE, Changed, said
from licentia_integrations.sap.settings import SapSettings
from licentia_integrations.sap.texts import Texts
from licentia_integrations.shops import read

ORIGIN = re.compile(r"[A-Za-z0-9.:_-]{1,255}")
"""What a broker calls itself: a name of the domain name system."""


class Told(msgspec.Struct):
    """What tells the kinds of JSON apart.

    An answer of OData V2 has `d`, a list of V4 `value`, an event the version of its form; middleware may send a
    document bare.
    """

    d: Wrapped | list[Wrapped] | None = None
    value: list[Wrapped] | None = None
    SalesOrder: Any = None
    CustomerReturn: Any = None
    specversion: str | None = None
    cloudEventsVersion: str | None = None  # noqa: N815 - the name in CloudEvents 0.1


class Sap(Connector, Handshake, Fetching, Polling, WriteBack):
    """A sales order earns licenses when it is entered and not blocked."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(name, settings)
        self.known = settings_of(SapSettings, name, settings)
        self.connected = self.known.api is not None
        self._caller = Caller(login_of(self.known.api), {"sap-client": self.known.client} if self.known.client else {})
        self._texts: Texts | None = None
        if self.known.api and self.known.text_id:
            self._texts = Texts(self._caller, self.known.api, self.known.text_id, self.known.text_language)

    async def close(self) -> None:
        """Give up the connections to SAP."""
        await self._caller.close()

    def _handshake(self, delivery: Delivery) -> Answer | None:
        """HTTP webhooks for CloudEvents 1.0, section 4: the sender asks whether it may deliver, and how fast."""
        origin = delivery.headers.get("webhook-request-origin", "").strip()
        if delivery.method != "OPTIONS" or not ORIGIN.fullmatch(origin):
            return None
        granted = {"Allow": "POST, OPTIONS", "WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "*"}
        return Answer(status=200, headers=granted)

    async def _authenticate(self, delivery: Delivery) -> None:
        check_shown(delivery, secrets_of(self.known.secret))

    def _delivery_id(self, delivery: Delivery) -> str:
        try:
            if delivery.body.lstrip()[:1] in (b"{", b"["):
                names = [each.identity() for each in self._events(delivery) or ()]
            else:
                names = [idoc.identity(each) for each in idoc.read_idocs(delivery.body)]
        except InvalidRequest:
            names = []
        named = "\n".join(names).encode("utf-8", "replace") if all(each.strip("/\n") for each in names) else b""
        return hashlib.sha256(named or delivery.body).hexdigest()

    def _normalise(self, delivery: Delivery) -> tuple[Change, ...]:
        if delivery.body.lstrip()[:1] not in (b"{", b"["):
            idocs = idoc.read_idocs(delivery.body)
            return tuple(change for each in idocs for change in idoc.changes(each, self.known))
        events = self._events(delivery)
        if events is not None:
            return tuple(change for each in events if (change := each.change()))
        told = read(delivery.body, Told, "answer of SAP")
        answer = told.value if told.d is None else told.d
        if answer is None and (told.SalesOrder or told.CustomerReturn):
            answer = read(delivery.body, Wrapped, "document of SAP")
        if answer is None:
            raise odd("it is neither an IDoc nor an event nor an answer of OData")
        wrapped = answer if isinstance(answer, list) else [answer]
        documents = [each for one in wrapped for each in one.documents()]
        return tuple(change for each in documents for change in each.changes(self.known, delivery.pointer))

    def _events(self, delivery: Delivery) -> list[Event] | None:
        """The events of a delivery, in any of the three forms; None if it is something else."""
        if "ce-type" in delivery.headers:
            return [of_headers(delivery.headers, read(delivery.body, Any, "data of an event"))]
        if delivery.body.lstrip()[:1] == b"[":
            events = read(delivery.body, list[Event], "batch of CloudEvents")
            if len(events) > MAX_EVENTS:
                raise odd(f"it has more than {MAX_EVENTS} events")
            return events
        told = read(delivery.body, Told, "event or document of SAP")
        if told.specversion or told.cloudEventsVersion:
            return [read(delivery.body, Event, "CloudEvent")]
        return None

    async def _fetch(self, pointer: str) -> tuple[Delivery, ...]:
        entity, _, number = pointer.partition("/")
        if entity not in SETS or not NUMBER.fullmatch(number):
            return ()
        address = needed(self.known.api).address(f"{SETS[entity]}('{number}')?{WITH_ITEMS}")
        reply = await self._caller.call("GET", address)
        if reply.gone:
            return ()
        if not reply.ok:
            raise reply.refusal(said(reply.body))
        return (delivered(reply.body, address, pointer),)

    async def _poll(self, cursor: str) -> Page:
        api = needed(self.known.api)
        kinds = ("SalesOrder", "CustomerReturn") if self.known.poll_returns else ("SalesOrder",)
        known = positions(cursor, kinds, self.known.poll_from)
        found: list[Delivery] = []
        for kind, position in known.items():
            found += await position.walk(Changed(self._caller, api, kind), MOST - len(found), PAGE)
        return Page(deliveries=tuple(found), cursor=cursor_of(known))

    async def _write_back(self, outcome: Outcome) -> None:
        if self._texts is not None:
            await self._texts.write(outcome)
