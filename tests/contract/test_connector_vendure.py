"""vendure keeps the contract of connectors, on events of our own and on one that a real shop sent."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from licentia.connectors import Change, Delivery
from licentia.settings import SettingsError
from licentia.testing import ConnectorContract
from licentia_integrations.vendure import Vendure

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
AT = datetime.fromtimestamp(1795500000, UTC)
GOLDEN = Path(__file__).parents[1] / "golden" / "connectors" / "vendure"


class TestVendure(ConnectorContract):
    """Each file of the folder is an event of the shop, signed."""

    golden = GOLDEN
    at = AT

    @pytest.fixture
    def connector(self) -> Vendure:
        """The connector with the secret of the deliveries, for a shop that tries things out by `dummy`."""
        return Vendure("vendure", {"secret": SECRET, "test_methods": ["dummy"]})


def test_a_real_order_means_its_changes(shared_data: Path) -> None:
    """The payment method is nothing to go by, unless it is set."""
    recorded = json.loads((shared_data / "orders" / "vendure" / "order.placed.webhook.json").read_bytes())
    delivery = Delivery(body=recorded["body"].encode(), headers=recorded["headers"], received_at=AT)
    wanted = msgspec.json.decode((GOLDEN / "order.placed.webhook.changes.json").read_bytes(), type=tuple[Change, ...])
    connector = Vendure("vendure", {"secret": SECRET})
    assert connector.normalise(delivery) == wanted
    assert connector.delivery_id(delivery) == recorded["headers"]["webhook-id"]


@pytest.mark.parametrize("settings", [{}, {"secret": SECRET, "color": "red"}])
def test_wrong_settings_are_refused(settings: dict[str, Any]) -> None:
    """With the name of the setting."""
    with pytest.raises(SettingsError, match=r"^\[connector.vendure\]: "):
        Vendure("vendure", settings)
