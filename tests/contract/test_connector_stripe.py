"""The connector of Stripe against its kit, Stripe's own library and fixtures, and an API that answers for pointers."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import connector_lab as lab
import loopback_shop as loopback
import pytest
import stripe
import stripe_account as accounts

from licentia.connectors import Connector, Delivery
from licentia.crypto.webhooks import signature_text
from licentia.errors import InvalidRequest, Unauthenticated, Unavailable
from licentia.settings import SettingsError
from licentia.testing import ConnectorContract
from licentia_integrations.stripe import Stripe
from licentia_integrations.stripe.settings import StripeSettings

SECRET = "whsec_of_the_endpoint"
PRICE = {"id": "price_pro", "lookup_key": None, "product": "prod_cad"}
SESSION = {
    "id": "cs_1", "object": "checkout.session", "mode": "payment", "payment_status": "paid", "payment_intent": "pi_1",
    "customer": "cus_1", "customer_details": {"email": "ada@example.com", "name": "Ada"}, "livemode": True,
}  # fmt: skip
LINES = [{"id": f"li_{n}", "quantity": n, "price": PRICE | {"id": f"price_{n}"}} for n in range(1, 13)]


def sign(body: bytes, at: datetime = lab.AT, secret: str = SECRET) -> dict[str, str]:
    """The header of Stripe, with a signature of a secret that is being replaced before the right one."""
    stamp = str(int(at.timestamp()))
    right = signature_text(secret.encode(), f"{stamp}.".encode() + body, "hex")
    return {"Stripe-Signature": f"t={stamp},v1={'0' * 64},v1={right},v0={'1' * 64}"}


def filled() -> Any:
    """An account with what the golden deliveries and the tests name, and an event."""
    account = accounts.StripeAccount()
    account.put("checkout/sessions/cs_1", **SESSION, line_items={"data": LINES}, created=None)
    account.put("invoices/in_2", status="paid", livemode=False, lines={"data": LINES[:1], "has_more": True})
    account.put("invoices/in_3", status="paid", lines={"data": [LINES[0]] * 101})
    account.put("subscriptions/sub_1", status="active", items={"data": LINES[:2]})
    account.put("payment_intents/pi_1")
    account.happen("customer.subscription.updated", account.documents["subscriptions/sub_1"])
    return account


@pytest.fixture
def account() -> Any:
    """The account of a connector."""
    return filled()


@pytest.fixture
def api(account: Any) -> Iterator[str]:
    """The address of its API."""
    with loopback.listening(account) as address:
        yield address


@pytest.fixture
async def linked(api: str) -> AsyncIterator[Stripe]:
    """A connector with a key of the account."""
    made = Stripe("stripe", {"secret": ["next", SECRET], "api_key": accounts.KEY, "api_url": api})
    yield made
    await made.close()


class TestStripe(ConnectorContract):
    """Each golden delivery, real or ours, means what is written beside it."""

    golden = lab.deliveries("stripe", sign)
    at = lab.AT
    changes = 24

    @pytest.fixture
    def connector(self, linked: Stripe, account: Any) -> Stripe:
        """The connector with the secret of the golden deliveries."""
        self.account = account
        return linked

    async def written(self, connector: Connector, order_number: str) -> Any:
        """The metadata of all that the account has."""
        return {path: dict(document["metadata"]) for path, document in self.account.documents.items()}


@pytest.fixture
def connector(linked: Stripe) -> Stripe:
    """A connector with a key of the API."""
    return linked


async def test_stripe_and_we_accept_the_same_header(connector: Stripe) -> None:
    """Stripe's library verifies what we verify, and refuses what we refuse."""
    body, now = lab.sample("stripe", "invoice.paid.json"), datetime.fromtimestamp(int(time.time()), UTC)
    for secret, good in ((SECRET, True), ("whsec_other", False)):
        headers = sign(body, now, secret)
        delivery = Delivery(body=body, headers={"stripe-signature": headers["Stripe-Signature"]}, received_at=now)
        if good:
            assert stripe.Webhook.construct_event(body, headers["Stripe-Signature"], SECRET)["type"] == "invoice.paid"
            await connector.authenticate(delivery)
        else:
            with pytest.raises(stripe.SignatureVerificationError):
                stripe.Webhook.construct_event(body, headers["Stripe-Signature"], SECRET)
            with pytest.raises(Unauthenticated):
                await connector.authenticate(delivery)


