"""The plugin for Vendure and the connector, with a real shop between them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import vendure_shop
from connector_lab import Walk
from vendor import until
from vendure_shop import SECRET

import licentia_integrations.vendure as module
from licentia.connectors import Change, Outcome
from licentia.errors import Unavailable
from licentia_integrations.vendure import Vendure

pytestmark = pytest.mark.slow

TICKET = "7GJDG-J8HPG-QX2MN-4TRWB-9KVCS"
STATE = """mutation ($id: ID!, $state: String!) {
  transitionOrderToState(id: $id, state: $state) { ... on OrderStateTransitionError { message: transitionError } }
}"""
MODIFY = """mutation ($input: ModifyOrderInput!) { modifyOrder(input: $input) { ... on ErrorResult { message } } }"""
CANCEL = """mutation ($input: CancelOrderInput!) { cancelOrder(input: $input) { ... on ErrorResult { message } } }"""
REFUND = """mutation ($input: RefundOrderInput!) {
  refundOrder(input: $input) { ... on Refund { id state } ... on ErrorResult { message } }
}"""
SETTLE = """mutation ($input: SettleRefundInput!) { settleRefund(input: $input) { ... on ErrorResult { message } } }"""
PAID = """mutation ($id: ID!) { settlePayment(id: $id) { ... on ErrorResult { message } } }"""
NOTE = """mutation ($input: AddNoteToOrderInput!) { addNoteToOrder(input: $input) { id } }"""
KEY = """mutation ($roles: [ID!]!) {
  createApiKey(input: {roleIds: $roles, translations: [{languageCode: en, name: "Licentia"}]}) { apiKey }
}"""


def connect(shop: Any, **settings: Any) -> Vendure:
    """A connector of the shop."""
    api = {"url": shop.admin_url, "user": "superadmin", "password": "superadmin"}
    return Vendure("shop", {"secret": SECRET, "api": api, **settings})


def jobs(shop: Any) -> list[dict[str, Any]]:
    """The jobs of the plugin's queue."""
    text = """{ jobs(options: {filter: {queueName: {eq: "licentia"}}}) { items { state attempts } } }"""
    found: list[dict[str, Any]] = shop.admin(text)["jobs"]["items"]
    return found


@pytest.fixture
async def vendure(shop: Any) -> AsyncIterator[Vendure]:
    """The connector of the shop."""
    connector = connect(shop)
    yield connector
    await connector.close()


async def polled(vendure: Vendure) -> list[Change]:
    """All that polls find from the beginning on."""
    return await Walk(vendure)()


async def told(vendure: Vendure, receiver: Any, code: str, *types: str) -> Change:
    """What an order means, by what the plugin told last; a poll has to find the same."""
    delivery = receiver.wait_for(code, *types)
    await vendure.authenticate(delivery)
    (change,) = vendure.normalise(delivery)
    (found,) = [each for each in await polled(vendure) if each.order_number == code]
    assert msgspec.structs.replace(found, kind=change.kind) == change
    assert (found.kind, change.kind) in {("placed", "placed"), ("placed", "changed"), ("changed", "changed")}
    return change


async def test_an_order_that_is_paid_is_told_and_found(shop: Any, receiver: Any, vendure: Vendure) -> None:
    """The plugin's message and the Admin API mean the same order, with its articles, its buyer and what was chosen."""
    code = shop.buy(("acme-cad", 5), ("acme-doc", 1))
    placed = await told(vendure, receiver, code, "order.placed")
    assert (placed.kind, placed.full_snapshot, placed.test) == ("placed", True, False)
    assert placed.customer is not None
    assert (placed.customer.name, placed.customer.email) == ("Ann Acme", "it@acme.example")
    assert [(line.sku, line.quantity, line.alternatives, line.options) for line in placed.lines] == [
        ("acme-cad", 5, ("201001",), {"domain": "cad.acme.example"}),
        ("acme-doc", 1, (), {"domain": "cad.acme.example"}),
    ]


