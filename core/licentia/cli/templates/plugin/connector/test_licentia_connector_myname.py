"""The kit of connectors, over the files in deliveries/; tests of your own may follow in the same class."""

from pathlib import Path

import pytest
from licentia_connector_myname import MyNamePlugin

from licentia.testing import ConnectorContract


class TestMyName(ConnectorContract):
    """Each file of the folder is a delivery that the shop really sent."""

    golden = Path(__file__).parent / "deliveries"

    @pytest.fixture
    def connector(self) -> MyNamePlugin:
        """The connector with the secret that the golden deliveries are signed with."""
        return MyNamePlugin("myname", {"secret": "the secret of the shop"})
