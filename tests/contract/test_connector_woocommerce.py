"""The connector of WooCommerce against its kit, real samples, and a shop that answers for its refunds."""

from __future__ import annotations

import base64
import http.server
import importlib.util
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from licentia.connectors import Change, Delivery, Line
from licentia.crypto.webhooks import signature_text
from licentia.errors import InvalidRequest, Unauthenticated, Unavailable
from licentia.settings import SettingsError
from licentia.testing import ConnectorContract
from licentia_integrations.woocommerce import WooCommerce
from licentia_integrations.woocommerce.settings import WooCommerceSettings

_SPEC = importlib.util.spec_from_file_location("connector_lab", Path(__file__).with_name("connector_lab.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
lab = sys.modules["connector_lab"] = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(lab)

SECRET = "woocommerce"
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


def sign(body: bytes) -> dict[str, str]:
    """The header of the shop."""
    return {"X-WC-Webhook-Signature": signature_text(SECRET.encode(), body, "base64")}


class Shop(http.server.BaseHTTPRequestHandler):
    """Answers for one refund, for who has the key."""

    def do_GET(self) -> None:
        allowed = self.headers["authorization"] == "Basic " + base64.b64encode(b"ck_1:cs_1").decode()
        known = self.path == f"/shop/wp-json/wc/v3/{POINTER}"
        body = msgspec.json.encode(REFUND)
        self.send_response(401 if not allowed else 200 if known else 404)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def shop() -> Iterator[str]:
    """The address of a shop."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/shop/"
        server.shutdown()
        thread.join()


class TestWooCommerce(ConnectorContract):
    """Each golden delivery, real or ours, means what is written beside it."""

    golden = lab.deliveries("woocommerce", sign)
    changes = 32

    @pytest.fixture
    def connector(self, shop: str) -> WooCommerce:
        """The connector of the shop."""
        keys = {"url": shop, "consumer_key": "ck_1", "consumer_secret": "cs_1"}
        return WooCommerce("woocommerce", {"secret": ["next", SECRET], **keys})


@pytest.fixture
def connector() -> WooCommerce:
    """A connector that knows only the secret."""
    return WooCommerce("woocommerce", {"secret": SECRET})


async def test_a_delivery_of_a_real_shop_is_authentic(connector: WooCommerce) -> None:
    """The signature that a shop made is accepted, with one bit changed it is not; the body has no order id."""
    vector = msgspec.json.decode(lab.sample("woocommerce", "signed_vector.json"))
    headers = {name.lower(): value for name, value in vector["headers"].items()}
    delivery = Delivery(body=vector["body"].encode(), headers=headers, received_at=lab.AT)
    await WooCommerce("w", {"secret": vector["secret"]}).authenticate(delivery)
    with pytest.raises(Unauthenticated):
        await WooCommerce("w", {"secret": vector["secret"] + "!"}).authenticate(delivery)
    with pytest.raises(InvalidRequest, match="id is missing"):
        connector.normalise(delivery)


def test_the_headers_of_a_real_shop_name_an_order(connector: WooCommerce) -> None:
    """The topic that a shop sends lets an order through."""
    headers = msgspec.json.decode(lab.sample("woocommerce", "real_headers.json"))
    body = lab.sample("woocommerce", "order_created.json")
    assert connector.normalise(Delivery(body=body, headers=headers, received_at=lab.AT))[0].kind == "placed"


def test_only_a_ping_is_a_handshake(connector: WooCommerce) -> None:
    """What the shop sends when somebody saves the address is answered; the same with a signature is a delivery."""
    ping = Delivery(body=b"webhook_id=12", received_at=lab.AT)
    answer = connector.handshake(ping)
    assert answer is not None
    assert answer.status == 200
    assert connector.handshake(msgspec.structs.replace(ping, headers={"x-wc-webhook-signature": "x"})) is None
    assert connector.handshake(msgspec.structs.replace(ping, body=b"webhook_id=12&x=1")) is None


def test_a_refund_returns_lines_of_its_order(connector: WooCommerce) -> None:
    """A refund names lines of the order and how many come back; a line that only gives money back is none."""
    assert lab.means(connector, REFUND, POINTER) == (RETURNED,)
    assert lab.means(connector, REFUND | {"line_items": []}, POINTER) == ()
    nameless = [{"id": 77, "quantity": -1}]
    with pytest.raises(InvalidRequest, match="which line"):
        lab.means(connector, REFUND | {"line_items": nameless}, POINTER)


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


async def test_a_refund_is_fetched_from_the_shop(shop: str) -> None:
    """A pointer leads to the refund with the key of the shop; a refund that is gone is nothing."""
    keys = {"url": shop, "consumer_key": "ck_1", "consumer_secret": "cs_1"}
    connector = WooCommerce("w", {"secret": "s", **keys})
    (fetched,) = await connector.fetch(POINTER)
    assert connector.normalise(fetched) == (RETURNED,)
    assert await connector.fetch("orders/1/refunds/2") == ()
    assert await connector.fetch("../users") == ()
    with pytest.raises(Unavailable, match="status 401"):
        await WooCommerce("w", {"secret": "s", **keys, "consumer_secret": "cs_2"}).fetch(POINTER)
    with pytest.raises(Unavailable, match="cannot be reached"):
        await WooCommerce("w", {"secret": "s", **keys, "url": "http://127.0.0.1:1/"}).fetch(POINTER)


async def test_without_a_key_nothing_is_fetched(connector: WooCommerce) -> None:
    """The refusal says what to set."""
    with pytest.raises(Unavailable) as refusal:
        await connector.fetch(POINTER)
    assert "consumer_key" in refusal.value.next_step


@pytest.mark.parametrize(
    "settings",
    [{}, {"secret": ""}, {"secret": []}, {"secret": "s", "colour": 1}, {"secret": "s", "url": "https://shop.example"},
     {"secret": "s", "url": "ftp://x", "consumer_key": "k", "consumer_secret": "c"},
     {"secret": "s", "paid_statuses": []}],
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
