"""The connector of WooCommerce against its kit, real samples, and a shop that answers for its refunds."""

from __future__ import annotations

import html
from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import connector_lab as lab
import msgspec
import pytest
import woocommerce_shop as woo

from licentia.connectors import Change, Connector, Line, Outcome
from licentia.crypto.webhooks import signature_text
from licentia.errors import InvalidRequest, Unauthenticated, Unavailable
from licentia.settings import SettingsError
from licentia.testing import ConnectorContract
from licentia_integrations.woocommerce import WooCommerce
from licentia_integrations.woocommerce.settings import WooCommerceSettings

SECRET = "woocommerce"
TICKET = "7GJDG-J8HPG-QX2MN-4TRWB-9KVCS"
Connect = Callable[..., WooCommerce]
REFUND = {
    "id": 31,
    "date_created_gmt": "2026-01-02T00:00:00",
    "amount": "10.00",
    "line_items": [
        {"id": 77, "product_id": 5, "variation_id": 0, "quantity": -1, "sku": "cad", "total": "-10.00",
         "meta_data": [{"id": 2, "key": "_refunded_item_id", "value": "11"}]},
        {"id": 78, "product_id": 6, "variation_id": 0, "quantity": 0, "sku": "doc", "total": "-1.00",
         "meta_data": [{"id": 3, "key": "_refunded_item_id", "value": "12"}]},
    ],
}  # fmt: skip
POINTER = "orders/901/refunds/31"
RETURNED = Change(
    kind="returned",
    order_number="31",
    version=1767312000000,
    lines=(Line(line_id="11", sku="cad", quantity=1, alternatives=("5",)),),  # type: ignore[arg-type]
    origin="901",
)
PAID = {
    "id": 1, "status": "processing", "date_modified_gmt": "2026-01-01T10:00:00", "customer_id": 5,
    "line_items": [{"id": 11, "sku": "cad", "quantity": 2}], "meta_data": [{"id": 9, "key": "gift", "value": "yes"}],
}  # fmt: skip


def sign(body: bytes) -> dict[str, str]:
    """The header of the shop."""
    return {"X-WC-Webhook-Signature": signature_text(SECRET.encode(), body, "base64")}


def made(address: str, **settings: object) -> WooCommerce:
    """A connector of the shop at an address."""
    keys = {
        "url": f"{address}/shop/",
        "consumer_key": "ck_1",
        "consumer_secret": "cs_1",
        "poll_from": date(2025, 12, 1),
    }
    return WooCommerce("woocommerce", {"secret": ["next", SECRET], **keys, **settings})


@pytest.fixture
def shop() -> Any:
    """A shop with orders, and with the refund of one."""
    shop = woo.WooShop(*({**PAID, "id": number} for number in (1, 727, 901)))
    shop.refunds[POINTER] = REFUND
    return shop


@pytest.fixture
async def connect(shop: Any) -> AsyncIterator[Connect]:
    """Makes connectors of the shop."""
    async with lab.connecting(shop, made) as connect:
        yield connect


@pytest.fixture
def linked(connect: Connect) -> WooCommerce:
    """The connector of the shop."""
    return connect()


class TestWooCommerce(ConnectorContract):
    """Each golden delivery, real or ours, means what is written beside it."""

    golden = lab.deliveries("woocommerce", sign)
    changes = 32

    @pytest.fixture
    def connector(self, linked: WooCommerce, shop: Any) -> WooCommerce:
        """The connector of the shop."""
        self.shop = shop
        return linked

    async def written(self, connector: Connector, order_number: str) -> Any:
        """The order's fields, and its notes."""
        number = int(order_number or 0)
        order = self.shop.orders.get(number)
        return order and (order["date_modified_gmt"], self.shop.meta(number), list(self.shop.notes.get(number, [])))


@pytest.fixture
def connector() -> WooCommerce:
    """A connector that knows only the secret."""
    return WooCommerce("woocommerce", {"secret": SECRET})


async def test_a_delivery_of_a_real_shop_is_authentic(connector: WooCommerce) -> None:
    """The signature that a shop made is accepted, with one bit changed it is not; the body has no order id."""
    vector = msgspec.json.decode(lab.sample("woocommerce", "signed_vector.json"))
    headers = {name.lower(): value for name, value in vector["headers"].items()}
    delivery = lab.delivery(vector["body"].encode(), headers=headers)
    await WooCommerce("w", {"secret": vector["secret"]}).authenticate(delivery)
    with pytest.raises(Unauthenticated):
        await WooCommerce("w", {"secret": vector["secret"] + "!"}).authenticate(delivery)
    with pytest.raises(InvalidRequest, match="id is missing"):
        connector.normalise(delivery)


def test_the_headers_of_a_real_shop_name_an_order(connector: WooCommerce) -> None:
    """The topic that a shop sends lets an order through."""
    headers = msgspec.json.decode(lab.sample("woocommerce", "real_headers.json"))
    body = lab.sample("woocommerce", "order_created.json")
    assert lab.means(connector, body, headers=headers)[0].kind == "placed"


