"""The connector of Shopify against its kit and real documents."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import msgspec
import pytest

from licentia.connectors import Delivery
from licentia.crypto.webhooks import signature_text
from licentia.errors import InvalidRequest
from licentia.settings import SettingsError
from licentia.testing import ConnectorContract
from licentia_integrations.shopify import Shopify, ShopifySettings

_SPEC = importlib.util.spec_from_file_location("connector_lab", Path(__file__).with_name("connector_lab.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
lab = sys.modules["connector_lab"] = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(lab)

SECRET = "hush"


def sign(body: bytes) -> dict[str, str]:
    """The header of the shop."""
    return {"X-Shopify-Hmac-Sha256": signature_text(SECRET.encode(), body, "base64")}


@pytest.fixture
def connector() -> Shopify:
    """The connector with the secret of the golden deliveries."""
    return Shopify("shopify", {"secret": ["next", SECRET]})


class TestShopify(ConnectorContract):
    """Each golden delivery, real or ours, means what is written beside it."""

    golden = lab.deliveries("shopify", sign)
    changes = 32

    @pytest.fixture
    def connector(self) -> Shopify:
        """The connector with the secret of the golden deliveries."""
        return Shopify("shopify", {"secret": ["next", SECRET]})


def real(**fields: object) -> dict[str, object]:
    """The real order, with other fields."""
    order = msgspec.json.decode(lab.sample("shopify", "order.json"))["order"]
    return {**order, **fields}


def test_a_real_order_is_placed_when_it_is_paid(connector: Shopify) -> None:
    """Three lines with their articles; bare, as a webhook sends it, or in an object, as the API answers it."""
    order = real(financial_status="paid")
    (change,) = lab.means(connector, order, x_shopify_topic="orders/paid")
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
        header: connector.delivery_id(
            Delivery(body=b"{}", headers={"x-shopify-webhook-id": header}, received_at=lab.AT)
        )
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


@pytest.mark.parametrize("settings", [{}, {"secret": ""}, {"secret": "s", "shop": "x"}])
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
