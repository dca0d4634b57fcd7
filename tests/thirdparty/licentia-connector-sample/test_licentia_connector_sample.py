from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from licentia_connector_sample import Order, Sample

from licentia.testing import ConnectorContract


class TestSample(ConnectorContract):
    golden = Path(__file__).parent / "deliveries"

    @pytest.fixture
    def connector(self):
        order = Order("1001", "acme", {"cad": 5})
        shop = SimpleNamespace(orders={order.number: order}, notes={}, clock=datetime(2026, 1, 1, tzinfo=UTC))
        return Sample("sample", {"secret": "of the shop", "shop": shop})

    async def written(self, connector, order_number):
        return dict(connector.settings["shop"].notes)
