"""hubspot: webhooks of a HubSpot app, which only say what has changed, and the deals that they point to."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from licentia.connectors import Change, Connector, Delivery, Fetching
from licentia.crypto.webhooks import check_age, check_hmac, refused
from licentia.errors import InvalidRequest
from licentia_integrations.hubspot.deals import PROPERTIES, Deal, Event, Whole
from licentia_integrations.hubspot.settings import HubSpotSettings
from licentia_integrations.incoming import secrets_of, settings_of
from licentia_integrations.remote import login_of, needed, odd
from licentia_integrations.shops import fetched, read

MAX_EVENTS = 1000
MAX_LINES = 500
POINTER = re.compile(r"deals/(\d{1,20})")
ESCAPED = {
    "%3A": ":", "%2F": "/", "%3F": "?", "%40": "@", "%21": "!", "%24": "$", "%27": "'",
    "%28": "(", "%29": ")", "%2A": "*", "%2C": ",", "%3B": ";",
}  # fmt: skip
"""What HubSpot writes plainly in the address that it signs."""

ESCAPES = re.compile("|".join(ESCAPED), re.IGNORECASE)


class HubSpot(Connector, Fetching):
    """A deal earns licenses when it is won."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(name, settings)
        self.known = settings_of(HubSpotSettings, name, settings)
        self._login = login_of(self.known.api)

    async def _authenticate(self, delivery: Delivery) -> None:
        """Version 3 of HubSpot's signatures: method, address, body and time in milliseconds, one after the other."""
        moment = delivery.headers.get("x-hubspot-request-timestamp", "")
        signature = delivery.headers.get("x-hubspot-signature-v3", "")
        if not signature:
            raise refused("The delivery has no signature of version 3.")
        check_age(moment[:-3], delivery.received_at)
        address = ESCAPES.sub(lambda found: ESCAPED[found[0].upper()], self.known.public_url or delivery.url)
        start = f"{delivery.method}{address}".encode("utf-8", "replace")
        message = start + delivery.body + moment.encode("utf-8", "replace")
        check_hmac(message, [signature], secrets_of(self.known.secret), "base64")

    def _delivery_id(self, delivery: Delivery) -> str:
        try:
            names = sorted(each.identity() for each in self._events(delivery.body))
        except InvalidRequest:
            names = []
        return hashlib.sha256("\n".join(names).encode("utf-8", "replace") or delivery.body).hexdigest()

    def _events(self, body: bytes) -> list[Event]:
        events = read(body, list[Event], "batch of HubSpot's events")
        if len(events) > MAX_EVENTS:
            raise odd(f"it has more than {MAX_EVENTS} events")
        return events

    def _normalise(self, delivery: Delivery) -> tuple[Change, ...]:
        if delivery.body.lstrip()[:1] == b"{":
            return read(delivery.body, Whole, "deal of HubSpot").changes(self.known)
        latest: dict[str, Change] = {}
        for change in filter(None, (each.change() for each in self._events(delivery.body))):
            known = latest.get(change.order_number)
            if known is None or change.version >= known.version:
                latest[change.order_number] = change
        return tuple(latest.values())

    async def _fetch(self, pointer: str) -> tuple[Delivery, ...]:
        """The deal with its lines; HubSpot has no answer that holds both, so one is put together."""
        if not POINTER.fullmatch(pointer):
            return ()
        api = needed(self.known.api)
        query = f"?properties={','.join(PROPERTIES)}&associations=line_items,companies,contacts"
        found = await fetched(api.address(f"crm/v3/objects/{pointer}{query}"), pointer, {}, self._login)
        if found is None:
            return ()
        ids = read(found.body, Deal, "deal of HubSpot").line_ids()
        if len(ids) > MAX_LINES:
            raise odd(f"the deal has more than {MAX_LINES} lines")
        lines = []
        for id in ids:
            asked = f"crm/v3/objects/line_items/{id}?properties=quantity,hs_sku,hs_product_id,name"
            line = await fetched(api.address(asked), pointer, {}, self._login)
            lines += [msgspec.Raw(line.body)] if line else []
        body = msgspec.json.encode({"deal": msgspec.Raw(found.body), "line_items": lines})
        return (msgspec.structs.replace(found, body=body, received_at=datetime.now(UTC)),)
