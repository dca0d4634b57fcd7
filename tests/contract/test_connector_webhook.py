"""webhook keeps the contract of connectors, and understands what the official libraries sign."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from standardwebhooks.webhooks import Webhook as OfficialWebhook
from svix.webhooks import Webhook as SvixWebhook

from licentia.connectors import Delivery
from licentia.contract.orders import CreateOrder, Customer, OrderLine
from licentia.errors import Unauthenticated
from licentia.settings import SettingsError
from licentia.testing import ConnectorContract
from licentia_integrations.webhook import Webhook

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
OTHER = "whsec_ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="
AT = datetime.fromtimestamp(1795500000, UTC)
GOLDEN = Path(__file__).parents[1] / "golden" / "connectors" / "webhook"


def signed(signature: str) -> dict[str, str]:
    """The headers of a delivery with this signature."""
    return {"webhook-id": "msg_1", "webhook-timestamp": f"{AT.timestamp():.0f}", "webhook-signature": signature}


class TestWebhook(ConnectorContract):
    """Each file of the folder is an order of ours in its envelope, signed."""

    golden = GOLDEN
    at = AT

    @pytest.fixture
    def connector(self) -> Webhook:
        """The connector with the secret of the deliveries, and with the one before it."""
        return Webhook("webhook", {"secret": [OTHER, SECRET]})


@pytest.mark.parametrize("library", [OfficialWebhook, SvixWebhook])
@pytest.mark.parametrize("secret", [SECRET, SECRET.removeprefix("whsec_")])
async def test_what_an_official_library_signs_is_authentic(library: Any, secret: str) -> None:
    """The secret may be written with its prefix or without."""
    body = (GOLDEN / "placed.json").read_text("utf-8")
    signature = library(SECRET).sign("msg_1", AT, body)
    headers = signed(signature)
    delivery = Delivery(body=body.encode(), headers=headers, received_at=AT)
    connector = Webhook("webhook", {"secret": secret})
    await connector.authenticate(delivery)
    assert connector.delivery_id(delivery) == "msg_1"


async def test_an_old_delivery_is_refused() -> None:
    """After the tolerance, which may be set."""
    body = (GOLDEN / "placed.json").read_bytes()
    signature = OfficialWebhook(SECRET).sign("msg_1", AT, body.decode())
    late = Delivery(body=body, headers=signed(signature), received_at=AT + timedelta(seconds=400))
    with pytest.raises(Unauthenticated):
        await Webhook("webhook", {"secret": SECRET}).authenticate(late)
    await Webhook("webhook", {"secret": SECRET, "tolerance_seconds": 500}).authenticate(late)


def test_a_delivery_without_an_id_is_known_by_its_body() -> None:
    """As a file has no headers."""
    connector = Webhook("webhook", {"secret": SECRET})
    ids = {connector.delivery_id(Delivery(body=body, received_at=AT)) for body in (b"1", b"2", b"1")}
    assert len(ids) == 2


def test_what_the_server_takes_is_taken() -> None:
    """The body of `POST /v1/orders`, with all that its contract names, means the same order."""
    buyer = Customer(id="c", name="n", email="e@x.example")
    lines = [OrderLine(line_id="1", sku="cad", quantity=2)]
    body = msgspec.json.encode(CreateOrder(source="erp", order_number="7", customer=buyer, lines=lines))
    change = Webhook("webhook", {"secret": SECRET}).normalise(Delivery(body=body, received_at=AT))[0]
    assert (change.kind, change.order_number) == ("placed", "7")
    assert change.customer is not None
    assert msgspec.structs.astuple(change.customer) == ("c", "n", "e@x.example")
    assert msgspec.structs.astuple(change.lines[0])[:3] == ("1", "cad", 2)


@pytest.mark.parametrize("settings", [{}, {"secret": "whsec_short"}, {"secret": "whpk_AAAA"}, {"secret": "a b"}])
def test_wrong_settings_are_refused(settings: dict[str, Any]) -> None:
    """With the name of the setting, and without the secret."""
    with pytest.raises(SettingsError, match=r"^\[connector.webhook\]: .*`secret`") as refusal:
        Webhook("webhook", settings)
    assert "short" not in str(refusal.value)