async def test_an_old_delivery_is_refused() -> None:
    """The tolerance is a setting, and the time is signed."""
    body = b"{}"
    delivery = Delivery(
        body=body,
        headers={"stripe-signature": sign(body)["Stripe-Signature"]},
        received_at=datetime(2026, 1, 1, 0, 6, tzinfo=UTC),
    )
    with pytest.raises(Unauthenticated, match="300 seconds"):
        await Stripe("s", {"secret": SECRET}).authenticate(delivery)
    await Stripe("s", {"secret": SECRET, "tolerance_seconds": 600}).authenticate(delivery)


async def test_a_checkout_is_fetched_with_all_its_lines(connector: Stripe) -> None:
    """An event points to the checkout; what is fetched is an order of the same number with its lines."""
    event = {"type": "checkout.session.completed", "created": 1, "livemode": True, "data": {"object": SESSION}}
    (pointer,) = lab.means(connector, event)
    (fetched,) = await connector.fetch(pointer.pointer)
    (order,) = connector.normalise(fetched)
    assert (order.kind, order.order_number) == ("placed", pointer.order_number)
    assert order.full_snapshot
    assert [(line.sku, line.quantity) for line in order.lines] == [(f"price_{n}", Decimal(n)) for n in range(1, 13)]
    assert order.version > pointer.version
    assert connector.delivery_id(fetched) != connector.delivery_id(Delivery(body=b"{}", received_at=lab.AT))


@pytest.mark.parametrize(
    ("pointer", "kind", "number", "lines", "test"),
    [("invoices/in_2", "placed", "in_2", 1, True), ("subscriptions/sub_1", "changed", "sub_1", 2, False)],
)
async def test_long_lists_are_fetched(
    connector: Stripe, pointer: str, kind: str, number: str, lines: int, test: bool
) -> None:
    """Where an event shows only the beginning of a list, the whole list is asked for."""
    (fetched,) = await connector.fetch(pointer)
    (change,) = connector.normalise(fetched)
    assert (change.kind, change.order_number, len(change.lines), change.test) == (kind, number, lines, test)


async def test_what_cannot_be_fetched(connector: Stripe, account: Any, api: str) -> None:
    """What is gone, or was never a pointer, is nothing; a wrong or missing key is told; too long a list is refused."""
    assert await connector.fetch("invoices/in_9") == ()
    assert await connector.fetch("../balance") == ()
    stranger = Stripe("s", {"secret": "s", "api_key": "no", "api_url": api})
    with pytest.raises(Unavailable, match="status 401"):
        await stranger.fetch("invoices/in_2")
    await stranger.close()
    with pytest.raises(Unavailable, match="no key"):
        await Stripe("s", {"secret": "s"}).fetch("invoices/in_2")
    account.faults = [loopback.Response("<html>")]
    with pytest.raises(Unavailable, match="none of Stripe's API"):
        await connector.fetch("invoices/in_2")
    (fetched,) = await connector.fetch("invoices/in_3")
    with pytest.raises(InvalidRequest, match="more lines"):
        connector.normalise(fetched)


@pytest.mark.parametrize(
    ("fixture", "place"),
    [
        ("checkout.session", "checkout/sessions/cs_1"),
        ("invoice", "invoices/in_1"),
        ("subscription", "subscriptions/sub_1"),
    ],
)
def test_the_official_fixtures_are_legible(connector: Stripe, fixture: str, place: str) -> None:
    """Documents that Stripe's own description generates are understood: one unpaid, one a draft, one a subscription."""
    found = lab.means(connector, lab.sample("stripe", f"{fixture}.json"), place)
    assert [change.kind for change in found] == (["changed"] if fixture == "subscription" else [])


def test_one_price_is_one_line_through_the_life_of_a_subscription(connector: Stripe) -> None:
    """The checkout, its first invoice and the subscription tell of the same lines of the same order."""
    items = {"data": [{"id": "x", "quantity": 3, "price": PRICE}], "has_more": False}
    session = SESSION | {"mode": "subscription", "subscription": "sub_1", "line_items": items}
    invoice = {"id": "in_1", "status": "paid", "billing_reason": "subscription_create", "subscription": "sub_1"}
    told = [
        ("checkout.session.completed", session),
        ("invoice.paid", invoice | {"lines": items}),
        ("customer.subscription.updated", {"id": "sub_1", "status": "active", "items": items}),
    ]
    changes = [lab.means(connector, {"type": kind, "data": {"object": each}})[0] for kind, each in told]
    assert [change.order_number for change in changes] == ["sub_1"] * 3
    assert changes[0].lines == changes[1].lines == changes[2].lines


