"""Shops and payment services, which sign what they send in a way of their own."""

from __future__ import annotations

import json
import time
from typing import Any

import systems_base as base

from licentia.crypto.webhooks import signature_text


class Paddle(base.System):
    """Paddle Billing. The order is a transaction; `sub_` and its number is the subscription."""

    plugin = "paddle"

    def sign(self, body: bytes) -> dict[str, str]:
        stamp = str(int(time.time()))
        signed = signature_text(base.SECRET.encode(), f"{stamp}:".encode() + body, "hex")
        return {"paddle-signature": f"ts={stamp};h1={signed}"}

    def event(self, happened: str, at: int, **data: Any) -> base.Sent:
        """A notification."""
        known = {"event_id": f"evt_{self.fresh()}", "event_type": happened, "occurred_at": base.text(at)}
        return self.json(known | {"data": {"customer_id": "anna", "updated_at": base.text(at)} | data})

    def transaction(
        self, id: str, number: str, lines: base.Lines, at: int, origin: str, buyer: str | None = "anna"
    ) -> base.Sent:
        """A transaction that is paid."""
        items = [{"id": f"{id}{line}", "price_id": line, "quantity": count} for line, count in lines.items()]
        return self.event(
            "transaction.completed", at, id=f"txn_{id}", status="completed", origin=origin, customer_id=buyer,
            subscription_id=f"sub_{number}", details={"line_items": items},
        )  # fmt: skip

    def placed(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        if at > 1:
            return self.subscribed(number, lines, at)
        return self.transaction(number, number, lines, at, "web")

    def nameless(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        return self.transaction(number, number, lines, at, "web", None)

    def subscribed(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        """The subscription as it is; its beginning names the transaction."""
        items = [{"price": {"id": line}, "quantity": count, "status": "active"} for line, count in lines.items()]
        begun = {"transaction_id": f"txn_{number}"} if at <= 1 else {}
        type = "subscription.created" if at <= 1 else "subscription.updated"
        return self.event(type, at, id=f"sub_{number}", status="active", items=items, **begun)

    def cancelled(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        items = [{"price": {"id": line}, "quantity": count} for line, count in lines.items()]
        return self.event("subscription.canceled", at, id=f"sub_{number}", status="canceled", items=items)

    def all_returned(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        return self.adjusted(f"{number}all", number, at)

    def adjusted(self, id: str, transaction: str, at: int) -> base.Sent:
        """All money of a transaction went back."""
        return self.event(
            "adjustment.updated", at, id=f"adj_{id}", action="refund", status="approved", type="full",
            transaction_id=f"txn_{transaction}",
        )  # fmt: skip

    def renewed(self, number: str, id: str, lines: base.Lines, at: int) -> base.Sent:
        return self.transaction(id, number, lines, at, "subscription_recurring")

    def renewal_returned(self, number: str, id: str, lines: base.Lines, at: int) -> base.Sent:
        return self.adjusted(id, id, at)


class Stripe(base.System):
    """Stripe. The order is a subscription; each invoice has the number of its order or renewal."""

    plugin = "stripe"

    def sign(self, body: bytes) -> dict[str, str]:
        stamp = str(int(time.time()))
        signed = signature_text(base.SECRET.encode(), f"{stamp}.".encode() + body, "hex")
        return {"stripe-signature": f"t={stamp},v1={signed}"}

    def event(self, type: str, at: int, **object: Any) -> base.Sent:
        """An event."""
        known = {"id": f"evt_{self.fresh()}", "object": "event", "type": type, "created": base.ms(at) // 1000}
        return self.json(known | {"livemode": not self.test, "data": {"object": {"customer": "anna"} | object}})

    def list(self, lines: base.Lines) -> dict[str, Any]:
        """The lines of a document."""
        return {
            "data": [{"id": f"il_{line}", "quantity": count, "price": {"id": line}} for line, count in lines.items()]
        }

    def invoice(self, id: str, number: str, lines: base.Lines, at: int, reason: str, **more: Any) -> base.Sent:
        """An invoice that is paid."""
        return self.event(
            "invoice.paid", at, id=f"in_{id}", object="invoice", status="paid", billing_reason=reason,
            subscription=f"sub_{number}", lines=self.list(lines), **more,
        )  # fmt: skip

    def placed(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        if at > 1:
            return self.subscribed(number, lines, at)
        return self.invoice(number, number, lines, at, "subscription_create")

    def nameless(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        return self.invoice(number, number, lines, at, "subscription_create", customer=None)

    def subscribed(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        """The subscription as it is."""
        items = self.list(lines)
        return self.event("customer.subscription.updated", at, id=f"sub_{number}", status="active", items=items)

    def cancelled(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        items = self.list(lines)
        return self.event("customer.subscription.deleted", at, id=f"sub_{number}", status="canceled", items=items)

    def all_returned(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        return self.event("charge.refunded", at, id=f"ch_{number}", refunded=True, invoice=f"in_{number}")

    def renewed(self, number: str, id: str, lines: base.Lines, at: int) -> base.Sent:
        return self.invoice(id, number, lines, at, "subscription_cycle")

    def renewal_returned(self, number: str, id: str, lines: base.Lines, at: int) -> base.Sent:
        return self.event("charge.refunded", at, id=f"ch_{id}", refunded=True, invoice=f"in_{id}")


class FastSpring(base.System):
    """FastSpring."""

    plugin = "fastspring"

    def sign(self, body: bytes) -> dict[str, str]:
        return {"x-fs-signature": signature_text(base.SECRET.encode(), body, "base64")}

    def batch(self, *events: dict[str, Any]) -> base.Sent:
        """Several events at once."""
        return self.json({"events": [*events]})

    def event(self, type: str, at: int, **data: Any) -> dict[str, Any]:
        """An event."""
        known = {"id": f"evt{self.fresh()}", "type": type, "live": not self.test, "created": base.ms(at)}
        return known | {"data": {"live": not self.test, "changed": base.ms(at), "account": "anna"} | data}

    def items(self, lines: base.Lines) -> list[dict[str, Any]]:
        """The lines of a document."""
        return [{"product": line, "quantity": count} for line, count in lines.items()]

    def order(self, number: str, lines: base.Lines, at: int, **more: Any) -> dict[str, Any]:
        """An order is paid."""
        return self.event("order.completed", at, id=number, completed=True, items=self.items(lines), **more)

    def placed(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        return self.batch(self.order(number, lines, at))

    def nameless(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        return self.batch(self.order(number, lines, at, account=None))

    def cancelled(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        return self.batch(self.event("order.canceled", at, id=number, items=self.items(lines)))

    def returned(self, number: str, id: str, lines: base.Lines, at: int) -> base.Sent:
        items = self.items(lines)
        return self.batch(self.event("return.created", at, original={"id": number}, items=items, **{"return": id}))

    def renewed(self, number: str, id: str, lines: base.Lines, at: int) -> base.Sent:
        known = {"subscription": f"sub{number}", "initialOrderId": number}
        order = {"id": id, "items": self.items(lines), "live": not self.test, "changed": base.ms(at)}
        return self.batch(self.event("subscription.charge.completed", at, order=order, subscription=known))

    def renewal_returned(self, number: str, id: str, lines: base.Lines, at: int) -> base.Sent:
        return self.returned(id, f"{id}-back", lines, at)


class Shopify(base.System):
    """Shopify."""

    plugin = "shopify"

    def sign(self, body: bytes) -> dict[str, str]:
        signed = signature_text(base.SECRET.encode(), body, "base64")
        return {"x-shopify-hmac-sha256": signed, "x-shopify-webhook-id": self.fresh()}

    def order(self, topic: str, number: str, lines: base.Lines, at: int, **more: Any) -> base.Sent:
        """A webhook of an order."""
        items = [{"id": line, "sku": line, "quantity": count} for line, count in lines.items()]
        known = {"id": number, "financial_status": "paid", "updated_at": base.text(at), "test": self.test}
        return self.json(
            known | {"customer": {"id": "anna"}, "line_items": items} | more, x_shopify_topic=f"orders/{topic}"
        )

    def placed(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        return self.order("updated", number, lines, at)

    def nameless(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        return self.order("updated", number, lines, at, customer=None)

    def cancelled(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        return self.order("cancelled", number, lines, at, cancelled_at=base.text(at))

    def returned(self, number: str, id: str, lines: base.Lines, at: int) -> base.Sent:
        items = [{"line_item_id": line, "quantity": count} for line, count in lines.items()]
        refund = {"id": id, "order_id": number, "created_at": base.text(at), "refund_line_items": items}
        return self.json(refund, x_shopify_topic="refunds/create")

    def all_returned(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        return self.order("updated", number, lines, at, financial_status="refunded")


class WooCommerce(base.System):
    """WooCommerce; a refund is only mentioned, and fetched."""

    plugin = "woocommerce"

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "secret": base.SECRET,
            "url": self.url,
            "consumer_key": "ck_1",
            "consumer_secret": "cs_1",
            "poll_seconds": 0,
        }

    def sign(self, body: bytes) -> dict[str, str]:
        return {"x-wc-webhook-signature": signature_text(base.SECRET.encode(), body, "base64")}

    def order(self, number: str, lines: base.Lines, at: int, status: str, **more: Any) -> base.Sent:
        """A webhook of an order."""
        items = [{"id": f"{number}0{line}", "sku": line, "quantity": count} for line, count in lines.items()]
        known = {"id": int(number), "status": status, "date_modified_gmt": base.text(at)[:-1], "customer_id": 7}
        topic = "order.updated"
        return self.json(known | {"line_items": items} | more, x_wc_webhook_topic=topic)

    def placed(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        return self.order(number, lines, at, "processing" if at <= 1 else "completed")

    def nameless(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        return self.order(number, lines, at, "processing", customer_id=0)

    def cancelled(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        return self.order(number, lines, at, "cancelled")

    def returned(
        self, number: str, id: str, lines: base.Lines, at: int, ordered: base.Lines | None = None
    ) -> base.Sent:
        items = [
            {
                "id": 9,
                "quantity": -count,
                "sku": line,
                "meta_data": [{"key": "_refunded_item_id", "value": f"{number}0{line}"}],
            }
            for line, count in lines.items()
        ]
        place = f"orders/{number}/refunds/{id}"
        self.documents[f".*{place}"] = {"id": int(id), "line_items": items, "date_created_gmt": base.text(at)[:-1]}
        return self.order(number, ordered or lines, at, "completed", refunds=[{"id": int(id)}])

    def all_returned(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        return self.order(number, lines, at, "refunded")

    def renewed(self, number: str, id: str, lines: base.Lines, at: int) -> base.Sent:
        return self.renewing(number, id, lines, at, "processing")

    def renewal_returned(self, number: str, id: str, lines: base.Lines, at: int) -> base.Sent:
        return self.renewing(number, id, lines, at, "refunded")

    def renewing(self, number: str, id: str, lines: base.Lines, at: int, status: str) -> base.Sent:
        """An order that renews the subscription that began with another one."""
        self.documents[f".*subscriptions/7{number}"] = {"parent_id": int(number)}
        noted = [{"key": "_subscription_renewal", "value": f"7{number}"}]
        sent = self.order(id, lines, at, status, meta_data=noted)
        self.documents[f".*orders/{id}"] = json.loads(sent.body)
        return sent
