"""woocommerce: the webhooks of a WooCommerce shop, orders that they skipped, and refunds that they only mention."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

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
from licentia.crypto.webhooks import check_hmac
from licentia.errors import InvalidRequest, Unavailable
from licentia_integrations.changed import cursor_of, positions
from licentia_integrations.incoming import secrets_of, settings_of
from licentia_integrations.offsets import ByOffset
from licentia_integrations.shops import read, required
from licentia_integrations.woocommerce.documents import Deleted, Document, Refund, Renewal, Wrapped
from licentia_integrations.woocommerce.rest import Rest
from licentia_integrations.woocommerce.settings import WooCommerceSettings

SIGNATURE = "x-wc-webhook-signature"
PING = re.compile(rb"webhook_id=\d{1,20}")
ORDER = re.compile(r"orders/\d{1,20}")
REFUND = re.compile(r"orders/(\d{1,20})/refunds/(\d{1,20})")
RENEWAL = re.compile(r"(orders/\d{1,20})/renewal/(\d{1,20})")
STATUSES = ("any", "trash")
"""What is asked for; `any` leaves out what lies in the trash."""

MOST, PAGE = 100, 50
"""Orders of one poll, and of one answer."""


class WooCommerce(Connector, Handshake, Fetching, Polling, WriteBack):
    """An order earns licenses while its status is one of those that mean that it is paid."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(name, settings)
        self.shop = settings_of(WooCommerceSettings, name, settings)
        self.connected = self.shop.url is not None
        self._rest = Rest(self.shop) if self.connected else None

    async def close(self) -> None:
        """Give up the connections to the shop."""
        if self._rest is not None:
            await self._rest.close()

    def _handshake(self, delivery: Delivery) -> Answer | None:
        """The shop pings an address, unsigned, when somebody saves it."""
        pinged = SIGNATURE not in delivery.headers and PING.fullmatch(delivery.body)
        return Answer(status=200) if pinged else None

    async def _authenticate(self, delivery: Delivery) -> None:
        check_hmac(delivery.body, [delivery.headers.get(SIGNATURE, "")], secrets_of(self.shop.secret), "base64")

    def _normalise(self, delivery: Delivery) -> tuple[Change, ...]:
        if RENEWAL.fullmatch(delivery.pointer):
            return read(delivery.body, Renewal, "renewal of WooCommerce").changes(self.shop.paid_statuses)
        if delivery.pointer and not ORDER.fullmatch(delivery.pointer):
            return self._refund(delivery)
        resource, _, event = delivery.headers.get("x-wc-webhook-topic", "order.").partition(".")
        if resource != "order":
            return ()
        if event == "deleted":
            number = required(read(delivery.body, Deleted, "deleted order").id, "The order's id")
            return (Change(kind="cancelled", order_number=number),)
        body = read(delivery.body, Wrapped, "order of WooCommerce").order or delivery.body
        found = read(body, Document, "order of WooCommerce").changes(self.shop.paid_statuses)
        return tuple(map(self._pointed, found)) if self.connected else found

    def _pointed(self, change: Change) -> Change:
        """A renewal tells its subscription; which order began that has to be asked."""
        pointer = f"orders/{change.order_number}/renewal/{change.origin}"
        asks = change.kind == "renewed" and RENEWAL.fullmatch(pointer)
        return Change(kind="pointer", pointer=pointer) if asks else change

    def _refund(self, delivery: Delivery) -> tuple[Change, ...]:
        path = REFUND.fullmatch(delivery.pointer)
        if path is None:
            raise InvalidRequest("The pointer leads to no refund.")
        return read(delivery.body, Refund, "refund of WooCommerce").changes(path[1])

    async def _fetch(self, pointer: str) -> tuple[Delivery, ...]:
        renewal = RENEWAL.fullmatch(pointer)
        if not (renewal or REFUND.fullmatch(pointer)):
            return ()
        if self._rest is None:
            raise Unavailable(
                "What was refunded has to be asked of the shop, and it is not known how.",
                help="Set `url`, `consumer_key` and `consumer_secret` of a key that may read and write.",
            )
        if renewal:
            found = await self._rest.renewal(pointer, renewal[1], f"subscriptions/{renewal[2]}")
        else:
            found = await self._rest.document(pointer)
        return (found,) if found else ()

    async def _poll(self, cursor: str) -> Page:
        if self._rest is None:
            return Page(deliveries=(), cursor=cursor)
        known = positions(cursor, STATUSES, self.shop.poll_from)
        found: list[Delivery] = []
        for status, position in known.items():
            found += await position.walk(ByOffset(partial(self._rest.changed, status)), MOST - len(found), PAGE)
        return Page(deliveries=tuple(found), cursor=cursor_of(known))

    async def _write_back(self, outcome: Outcome) -> None:
        if self._rest is not None and ORDER.fullmatch(f"orders/{outcome.order_number}"):
            await self._rest.write(outcome)
