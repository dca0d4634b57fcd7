"""The connector of Shopify against its kit and real documents."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import date, datetime, timedelta
from typing import Any

import connector_lab as lab
import msgspec
import pytest
import shopify_shop

from licentia.connectors import Change, Connector, Outcome
from licentia.crypto.webhooks import signature_text
from licentia.errors import InvalidRequest, Unavailable
from licentia.settings import SettingsError
from licentia.testing import ConnectorContract
from licentia_integrations.shopify import Shopify
from licentia_integrations.shopify.settings import ShopifySettings

SECRET = "hush"
TICKET = "7GJDG-J8HPG-QX2MN-4TRWB-9KVCS"
Connect = Callable[..., Shopify]


def sign(body: bytes) -> dict[str, str]:
    """The header of the shop."""
    return {"X-Shopify-Hmac-Sha256": signature_text(SECRET.encode(), body, "base64")}


@pytest.fixture
def connector() -> Shopify:
    """The connector with the secret of the golden deliveries."""
    return Shopify("shopify", {"secret": ["next", SECRET]})


def order(number: int, **fields: object) -> dict[str, Any]:
    """An order as a webhook sends it, with a line that came back."""
    first = {"id": 11, "sku": "cad", "quantity": 5, "product_id": 7, "variant_id": 8, "variant_title": "floating",
             "properties": [{"name": "Domain", "value": "cad.acme.example"}]}  # fmt: skip
    second = {"id": 12, "sku": "doc", "quantity": 1, "product_id": 9, "variant_id": None, "properties": []}
    told = {
        "id": number, "financial_status": "paid", "updated_at": "2026-01-02T10:00:00Z", "cancelled_at": None,
        "test": False, "email": "it@acme.example", "line_items": [first, second],
        "customer": {"id": 5, "first_name": "Ann", "last_name": "Acme"},
        "billing_address": {"name": "Ann Acme", "company": "Acme"},
    }  # fmt: skip
    return {**told, **fields}


def refund(number: int, **fields: object) -> dict[str, Any]:
    """A refund of two pieces of the first line of order 1."""
    line = {"line_item_id": 11, "quantity": 2, "line_item": order(1)["line_items"][0]}
    told = {"id": number, "order_id": 1, "created_at": "2026-01-03T10:00:00Z", "refund_line_items": [line],
            "transactions": [{"status": "success", "test": False}]}  # fmt: skip
    return {**told, **fields}


def made(address: str, **settings: object) -> Shopify:
    """A connector of the shop at an address."""
    api = {"url": address, "password": shopify_shop.TOKEN}
    return Shopify("shopify", {"secret": ["next", SECRET], "api": api, "poll_from": date(2025, 12, 1), **settings})


@pytest.fixture
def shop() -> Any:
    """A shop with an order."""
    return shopify_shop.ShopifyShop(order(1))


@pytest.fixture
async def connect(shop: Any) -> AsyncIterator[Connect]:
    """Makes connectors of the shop."""
    async with lab.connecting(shop, made) as connect:
        yield connect


@pytest.fixture
def linked(connect: Connect) -> Shopify:
    """The connector of the shop."""
    return connect()


class TestShopify(ConnectorContract):
    """Each golden delivery, real or ours, means what is written beside it."""

    golden = lab.deliveries("shopify", sign)
    changes = 32

    @pytest.fixture
    def connector(self, linked: Shopify, shop: Any) -> Shopify:
        """The connector with the secret of the golden deliveries."""
        self.shop = shop
        return linked

    async def written(self, connector: Connector, order_number: str) -> Any:
        """All metafields, and how often any were written."""
        return (dict(self.shop.fields), self.shop.writes)


async def found(linked: Shopify) -> list[Change]:
    """All that polls find from the beginning on, fetched."""
    return await lab.fetched(linked, await lab.Walk(linked)())


@pytest.mark.parametrize(
    "fields",
    [{}, {"financial_status": "pending"}, {"financial_status": "refunded"}, {"financial_status": "voided"},
     {"cancelled_at": "2026-01-02T11:00:00Z"}, {"test": True}, {"customer": None}, {"billing_address": None},
     {"customer": None, "email": None}],
    ids=str,
)  # fmt: skip
async def test_a_poll_and_a_webhook_mean_the_same(linked: Shopify, shop: Any, fields: dict[str, Any]) -> None:
    """An order by GraphQL is understood as that of the webhook."""
    shop.orders = {"1": order(1, **fields)}
    told = lab.means(linked, order(1, **fields), headers={"x-shopify-topic": "orders/updated"})
    assert tuple(await found(linked)) == told


async def test_refunds_are_found_with_their_order(linked: Shopify, shop: Any) -> None:
    """Each as its webhook tells it; of one whose payments failed, or that gave only money back, nothing is returned."""
    refunds = [
        refund(31),
        refund(32, transactions=[{"status": "failure", "test": False}]),
        refund(33, refund_line_items=[]),
    ]
    shop.orders = {"1": order(1, financial_status="partially_refunded", refunds=refunds)}
    placed, returned = await found(linked)
    assert (placed.kind, returned.kind, returned.origin) == ("placed", "returned", "1")
    assert (returned,) == lab.means(linked, refund(31), headers={"x-shopify-topic": "refunds/create"})


async def test_the_real_order_is_found(linked: Shopify, shop: Any) -> None:
    """The documented example means the same by a poll."""
    document = real(financial_status="paid", updated_at="2026-01-02T10:00:00-05:00")
    shop.orders = {"450789469": document}
    assert tuple(await found(linked)) == lab.means(linked, document)


async def test_a_long_order_is_fetched_page_by_page(linked: Shopify, shop: Any) -> None:
    """All of 250 lines, and of a refund of each."""
    lines = [{**order(1)["line_items"][1], "id": number} for number in range(100, 350)]
    back = [{"line_item_id": each["id"], "quantity": 1, "line_item": each} for each in lines]
    shop.orders = {"1": order(1, line_items=lines, refunds=[refund(31, refund_line_items=back)])}
    placed, returned = await found(linked)
    assert len(placed.lines) == len(returned.lines) == 250


@pytest.mark.parametrize("apart", [0, 1, 60])
async def test_each_order_is_found_once(linked: Shopify, shop: Any, apart: int) -> None:
    """Page by page, many of one second; what changes later is found again, and nothing else."""
    start = datetime.fromisoformat("2026-01-02T10:00:00Z")

    def moved(number: int, at: datetime, **fields: object) -> dict[str, Any]:
        return order(number, updated_at=at.strftime("%Y-%m-%dT%H:%M:%SZ"), **fields)

    shop.orders = {str(n): moved(n, start + timedelta(seconds=apart * n), line_items=[]) for n in range(1, 231)}
    walk = lab.Walk(linked)
    pointers = [change.pointer for change in await walk()]
    assert sorted(pointers) == sorted(f"orders/{number}" for number in range(1, 231))
    shop.clock += timedelta(seconds=1)
    shop.orders["7"] = moved(7, shop.clock, cancelled_at="2026-01-05T10:00:01Z")
    changes = await lab.fetched(linked, await walk())
    assert [(change.order_number, change.kind) for change in changes] == [("7", "cancelled")]
    cursor = walk.cursor
    assert (await walk(), walk.cursor) == ([], cursor)


async def test_the_ticket_is_a_metafield(linked: Shopify, shop: Any) -> None:
    """A problem is written and goes when there is a ticket; other fields stay, and nothing is written twice."""
    mine, other = "gid://shopify/Order/1/licentia", ("gid://shopify/Order/1/custom", "gift")
    shop.fields[other] = "yes"
    for _ in range(2):
        await linked.write_back(Outcome(order_number="1", problem="No product is known for 'cad'."))
    assert shop.fields == {other: "yes", (mine, "problem"): "No product is known for 'cad'."}
    assert shop.writes == 1
    for _ in range(2):
        await linked.write_back(Outcome(order_number="1", ticket=TICKET))
    assert shop.fields == {other: "yes", (mine, "ticket"): TICKET}
    assert shop.writes == 3


async def test_an_order_that_is_gone_is_nothing(linked: Shopify, shop: Any) -> None:
    """It is neither fetched nor told."""
    assert await linked.fetch("orders/4711") == ()
    assert await linked.fetch("../users") == ()
    for number in ("4711", "../users"):
        await linked.write_back(Outcome(order_number=number, ticket=TICKET))
    assert shop.writes == 0


async def test_a_client_of_the_shop_gets_its_token(shop: Any, connect: Connect) -> None:
    """An app of the developer dashboard has an id and a secret; its token is asked for once."""
    token = {"user": "id", "password": "cs", "token_url": f"{shop.url}/admin/oauth/access_token"}
    changes = await found(connect(api={"url": shop.url, **token}))
    assert [change.order_number for change in changes] == ["1"]
    assert [request.path for request in shop.requests].count("/admin/oauth/access_token") == 1


async def test_a_shop_that_refuses_is_told(shop: Any, connect: Connect) -> None:
    """What is wrong is said, without the token; a limit passes."""
    for api, words in (
        ({"url": shop.url, "password": "shpat_2"}, "status 401"),
        ({"url": f"{shop.url}/blog", "password": "shpat_2"}, "status 404"),
        ({"url": "http://127.0.0.1:9", "password": "shpat_2"}, "cannot be reached"),
    ):
        connector = connect(api=api)
        for call in (
            connector.poll(""),
            connector.fetch("orders/1"),
            connector.write_back(Outcome(order_number="1")),
        ):
            with pytest.raises(Unavailable, match=words) as refusal:
                await call
            assert "shpat" not in str(refusal.value) + refusal.value.next_step
    shop.throttled = 1
    connector = connect()
    with pytest.raises(Unavailable, match="too much") as refusal:
        await connector.poll("")
    assert (await connector.poll("")).deliveries


async def test_without_the_interface_nothing_is_asked(connector: Shopify) -> None:
    """Webhooks alone do; the connector says that it is not connected."""
    assert not connector.connected
    with pytest.raises(Unavailable) as refusal:
        await connector.fetch("orders/1")
    assert "`api`" in refusal.value.next_step


def real(**fields: object) -> dict[str, object]:
    """The real order, with other fields."""
    order = msgspec.json.decode(lab.sample("shopify", "order.json"))["order"]
    return {**order, **fields}


def test_a_real_order_is_placed_when_it_is_paid(connector: Shopify) -> None:
    """Three lines with their articles; bare, as a webhook sends it, or in an object, as the API answers it."""
    order = real(financial_status="paid")
    (change,) = lab.means(connector, order, headers={"x-shopify-topic": "orders/paid"})
    assert (change.kind, change.order_number, change.version) == ("placed", "450789469", 1199980800000)
    assert [(line.line_id, line.sku, line.quantity) for line in change.lines] == [
        ("466157049", "IPOD2008GREEN", 1),
        ("518995019", "IPOD2008RED", 1),
        ("703073504", "IPOD2008BLACK", 1),
    ]
    assert change.lines[0].options == {"variant": "green", "Custom Engraving": "Happy Birthday"}
    assert change.customer is not None
    assert (change.customer.id, change.customer.name) == ("207119551", "Bob Norman")
    assert lab.means(connector, {"order": order}) == (change,)
    assert lab.means(connector, order) == (change,)


def test_a_refund_names_lines_of_the_real_order(connector: Shopify) -> None:
    """Order and refund fit together by the ids of their lines."""
    (order,) = lab.means(connector, real(financial_status="partially_refunded"))
    (refund,) = lab.means(connector, lab.sample("shopify", "refund.json"))
    assert refund.origin == order.order_number
    assert {line.line_id for line in refund.lines} < {line.line_id for line in order.lines}


def test_a_guest_is_known_by_mail(connector: Shopify) -> None:
    """Without a customer the address of the order is the id."""
    (change,) = lab.means(connector, real(financial_status="paid", customer=None))
    assert change.customer is not None
    assert change.customer.id == "bob.norman@hostmail.com"


def test_a_delivery_is_known_again_by_the_id_of_the_webhook(connector: Shopify) -> None:
    """Shopify keeps the id when it tries again; without one, or with an absurd one, the body tells."""
    ids = {
        header: connector.delivery_id(lab.delivery({}, headers={"x-shopify-webhook-id": header}))
        for header in ("b54557e4", "", "x" * 201)
    }
    assert ids["b54557e4"] == "b54557e4"
    assert ids[""] == ids["x" * 201] != ""


@pytest.mark.parametrize("missing", ["id", "order_id"])
def test_a_refund_of_nothing_is_refused(connector: Shopify, missing: str) -> None:
    """A refund without its number, or that of its order, is of no use."""
    refund = msgspec.json.decode(lab.sample("shopify", "refund.json"))["refund"]
    with pytest.raises(InvalidRequest, match="missing"):
        lab.means(connector, refund | {missing: None})


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"secret": ""},
        {"secret": "s", "shop": "x"},
        {"secret": "s", "api_version": "new"},
        {"secret": "s", "api": {"url": "http://acme.example", "password": "t"}},
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, object]) -> None:
    """A connector with a wrong setting does not start."""
    with pytest.raises(SettingsError, match=r"connector\.shopify"):
        Shopify("shopify", settings)


def test_no_value_makes_it_fail() -> None:
    """Each value of each golden delivery may be anything: it is understood or refused, and never a failure."""
    lab.assert_robust(Shopify("shopify", {"secret": "s"}), TestShopify.golden)


def test_the_page_has_the_settings() -> None:
    """What can be set is written down, with its default."""
    lab.assert_documented("shopify", ShopifySettings)
