"""salesforce: outbound messages, which only say what has changed, and the orders and opportunities they point to."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from licentia.connectors import Answer, Answering, Change, Connector, Delivery, Fetching, Outcome
from licentia.errors import InvalidRequest, Unauthenticated
from licentia_integrations.incoming import check_shown, secrets_of, settings_of
from licentia_integrations.remote import login_of, needed
from licentia_integrations.salesforce.messages import ACKNOWLEDGED, RECORD_ID, is_sandbox, read_message
from licentia_integrations.salesforce.records import QUERIES, Record
from licentia_integrations.salesforce.settings import SalesforceSettings
from licentia_integrations.shops import fetched, read


class Salesforce(Connector, Answering, Fetching):
    """An opportunity earns licenses when it is won, an order when it is activated."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(name, settings)
        self.known = settings_of(SalesforceSettings, name, settings)
        self._login = login_of(self.known.api)

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
        """Whatever came of the orders is kept here, so Salesforce need not repeat its message."""
        return Answer(status=200, body=ACKNOWLEDGED, media_type="text/xml; charset=utf-8")

    async def _fetch(self, pointer: str) -> tuple[Delivery, ...]:
        kind, _, id = pointer.partition("/")
        if kind not in ("Order", "Opportunity") or not RECORD_ID.fullmatch(id):
            return ()
        api = needed(self.known.api)
        query = QUERIES["Reduction" if kind == "Order" and self.known.reduction_orders else kind]
        asked = urlencode({"q": f"{query} WHERE Id = '{id}'"})
        address = api.address(f"services/data/v{self.known.api_version}/query?{asked}")
        found = await fetched(address, pointer, {}, self._login)
        return (found,) if found else ()
