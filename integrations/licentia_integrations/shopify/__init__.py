"""shopify: the webhooks of a Shopify shop, and its orders and refunds by the Admin API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from licentia.connectors import Change, Connector, Delivery, Fetching, Outcome, Page, Polling, WriteBack
from licentia.crypto.webhooks import check_hmac
from licentia.errors import InvalidRequest
from licentia_integrations.changed import cursor_of, positions
from licentia_integrations.incoming import LONGEST_ID, secrets_of, settings_of
from licentia_integrations.remote import needed
from licentia_integrations.shopify.admin import Admin
from licentia_integrations.shopify.documents import Deleted, Document, Refund, Wrapped
from licentia_integrations.shopify.nodes import OrderNode, Ref
from licentia_integrations.shopify.orders import LISTED, Orders
from licentia_integrations.shopify.settings import ShopifySettings
from licentia_integrations.shops import read, required

ORDERS = frozenset(
    f"orders/{event}"
    for event in ("create", "paid", "updated", "cancelled", "fulfilled", "partially_fulfilled", "create_or_update")
)
DELETED, REFUNDED = "orders/delete", "refunds/create"
PAGE = 100
"""Orders of one poll."""


class Shopify(Connector, Fetching, Polling, WriteBack):
    """An order earns licenses when all of it is paid."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(name, settings)
        self.known = settings_of(ShopifySettings, name, settings)
        self.secrets = secrets_of(self.known.secret)
        self.connected = self.known.api is not None
        self._admin = Admin(self.known.api, self.known.api_version) if self.known.api else None
        self._orders = Orders(self._admin) if self._admin else None

    async def close(self) -> None:
        """Give up the connections to the shop."""
        if self._admin is not None:
            await self._admin.close()

    async def _authenticate(self, delivery: Delivery) -> None:
        check_hmac(delivery.body, [delivery.headers.get("x-shopify-hmac-sha256", "")], self.secrets, "base64")

    def _delivery_id(self, delivery: Delivery) -> str:
        """The id of the webhook, which stays when Shopify tries again."""
        given = delivery.headers.get("x-shopify-webhook-id", "")
        return given if 0 < len(given) <= LONGEST_ID else super()._delivery_id(delivery)

    def _normalise(self, delivery: Delivery) -> tuple[Change, ...]:
        if delivery.pointer == LISTED:
            listed = read(delivery.body, Ref, "change of Shopify")
            number = required(listed.legacy_resource_id, "The order's number")
            return (Change(kind="pointer", pointer=f"orders/{number}"),)
        if delivery.pointer:
            return read(delivery.body, OrderNode, "order of Shopify").changes()
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

    async def _fetch(self, pointer: str) -> tuple[Delivery, ...]:
        needed(self.known.api)
        found = await self._orders.one(pointer) if self._orders else None
        return (found,) if found else ()

    async def _poll(self, cursor: str) -> Page:
        if self._orders is None:
            return Page(deliveries=(), cursor=cursor)
        known = positions(cursor, (LISTED,), self.known.poll_from)
        found = await known[LISTED].walk(self._orders.changed, PAGE, PAGE)
        return Page(deliveries=tuple(found), cursor=cursor_of(known))

    async def _write_back(self, outcome: Outcome) -> None:
        if self._orders is not None:
            await self._orders.write(outcome)
