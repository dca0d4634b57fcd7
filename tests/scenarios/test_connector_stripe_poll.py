"""Stripe through the whole server: an event that no webhook brought, found by a poll, and tickets in the metadata."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import loopback_shop as loopback
import msgspec
import pytest
import stripe_account as accounts
from vendor import until

from licentia.contract import BY_NAME, parse
from licentia.crypto.webhooks import signature_text
from licentia.services.identity import OPERATOR

SECRET = "whsec_of_the_endpoint"


class Vendor:
    """The operator of a server to which a Stripe account is connected."""

    def __init__(self, server: Any) -> None:
        self._server = server

    def __call__(self, name: str, /, **members: Any) -> Any:
        """What an operation answers."""
        operation = BY_NAME[name]
        return self._server.run(self._server.application.call(operation, parse(operation, members), OPERATOR))

    def sells(self, sku: str) -> None:
        """Make an article known."""
        self("PutProduct", sku=sku, name=sku, items=[{"product_code": sku, "expires_after_days": 30}])

    def take(self, event: dict[str, Any]) -> None:
        """Take a webhook."""
        body, stamp = msgspec.json.encode(event), str(int(time.time()))
        signed = signature_text(SECRET.encode(), f"{stamp}.".encode() + body, "hex")
        headers = {"stripe-signature": f"t={stamp},v1={signed}"}
        assert httpx.post(f"{self._server.url}/connectors/stripe", content=body, headers=headers).status_code == 204

    def poll(self) -> int:
        """Ask Stripe now; how many documents were found."""
        return int(self("PollConnector", name="stripe").found)

    def seats(self, number: str) -> int:
        """How many seats an order has."""
        found = self("GetOrder", source="stripe", order_number=number)
        return sum(license.quantity for license in found.licenses)

    def waits(self) -> bool:
        """Whether something of the inbox is to be done."""
        return bool(self("ListDeliveries", state="waiting").deliveries)


@pytest.fixture
def account() -> Any:
    """A Stripe account."""
    return accounts.StripeAccount()


@pytest.fixture
def vendor(account: Any, serve: Any) -> Iterator[Vendor]:
    """A server that knows the account, and is asked to poll."""
    with loopback.listening(account) as address:
        known = {"secret": SECRET, "api_key": accounts.KEY, "api_url": address, "poll_seconds": 0}
        with serve(connector={"stripe": known}) as server:
            yield Vendor(server)


def lines(quantity: int, price: str = "price_pro") -> dict[str, Any]:
    """Pieces of an article."""
    return {"data": [{"id": "x", "quantity": quantity, "price": {"id": price}}], "has_more": False}


def test_a_checkout_whose_webhook_was_lost(account: Any, vendor: Vendor) -> None:
    """A poll finds it; seats bought since stay, the ticket is written once, and its webhook changes nothing later."""
    vendor.sells("price_pro")
    subscription = account.put("subscriptions/sub_1", status="active", customer="cus_1", items=lines(2),
                               created=account.now - 600)  # fmt: skip
    checkout = account.put(
        "checkout/sessions/cs_1", object="checkout.session", status="complete", payment_status="paid", customer="cus_1",
        mode="subscription", subscription="sub_1", line_items=lines(2), created=account.now - 660,
    )  # fmt: skip
    lost = account.happen("checkout.session.completed", checkout, account.now - 600)
    subscription["items"] = lines(5)
    vendor.take(account.happen("customer.subscription.updated", subscription, account.now - 300))
    until(lambda: vendor("ListDeliveries", state="parked").deliveries)
    assert account.writes == 0

    assert vendor.poll() == 2
    until(lambda: "licentia_ticket" in subscription["metadata"])
    until(lambda: not vendor.waits())
    order = vendor("GetOrder", source="stripe", order_number="sub_1")
    assert subscription["metadata"] == {"licentia_ticket": order.ticket}
    assert vendor.seats("sub_1") == 5
    assert vendor("ListDeliveries", state="parked").deliveries == []

    vendor.take(lost)
    assert vendor.poll() == 1, "the event of what was written"
    until(lambda: not vendor.waits())
    assert vendor.poll() == 0
    assert (account.writes, vendor.seats("sub_1")) == (1, 5)
    assert len(vendor("ListDeliveries").deliveries) == 3


def test_the_reason_why_an_order_waits_stands_in_stripe(account: Any, vendor: Vendor) -> None:
    """It is written to the invoice, and makes way for the ticket once the article is known."""
    invoice = account.put(
        "invoices/in_1", object="invoice", status="paid", customer="cus_1", lines=lines(3, "price_new")
    )
    account.happen("invoice.paid", invoice)
    assert vendor.poll() == 1
    until(lambda: "price_new" in invoice["metadata"].get("licentia_problem", ""))
    vendor.sells("price_new")
    vendor("ReplayDeliveries", connector="stripe")
    until(lambda: "licentia_ticket" in invoice["metadata"])
    assert invoice["metadata"].keys() == {"licentia_ticket"}
    assert vendor.seats("in_1") == 3
