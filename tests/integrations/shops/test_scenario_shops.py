"""Orders of stand-ins for WooCommerce and Shopify through the whole server: webhooks, polls, tickets."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import loopback_shop
import msgspec
import shopify_shop
import woocommerce_shop
from vendor import Vendor, until

from licentia.crypto.webhooks import signature_text

SECRET = "hush"


class ShopVendor(Vendor):
    """A vendor with a shop, whose webhooks are signed in a header."""

    def __init__(self, server: Any, name: str, header: str) -> None:
        super().__init__(server, name)
        self.header = header
        self.sells("acme-cad", expires_at="2099-01-01T00:00:00Z", renewal_days=365)

    def take(self, told: object, **headers: str) -> None:
        """Take a webhook of the shop, signed."""
        body = msgspec.json.encode(told)
        signed = {self.header: signature_text(SECRET.encode(), body, "base64")}
        signed |= {name.replace("_", "-"): value for name, value in headers.items()}
        assert self.http.post(f"/connectors/{self.name}", content=body, headers=signed).status_code == 204


def woo_order(number: int, status: str = "processing", **fields: Any) -> dict[str, Any]:
    """An order of five pieces."""
    line = {"id": number * 10, "sku": "acme-cad", "quantity": 5}
    return {"id": number, "status": status, "date_modified_gmt": "2026-01-05T10:00:00", "customer_id": 5,
            "line_items": [line], **fields}  # fmt: skip


def woo_refund(number: int, pieces: int) -> dict[str, Any]:
    """A refund of pieces of an order."""
    meta = [{"key": "_refunded_item_id", "value": str(number * 10)}]
    line = {"id": 999, "sku": "acme-cad", "quantity": -pieces, "meta_data": meta}
    return {"id": number + 5000, "date_created_gmt": "2026-01-05T11:00:00", "line_items": [line]}


def shopify_order(number: int, **fields: Any) -> dict[str, Any]:
    """An order of five pieces."""
    line = {"id": number * 10, "sku": "acme-cad", "quantity": 5}
    return {"id": number, "financial_status": "paid", "updated_at": "2026-01-05T10:00:00Z", "line_items": [line],
            "customer": {"id": 5, "first_name": "Ann", "last_name": "Acme"}, **fields}  # fmt: skip


def test_a_woocommerce_shop_gets_tickets_and_is_followed(serve: Any) -> None:
    """Paid, told again, partly refunded, renewed, one that no webhook told, and cancelled."""
    shop = woocommerce_shop.WooShop()
    with loopback_shop.listening(shop) as address:
        keys = {"url": f"{address}/shop", "consumer_key": "ck_1", "consumer_secret": "cs_1"}
        options = {"poll_seconds": 0, "poll_from": "2025-12-01"}
        with (
            serve(connector={"woocommerce": {"secret": SECRET, **keys, **options}}) as server,
            closing(ShopVendor(server, "woocommerce", "X-WC-Webhook-Signature")) as vendor,
        ):

            def tell(number: int, status: str = "processing", **fields: Any) -> None:
                shop.orders[number] = woo_order(number, status, **fields)
                vendor.take(shop.orders[number], X_WC_Webhook_Topic="order.updated")

            tell(1)
            until(lambda: shop.notes.get(1))
            until(vendor.settled)
            ticket = shop.meta(1)["licentia_ticket"]
            assert vendor.order(1)["ticket"] == ticket

            shop.refunds["orders/1/refunds/5001"] = woo_refund(1, 2)
            noted = shop.orders[1]["meta_data"]
            later = {"date_modified_gmt": "2026-01-05T10:30:00", "refunds": [{"id": 5001}], "meta_data": noted}
            tell(1, "completed", **later)
            until(lambda: vendor.seats(1) == 3)

            before = vendor.order(1)["licenses"][0]["expires_at"]
            shop.subscriptions[880] = 1
            tell(2, meta_data=[{"key": "_subscription_renewal", "value": "880"}])
            until(lambda: vendor.order(1)["licenses"][0]["expires_at"] > before)

            shop.orders[3] = woo_order(3)
            vendor.polls()
            until(lambda: shop.notes.get(3))
            tell(3, "cancelled", date_modified_gmt="2026-01-06T10:00:00")
            until(lambda: vendor.seats(3) == 0)
            until(vendor.settled)

            mailed = {number: [note for note in notes if note["customer_note"]] for number, notes in shop.notes.items()}
            assert {number: len(notes) for number, notes in mailed.items() if notes} == {1: 1, 3: 1}
            assert ticket in mailed[1][0]["note"]


def test_a_shopify_shop_gets_tickets_and_is_followed(serve: Any) -> None:
    """Paid, told again, partly refunded, one that no webhook told, and cancelled."""
    shop = shopify_shop.ShopifyShop()
    with loopback_shop.listening(shop) as address:
        api = {"url": address, "password": shopify_shop.TOKEN}
        options = {"poll_seconds": 0, "poll_from": "2025-12-01", "api": api}
        with (
            serve(connector={"shopify": {"secret": SECRET, **options}}) as server,
            closing(ShopVendor(server, "shopify", "X-Shopify-Hmac-Sha256")) as vendor,
        ):

            def tell(topic: str, told: dict[str, Any], id: str) -> None:
                vendor.take(told, X_Shopify_Topic=topic, X_Shopify_Webhook_Id=id)

            def field(number: int) -> str | None:
                found: str | None = shop.fields.get((f"gid://shopify/Order/{number}/licentia", "ticket"))
                return found

            shop.orders["1"] = shopify_order(1)
            for id in ("a", "b", "b"):
                tell("orders/paid", shop.orders["1"], id)
            until(lambda: field(1))
            assert vendor.order(1)["ticket"] == field(1)
            assert vendor.seats(1) == 5

            line = {"line_item_id": 10, "quantity": 2, "line_item": shop.orders["1"]["line_items"][0]}
            back = {"id": 31, "order_id": 1, "created_at": "2026-01-05T11:00:00Z", "refund_line_items": [line]}
            tell("refunds/create", back, "c")
            until(lambda: vendor.seats(1) == 3)

            changed = {"financial_status": "partially_refunded", "updated_at": "2026-01-05T11:00:00Z"}
            shop.orders["1"] = shopify_order(1, **changed, refunds=[back])
            shop.orders["2"] = shopify_order(2)
            vendor.polls()
            until(lambda: field(2))
            until(vendor.settled)
            assert vendor.seats(1) == 3

            shop.orders["2"] = shopify_order(2, cancelled_at="2026-01-05T12:00:00Z", updated_at="2026-01-05T12:00:00Z")
            tell("orders/cancelled", shop.orders["2"], "d")
            until(lambda: vendor.seats(2) == 0)
            until(vendor.settled)
            assert shop.writes == 2