async def test_a_promise_to_pay_is_no_payment(shop: Any, receiver: Any, vendure: Vendure) -> None:
    """An order whose payment is only authorized means nothing until that is settled."""
    code = shop.buy(("acme-cad", 1), method="card")
    assert [change for change in await polled(vendure) if change.order_number == code] == []
    assert receiver.events(code) == []
    shop.admin(PAID, id=shop.order(code)["payments"][0]["id"])
    assert (await told(vendure, receiver, code, "order.placed")).kind == "placed"


async def test_what_becomes_of_an_order_is_told(shop: Any, receiver: Any, vendure: Vendure) -> None:
    """More pieces, money back, one piece cancelled, and all of it."""
    code = shop.buy(("acme-cad", 5))
    order = shop.order(code)
    line, payment = order["lines"][0]["id"], order["payments"][0]["id"]
    events = ["order.placed"]
    receiver.wait_for(code, *events)

    shop.admin(STATE, id=order["id"], state="Modifying")
    fewer = {"dryRun": False, "orderId": order["id"], "adjustOrderLines": [{"orderLineId": line, "quantity": 3}]}
    shop.admin(MODIFY, input=fewer | {"refunds": [{"paymentId": payment, "amount": 2380}]})
    shop.admin(STATE, id=order["id"], state="PaymentSettled")
    events += ["order.modified"] * 3
    changed = await told(vendure, receiver, code, *events)
    assert (changed.lines[0].line_id, changed.lines[0].quantity) == (line, 3)

    late = {"paymentId": payment, "amount": 100, "reason": "late", "lines": [], "shipping": 0, "adjustment": 100}
    refund = shop.admin(REFUND, input=late)["refundOrder"]
    if refund["state"] != "Settled":
        shop.admin(SETTLE, input={"id": refund["id"], "transactionId": "r-1"})
    events += ["order.refunded"]
    assert (await told(vendure, receiver, code, *events)).lines[0].quantity == 3

    one = {"orderId": order["id"], "lines": [{"orderLineId": line, "quantity": 1}], "reason": "too many"}
    shop.admin(CANCEL, input=one)
    events += ["order.modified"]
    assert (await told(vendure, receiver, code, *events)).lines[0].quantity == 2

    shop.admin(CANCEL, input={"orderId": order["id"], "reason": "all"})
    receiver.wait_for(code, *events, "order.modified", "order.cancelled")
    kinds = {change.kind for change in await polled(vendure) if change.order_number == code}
    assert kinds == {"cancelled"}


async def test_polls_find_each_order_once(shop: Any, monkeypatch: pytest.MonkeyPatch, vendure: Vendure) -> None:
    """Page by page, also those of one second, and a change of one is found again."""
    codes = [shop.buy(("acme-doc", 1)) for _ in range(9)]
    monkeypatch.setattr(module, "PAGE", 3)
    walk = Walk(vendure)
    found = [change.order_number for change in await walk()]
    assert sorted(found) == sorted(set(found))
    assert set(codes) <= set(found)
    shop.admin(CANCEL, input={"orderId": shop.order(codes[4])["id"], "reason": "no"})
    assert [(change.order_number, change.kind) for change in await walk()] == [(codes[4], "cancelled")]


async def test_the_ticket_stands_on_the_order(shop: Any, receiver: Any, vendure: Vendure) -> None:
    """In a field that the buyer sees too; a problem goes when there is a ticket, and nothing is written twice."""
    code = shop.buy(("acme-cad", 1))
    shop.admin(NOTE, input={"id": shop.order(code)["id"], "note": "Call first.", "isPublic": False})
    await vendure.write_back(Outcome(order_number=code, problem="The article is not known."))
    fields = shop.order(code)["customFields"]
    assert fields == {"licentiaTicket": None, "licentiaProblem": "The article is not known."}
    await vendure.write_back(Outcome(order_number=code, ticket=TICKET))
    once = shop.order(code)
    assert once["customFields"] == {"licentiaTicket": TICKET, "licentiaProblem": None}
    await vendure.write_back(Outcome(order_number=code, ticket=TICKET))
    assert shop.order(code) == once
    assert shop.notes(code) == [("Call first.", False)]
    await vendure.write_back(Outcome(order_number="NOBODY", ticket=TICKET))
    receiver.wait_for(code, "order.placed")


