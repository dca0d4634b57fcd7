"""salesforce: outbound messages, which only say what has changed, and the orders and opportunities they point to."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

import msgspec

from licentia.connectors import (
    Answer,
    Answering,
    Change,
    Connector,
    Delivery,
    Fetching,
    Outcome,
    Page,
    Polling,
    WriteBack,
)
from licentia.errors import InvalidRequest, Unauthenticated
from licentia_integrations.calls import Caller, delivered
from licentia_integrations.changed import cursor_of, positions
from licentia_integrations.incoming import check_shown, secrets_of, settings_of
from licentia_integrations.remote import login_of, needed
from licentia_integrations.salesforce.fields import write
from licentia_integrations.salesforce.messages import ACKNOWLEDGED, RECORD_ID, is_sandbox, read_message
from licentia_integrations.salesforce.polling import MOST, PAGE, Changed
from licentia_integrations.salesforce.records import QUERIES, Record
from licentia_integrations.salesforce.rest import Rest
from licentia_integrations.salesforce.settings import SalesforceSettings
from licentia_integrations.shops import read


class Salesforce(Connector, Answering, Fetching, Polling, WriteBack):
    """An opportunity earns licenses when it is won, an order when it is activated."""

    waits = False

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(name, settings)
        self.known = settings_of(SalesforceSettings, name, settings)
        self.connected = self.known.api is not None
        self._caller = Caller(login_of(self.known.api))

    async def close(self) -> None:
        """Give up the connections to Salesforce."""
        await self._caller.close()

    async def _authenticate(self, delivery: Delivery) -> None:
        known = self.known
        if known.secret is not None:
            check_shown(delivery, secrets_of(known.secret))
        if known.certificate is not None and known.certificate_header is not None:
            given = delivery.headers.get(known.certificate_header.lower(), "").encode("utf-8", "replace")
            right = {hmac.compare_digest(each.encode(), given) for each in secrets_of(known.certificate)}
            if True not in right:
                raise Unauthenticated(
                    "The proxy names no certificate that is known here.",
                    help="Enter in `certificate` what the proxy writes of Salesforce's certificate.",
                )
        if known.organization_id is not None and not self._is_ours(delivery.body, known.organization_id):
            raise Unauthenticated(
                "The message is not of this organization.",
                help="Enter in `organization_id` the id that stands in Setup, Company Information.",
            )

    def _is_ours(self, body: bytes, organization_id: str) -> bool:
        """The first 15 characters are the id; three more only guard its letters' case."""
        try:
            given = read_message(body).organization_id
        except InvalidRequest:
            return False
        return hmac.compare_digest(given[:15].encode("utf-8", "replace"), organization_id[:15].encode())

    def _delivery_id(self, delivery: Delivery) -> str:
        try:
            ids = sorted({each.id for each in read_message(delivery.body).notifications})
        except InvalidRequest:
            ids = []
        whole = "\n".join(ids).encode() or delivery.body
        return ids[0] if len(ids) == 1 else hashlib.sha256(whole).hexdigest()

    def _normalise(self, delivery: Delivery) -> tuple[Change, ...]:
        if delivery.body.lstrip()[:1] != b"{":
            return read_message(delivery.body).changes()
        return read(delivery.body, Record, "record of Salesforce").changes(self.known, is_sandbox(delivery.url))

    def _answer(self, delivery: Delivery, outcomes: tuple[Outcome, ...]) -> Answer:
        """What it tells is kept here, so Salesforce need not repeat its message."""
        return Answer(status=200, body=ACKNOWLEDGED, media_type="text/xml; charset=utf-8")

    async def _fetch(self, pointer: str) -> tuple[Delivery, ...]:
        kind, _, id = pointer.partition("/")
        if kind not in ("Order", "Opportunity") or not RECORD_ID.fullmatch(id):
            return ()
        rest = self._rest()
        records = await rest.query(f"{self._question(kind)} WHERE Id = '{id}'")
        found = msgspec.json.encode({"records": records})
        return (delivered(found, rest.address(kind, id), pointer),) if records else ()

    def _rest(self) -> Rest:
        return Rest(self._caller, needed(self.known.api), self.known.api_version)

    def _question(self, kind: str) -> str:
        return QUERIES["Reduction" if kind == "Order" and self.known.reduction_orders else kind]

    async def _poll(self, cursor: str) -> Page:
        rest = self._rest()
        known = positions(cursor, self.known.poll_objects, self.known.poll_from)
        found: list[Delivery] = []
        for kind, position in known.items():
            changed = Changed(rest, kind, self._question(kind))
            found += await position.walk(changed, MOST - len(found), PAGE)
        return Page(deliveries=tuple(found), cursor=cursor_of(known))

    async def _write_back(self, outcome: Outcome) -> None:
        await write(self._rest(), outcome, self.known.ticket_field, self.known.problem_field)
