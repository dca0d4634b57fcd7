"""shopify: the webhooks of a Shopify shop: orders as a whole, and refunds by line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from licentia.connectors import Change, Connector, Delivery
from licentia.crypto.webhooks import check_hmac
from licentia.errors import InvalidRequest
from licentia_integrations.incoming import LONGEST_ID, Secrets, secrets_of, settings_of
from licentia_integrations.shopify.documents import Deleted, Document, Refund, Wrapped
from licentia_integrations.shops import read, required

ORDERS = frozenset(
    f"orders/{event}"
    for event in ("create", "paid", "updated", "cancelled", "fulfilled", "partially_fulfilled", "create_or_update")
)
DELETED, REFUNDED = "orders/delete", "refunds/create"


class ShopifySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of the shop; docs/plugins/shopify.md explains it."""

    secret: Secrets


class Shopify(Connector):
    """An order earns licenses when all of it is paid."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(name, settings)
        self.secrets = secrets_of(settings_of(ShopifySettings, name, settings).secret)

    async def _authenticate(self, delivery: Delivery) -> None:
        check_hmac(delivery.body, [delivery.headers.get("x-shopify-hmac-sha256", "")], self.secrets, "base64")

    def _delivery_id(self, delivery: Delivery) -> str:
        """The id of the webhook, which stays when Shopify tries again."""
        given = delivery.headers.get("x-shopify-webhook-id", "")
        return given if 0 < len(given) <= LONGEST_ID else super()._delivery_id(delivery)

    def _normalise(self, delivery: Delivery) -> tuple[Change, ...]:
        topic = delivery.headers.get("x-shopify-topic", "")
        if topic == DELETED:
            number = required(read(delivery.body, Deleted, "deleted order").id, "The order's id")
            return (Change(kind="cancelled", order_number=number),)
        if topic and topic not in ORDERS and topic != REFUNDED:
            return ()
        wrapped = read(delivery.body, Wrapped, "delivery of Shopify")
        if wrapped.is_other():
            return ()
        if topic == REFUNDED or (not topic and wrapped.is_refund()):
            return read(wrapped.refund or delivery.body, Refund, "refund of Shopify").changes()
        if not topic and not wrapped.is_order():
            raise InvalidRequest("This is neither an order nor a refund of Shopify.")
        return read(wrapped.order or delivery.body, Document, "order of Shopify").changes()
