"""Stripe through the whole server: an event that no webhook brought, found by a poll, and tickets in the metadata."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import loopback_shop as loopback
import msgspec
import pytest
import stripe_account as accounts
from vendor import Vendor, until

from licentia.crypto.webhooks import signature_text

SECRET = "whsec_of_the_endpoint"


class StripeVendor(Vendor):
    """The vendor, whose orders come from a Stripe account."""

    def take(self, event: dict[str, Any]) -> None:
        """Take a webhook, signed."""
        body, stamp = msgspec.json.encode(event), str(int(time.time()))
        signed = signature_text(SECRET.encode(), f"{stamp}.".encode() + body, "hex")
        headers = {"stripe-signature": f"t={stamp},v1={signed}"}
        assert self.http.post("/connectors/stripe", content=body, headers=headers).status_code == 204

    def states(self) -> list[str]:
        """What became of the deliveries."""
        return [each["state"] for each in self.deliveries()]


@pytest.fixture
def account() -> Any:
    """A Stripe account."""
    return accounts.StripeAccount()


@pytest.fixture
def vendor(account: Any, serve: Any) -> Iterator[StripeVendor]:
    """A server that knows the account, and is asked to poll."""
    with loopback.listening(account) as address:
        known = {"secret": SECRET, "api_key": accounts.KEY, "api_url": address, "poll_seconds": 0}
        with serve(connector={"stripe": known}) as server, closing(StripeVendor(server, "stripe")) as vendor:
            yield vendor


def lines(quantity: int, price: str = "price_pro") -> dict[str, Any]:
    """Pieces of an article."""
    return {"data": [{"id": "x", "quantity": quantity, "price": {"id": price}}], "has_more": False}


def test_a_checkout_whose_webhook_was_lost(account: Any, vendor: StripeVendor) -> None:
    """A poll finds it; seats bought since stay, the ticket is written once, and its webhook changes nothing later."""
    vendor.sells("price_pro", expires_after_days=30)
    subscription = account.put("subscriptions/sub_1", status="active", customer="cus_1", items=lines(2),
                               created=account.now - 600)  # fmt: skip
    checkout = account.put(
        "checkout/sessions/cs_1", object="checkout.session", status="complete", payment_status="paid", customer="cus_1",
        mode="subscription", subscription="sub_1", line_items=lines(2), created=account.now - 660,
    )  # fmt: skip
    lost = account.happen("checkout.session.completed", checkout, account.now - 600)
    subscription["items"] = lines(5)
    vendor.take(account.happen("customer.subscription.updated", subscription, account.now - 300))
    until(lambda: "parked" in vendor.states())
    assert account.writes == 0

    assert vendor.polls()["found"] == 2
    until(lambda: "licentia_ticket" in subscription["metadata"])
    until(vendor.settled)
    assert subscription["metadata"] == {"licentia_ticket": vendor.order("sub_1")["ticket"]}
    assert vendor.seats("sub_1") == 5
    assert "parked" not in vendor.states()

    vendor.take(lost)
    assert vendor.polls()["found"] == 1, "the event of what was written"
    until(vendor.settled)
    assert vendor.polls()["found"] == 0
    assert (account.writes, vendor.seats("sub_1")) == (1, 5)
    assert len(vendor.states()) == 3


def test_the_reason_why_an_order_waits_stands_in_stripe(account: Any, vendor: StripeVendor) -> None:
    """It is written to the invoice, and makes way for the ticket once the article is known."""
    invoice = account.put(
        "invoices/in_1", object="invoice", status="paid", customer="cus_1", lines=lines(3, "price_new")
    )
    account.happen("invoice.paid", invoice)
    assert vendor.polls()["found"] == 1
    until(lambda: "price_new" in invoice["metadata"].get("licentia_problem", ""))
    vendor.sells("price_new", expires_after_days=30)
    vendor.replays()
    until(lambda: "licentia_ticket" in invoice["metadata"])
    assert invoice["metadata"].keys() == {"licentia_ticket"}
    assert vendor.seats("in_1") == 3