def test_what_is_asked_for_late_is_no_newer_state(connector: Stripe) -> None:
    """A checkout, an invoice and an end tell of their own time, however late they are fetched; never of a later one."""
    items = {"data": [{"id": "x", "quantity": 3, "price": PRICE}]}
    session = {**SESSION, "object": "checkout.session", "line_items": items}
    paid = {"id": "in_1", "object": "invoice", "status": "paid", "lines": items}
    ended = {"id": "sub_1", "object": "subscription", "status": "canceled", "items": items}
    now = int(lab.AT.timestamp())
    for document, at in (
        (session | {"created": now - 90}, now - 90),
        (paid | {"created": now - 90, "status_transitions": {"paid_at": now - 30}}, now - 30),
        (paid | {"created": now - 90, "status_transitions": {"paid_at": None}}, now - 90),
        (ended | {"ended_at": now - 50}, now - 50),
        (ended | {"status": "active", "created": now - 50, "ended_at": None}, now),
        (session | {"created": now + 90}, now),
        (session | {"created": -1}, now),
    ):
        (change,) = lab.means(connector, document)
        assert change.version == at * 1000
    (fetched,) = lab.means(connector, session | {"created": now - 90}, "checkout/sessions/cs_1")
    assert fetched.version == (now - 90) * 1000


def test_what_is_sold_once_beside_a_subscription_is_an_order_of_its_own(connector: Stripe) -> None:
    """The checkout and the first invoice tell of the same two orders: no later snapshot takes the extra away."""
    once = {"id": "price_setup", "type": "one_time", "product": "prod_setup"}
    session = SESSION | {
        "mode": "subscription", "subscription": "sub_1", "invoice": "in_1", "payment_intent": None,
        "line_items": {"data": [{"id": "a", "quantity": 3, "price": PRICE | {"type": "recurring"}},
                                {"id": "b", "quantity": 1, "price": once}]},
    }  # fmt: skip
    invoice = {
        "id": "in_1", "status": "paid", "billing_reason": "subscription_create", "subscription": "sub_1",
        "customer": "cus_1", "customer_name": "Ada", "customer_email": "ada@example.com",
        "lines": {"data": [{"id": "c", "quantity": 3, "type": "subscription", "price": PRICE},
                           {"id": "d", "quantity": 1, "type": "invoiceitem", "price": once}]},
    }  # fmt: skip
    told = [
        lab.means(connector, {"type": kind, "data": {"object": each}})
        for kind, each in (("checkout.session.completed", session), ("invoice.paid", invoice))
    ]
    assert told[0] == told[1]
    assert [(change.order_number, [line.sku for line in change.lines]) for change in told[0]] == [
        ("sub_1", ["price_pro"]),
        ("in_1", ["price_setup"]),
    ]


def test_a_subscription_that_is_paid_by_invoice_does_not_begin_before(connector: Stripe) -> None:
    """Stripe calls it active at once; its first paid invoice counts."""
    items = {"data": [{"id": "x", "quantity": 3, "price": PRICE}]}
    data = {"object": {"id": "sub_1", "status": "active", "collection_method": "send_invoice", "items": items}}
    assert lab.means(connector, {"type": "customer.subscription.created", "data": data}) == ()
    (later,) = lab.means(connector, {"type": "customer.subscription.updated", "data": data})
    assert later.kind == "changed"


def test_an_event_is_known_again_by_its_id(connector: Stripe) -> None:
    """The id of the event is that of the delivery; a body without one is known by its hash."""
    ids = [
        connector.delivery_id(Delivery(body=body, received_at=lab.AT)) for body in (b'{"id":"evt_7"}', b'{"id":"x"}')
    ]
    assert ids[0] == "evt_7"
    assert len(ids[1]) == 64


@pytest.mark.parametrize("settings", [{}, {"secret": "s", "api_url": "x"}, {"secret": "s", "tolerance_seconds": 0}])
def test_wrong_settings_are_refused(settings: dict[str, object]) -> None:
    """A connector with a wrong setting does not start."""
    with pytest.raises(SettingsError, match=r"connector\.stripe"):
        Stripe("stripe", settings)


def test_no_value_makes_it_fail() -> None:
    """Each value of each golden delivery may be anything: it is understood or refused, and never a failure."""
    lab.assert_robust(Stripe("stripe", {"secret": "s"}), TestStripe.golden)


def test_the_page_has_the_settings() -> None:
    """What can be set is written down, with its default."""
    lab.assert_documented("stripe", StripeSettings)