def test_only_a_ping_is_a_handshake(connector: WooCommerce) -> None:
    """What the shop sends when somebody saves the address is answered; the same with a signature is a delivery."""
    ping = lab.delivery(b"webhook_id=12")
    answer = connector.handshake(ping)
    assert answer is not None
    assert answer.status == 200
    assert connector.handshake(msgspec.structs.replace(ping, headers={"x-wc-webhook-signature": "x"})) is None
    assert connector.handshake(msgspec.structs.replace(ping, body=b"webhook_id=12&x=1")) is None


def test_a_refund_returns_lines_of_its_order(connector: WooCommerce) -> None:
    """A refund names lines of the order and how many come back; a line that only gives money back is none."""
    assert lab.means(connector, REFUND, pointer=POINTER) == (RETURNED,)
    assert lab.means(connector, REFUND | {"line_items": []}, pointer=POINTER) == ()
    nameless = [{"id": 77, "quantity": -1}]
    with pytest.raises(InvalidRequest, match="which line"):
        lab.means(connector, REFUND | {"line_items": nameless}, pointer=POINTER)


@pytest.mark.parametrize("quantity", ["NaN", "Infinity", -1e30, "1e-99", 1e13])
def test_odd_quantities_are_refused(connector: WooCommerce, quantity: object) -> None:
    """What no shop sells is not read as a quantity."""
    order = {"id": 1, "status": "completed", "line_items": [{"id": 1, "quantity": quantity}]}
    with pytest.raises(InvalidRequest, match="quantity"):
        lab.means(connector, order)


def test_other_statuses_may_mean_paid() -> None:
    """A shop with a status of its own names it."""
    own = WooCommerce("w", {"secret": "s", "paid_statuses": ["shipped"]})
    order = {"id": 1, "status": "shipped", "line_items": []}
    assert [change.kind for change in lab.means(own, order)] == ["placed"]
    assert lab.means(own, order | {"status": "completed"}) == ()


async def test_a_refund_is_fetched_from_the_shop(linked: WooCommerce) -> None:
    """A pointer leads to the refund with the key of the shop; a refund that is gone is nothing."""
    (fetched,) = await linked.fetch(POINTER)
    assert linked.normalise(fetched) == (RETURNED,)
    assert await linked.fetch("orders/1/refunds/2") == ()
    assert await linked.fetch("../users") == ()


@pytest.mark.parametrize(
    ("other", "words"),
    [({"consumer_secret": "cs_2"}, "status 401: Sorry"), ({"url": "http://127.0.0.1:9/"}, "cannot be reached")],
)
async def test_a_shop_that_does_not_answer_is_told(connect: Connect, other: dict[str, str], words: str) -> None:
    """What is wrong is said, without the key; it is asked again later."""
    connector = connect(**other)
    for call in (connector.fetch(POINTER), connector.poll(""), connector.write_back(Outcome(order_number="1"))):
        with pytest.raises(Unavailable, match=words) as refusal:
            await call
        assert "cs_" not in str(refusal.value) + refusal.value.next_step


async def test_another_page_is_no_shop(shop: Any, connect: Connect) -> None:
    """An address without the API is not taken for a shop that has nothing, or for an order that is gone."""
    connector = connect(url=f"{shop.url}/blog")
    for call in (connector.poll(""), connector.write_back(Outcome(order_number="1", ticket=TICKET))):
        with pytest.raises(Unavailable, match="status 404: No route"):
            await call


@pytest.mark.parametrize(("parent", "origin"), [(727, "727"), (0, "880"), (None, "880")])
async def test_a_renewal_is_of_the_order_that_began_it(
    linked: WooCommerce, connector: WooCommerce, shop: Any, parent: int | None, origin: str
) -> None:
    """The subscription tells that order; where it tells none, or is gone, its own number has to do."""
    renewing = {**PAID, "meta_data": [{"key": "_subscription_renewal", "value": "880"}], "refunds": [{"id": 31}]}
    shop.orders = {1: renewing}
    shop.subscriptions = {} if parent is None else {880: parent}
    pointer, refund = lab.means(linked, renewing)
    assert (pointer.pointer, refund.pointer) == ("orders/1/renewal/880", "orders/1/refunds/31")
    (fetched,) = await linked.fetch(pointer.pointer)
    (renewed,) = linked.normalise(fetched)
    (alone, _) = lab.means(connector, renewing)
    assert alone.origin == "880"
    assert renewed == msgspec.structs.replace(alone, origin=origin)
    shop.orders = {}
    assert await linked.fetch(pointer.pointer) == ()


async def test_real_orders_are_found(linked: WooCommerce, shop: Any) -> None:
    """What a webhook would have sent is found as well, and means the same."""
    order = msgspec.json.decode(lab.sample("woocommerce", "order_get.json"))
    shop.orders = {727: {**order, "date_modified_gmt": "2026-01-01T10:00:00"}}
    assert tuple(await lab.Walk(linked)()) == lab.means(linked, shop.orders[727])