async def test_without_the_plugin_notes_tell(folder: Path) -> None:
    """The buyer sees the ticket, only the shop the problem, each once; and a poll finds what nobody told."""
    with vendure_shop.running(folder) as shop:
        vendure = connect(shop)
        code = shop.buy(("acme-cad", 2))
        assert [change.order_number for change in await polled(vendure)] == [code]
        for outcome in (Outcome(order_number=code, problem="No article."), Outcome(order_number=code, ticket=TICKET)):
            await vendure.write_back(outcome)
            await vendure.write_back(outcome)
        await vendure.close()
        assert shop.notes(code) == [("Licentia: No article.", False), (f"License ticket: {TICKET}", True)]


async def test_nothing_is_lost_while_nobody_listens(folder: Path, own_receiver: Any) -> None:
    """The sale goes on; the job is tried again, also by a shop that was killed and started anew, with the same id."""
    told = (own_receiver.url, SECRET)
    own_receiver.status = 503
    with vendure_shop.running(folder, *told) as shop:
        code = shop.buy(("acme-cad", 2))
        assert shop.order(code)["state"] == "PaymentSettled"
        # It rests long enough then not to be killed at work, after which Vendure would leave it alone.
        until(lambda: [job for job in jobs(shop) if job["state"] == "RETRYING" and job["attempts"] >= 5])
    own_receiver.status = 302  # it is no answer either
    with vendure_shop.running(folder, *told):
        tried = len(own_receiver.refused)
        until(lambda: len(own_receiver.refused) > tried)
        assert own_receiver.events(code) == []
        own_receiver.status = 204
        delivery = own_receiver.wait_for(code, "order.placed")
        assert {delivery.headers["webhook-id"]} == set(own_receiver.refused)


async def test_a_key_of_the_shop_does_as_well(shop: Any, receiver: Any) -> None:
    """An API key is shown in its header, and finds and writes as a user does."""
    roles = [
        role["id"]
        for role in shop.admin("{ roles { items { id code } } }")["roles"]["items"]
        if "super" in role["code"]
    ]
    key = shop.admin(KEY, roles=roles)["createApiKey"]["apiKey"]
    vendure = connect(shop, api={"url": shop.admin_url, "password": key})
    code = shop.buy(("acme-cad", 1))
    assert code in [change.order_number for change in await polled(vendure)]
    await vendure.write_back(Outcome(order_number=code, ticket=TICKET))
    assert shop.order(code)["customFields"]["licentiaTicket"] == TICKET
    await vendure.close()


async def test_a_wrong_password_and_a_shop_that_is_down_are_told(shop: Any) -> None:
    """What to do is said, without the password; a session that the shop has forgotten is begun anew."""
    for api, words in (
        ({"url": shop.admin_url, "user": "superadmin", "password": "guessed-it"}, "lets nobody in"),
        ({"url": shop.admin_url, "password": "guessed-it"}, "refuses"),
        ({"url": shop.url, "password": "guessed-it"}, "status 404"),
        ({"url": "http://127.0.0.1:9/admin-api", "password": "guessed-it"}, "cannot be reached"),
    ):
        vendure = connect(shop, api=api)
        with pytest.raises(Unavailable, match=words) as refusal:
            await vendure.poll("")
        assert "guessed-it" not in str(refusal.value) + refusal.value.next_step
        await vendure.close()
