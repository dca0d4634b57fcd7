"""woocommerce: the webhooks of a WooCommerce shop, each with a whole order, and the refunds that it only mentions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import httpx

from licentia.connectors import Answer, Change, Connector, Delivery, Fetching, Handshake
from licentia.crypto.webhooks import check_hmac
from licentia.errors import InvalidRequest, Unavailable
from licentia_integrations.incoming import secrets_of, settings_of
from licentia_integrations.shops import fetched, read, required
from licentia_integrations.woocommerce.documents import Deleted, Document, Refund
from licentia_integrations.woocommerce.settings import WooCommerceSettings

SIGNATURE = "x-wc-webhook-signature"
PING = re.compile(rb"webhook_id=\d{1,20}")
REFUND = re.compile(r"orders/(\d{1,20})/refunds/(\d{1,20})")


class WooCommerce(Connector, Handshake, Fetching):
    """An order earns licenses while its status is one of those that mean that it is paid."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(name, settings)
        self.shop = settings_of(WooCommerceSettings, name, settings)

    def _handshake(self, delivery: Delivery) -> Answer | None:
        """The shop pings an address, unsigned, when somebody saves it."""
        pinged = SIGNATURE not in delivery.headers and PING.fullmatch(delivery.body)
        return Answer(status=200) if pinged else None

    async def _authenticate(self, delivery: Delivery) -> None:
        check_hmac(delivery.body, [delivery.headers.get(SIGNATURE, "")], secrets_of(self.shop.secret), "base64")

    def _normalise(self, delivery: Delivery) -> tuple[Change, ...]:
        if delivery.pointer:
            return self._refund(delivery)
        resource, _, event = delivery.headers.get("x-wc-webhook-topic", "order.").partition(".")
        if resource != "order":
            return ()
        if event == "deleted":
            number = required(read(delivery.body, Deleted, "deleted order").id, "The order's id")
            return (Change(kind="cancelled", order_number=number),)
        return read(delivery.body, Document, "order of WooCommerce").changes(self.shop.paid_statuses)

    def _refund(self, delivery: Delivery) -> tuple[Change, ...]:
        path = REFUND.fullmatch(delivery.pointer)
        if path is None:
            raise InvalidRequest("The pointer leads to no refund.")
        return read(delivery.body, Refund, "refund of WooCommerce").changes(path[1])

    async def _fetch(self, pointer: str) -> tuple[Delivery, ...]:
        shop = self.shop
        if not REFUND.fullmatch(pointer):
            return ()
        if not (shop.url and shop.consumer_key and shop.consumer_secret):
            raise Unavailable(
                "What was refunded has to be asked of the shop, and it is not known how.",
                help="Set `url`, `consumer_key` and `consumer_secret` of a key that may read.",
            )
        address = f"{shop.url.rstrip('/')}/wp-json/wc/v3/{pointer}"
        found = await fetched(address, pointer, {}, httpx.BasicAuth(shop.consumer_key, shop.consumer_secret))
        return (found,) if found else ()