@pytest.mark.parametrize("apart", [0, 1, 60])
async def test_each_order_is_found_once(linked: WooCommerce, shop: Any, apart: int) -> None:
    """Page by page, many of one second, in the trash or not; what changes later is found again, and nothing else."""
    start = datetime(2026, 1, 1, 10, tzinfo=UTC)
    shop.orders = {
        number: woo.moved(PAID, number, start + timedelta(seconds=apart * number), status=status)
        for number, status in enumerate(["processing", "completed", "trash"] * 80, 1)
    }
    walk = lab.Walk(linked)
    found = await walk()
    assert sorted(int(change.order_number) for change in found) == [*range(1, 241)]
    assert {change.kind for change in found} == {"placed", "cancelled"}
    shop.clock += timedelta(seconds=1)
    shop.orders[7] = woo.moved(PAID, 7, shop.clock, status="cancelled")
    assert [(change.order_number, change.kind) for change in await walk()] == [("7", "cancelled")]
    cursor = walk.cursor
    assert (await walk(), walk.cursor) == ([], cursor)


async def test_a_change_while_it_is_paged_hides_no_other(linked: WooCommerce, shop: Any) -> None:
    """An order that leaves the second in which 120 changed moves the others up; all are found all the same."""
    start = datetime(2026, 1, 1, 10, tzinfo=UTC)
    shop.orders = {number: woo.moved(PAID, number, start) for number in range(1, 121)}
    answer, asked = shop.answer, []

    def answering(request: Any) -> Any:
        asked.append(request)
        if len(asked) == 4:
            shop.orders[3]["date_modified_gmt"] = shop.now
        return answer(request)

    shop.answer = answering
    assert set(lab.numbers(await lab.Walk(linked)())) == set(map(str, range(1, 121)))


async def test_the_ticket_is_a_field_and_one_note_to_the_buyer(linked: WooCommerce, shop: Any) -> None:
    """A problem is told to the shop; then the ticket replaces it. Other fields stay, and no mail is sent twice."""
    problem = Outcome(order_number="1", problem="No product is known for 'cad' & \"doc\".")
    for outcome in (
        problem,
        problem,
        Outcome(order_number="1", ticket=TICKET),
        Outcome(order_number="1", ticket=TICKET),
    ):
        await linked.write_back(outcome)
        for note in shop.notes[1]:
            note["note"] = f"<p>{html.escape(html.unescape(note['note']))}</p>"
    assert shop.meta(1) == {"gift": "yes", "licentia_problem": "", "licentia_ticket": TICKET}
    assert [note["customer_note"] for note in shop.notes[1]] == [False, True]
    assert TICKET in shop.notes[1][1]["note"]


async def test_the_buyer_is_told_in_the_words_of_the_shop(shop: Any, connect: Connect) -> None:
    """Or not at all."""
    for number, note in ((1, "Lizenz: {ticket} {x}"), (727, "")):
        await connect(customer_note=note).write_back(Outcome(order_number=str(number), ticket=TICKET))
    assert [note["note"] for note in shop.notes[1]] == [f"Lizenz: {TICKET} {{x}}"]
    assert shop.notes.get(727, []) == []


async def test_an_order_that_is_gone_is_told_nothing(linked: WooCommerce, shop: Any) -> None:
    """It was deleted, or its number is none of this shop."""
    for number in ("4711", "../users/1"):
        await linked.write_back(Outcome(order_number=number, ticket=TICKET))
    assert all(request.method == "GET" and "users" not in request.path for request in shop.requests)


async def test_without_a_key_nothing_is_fetched(connector: WooCommerce) -> None:
    """The refusal says what to set."""
    with pytest.raises(Unavailable) as refusal:
        await connector.fetch(POINTER)
    assert "consumer_key" in refusal.value.next_step


@pytest.mark.parametrize(
    "settings",
    [{}, {"secret": ""}, {"secret": []}, {"secret": "s", "colour": 1}, {"secret": "s", "url": "https://shop.example"},
     {"secret": "s", "url": "ftp://x", "consumer_key": "k", "consumer_secret": "c"},
     {"secret": "s", "url": "http://shop.example", "consumer_key": "k", "consumer_secret": "c"},
     {"secret": "s", "customer_note": "Thank you"}, {"secret": "s", "paid_statuses": []}],
)  # fmt: skip
def test_wrong_settings_are_refused(settings: dict[str, object]) -> None:
    """A connector with a wrong setting does not start."""
    with pytest.raises(SettingsError, match=r"connector\.woocommerce"):
        WooCommerce("woocommerce", settings)


def test_no_value_makes_it_fail() -> None:
    """Each value of each golden delivery may be anything: it is understood or refused, and never a failure."""
    lab.assert_robust(WooCommerce("woocommerce", {"secret": "s"}), TestWooCommerce.golden)


def test_the_page_has_the_settings() -> None:
    """What can be set is written down, with its default."""
    lab.assert_documented("woocommerce", WooCommerceSettings)
