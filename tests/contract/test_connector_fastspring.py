"""The connector of FastSpring against its kit and a real order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import connector_lab as lab
import fastspring_store as fastspring
import loopback_shop as loopback
import msgspec
import pytest

from licentia.connectors import Connector, Delivery
from licentia.crypto.webhooks import signature_text
from licentia.errors import InvalidRequest
from licentia.settings import SettingsError
from licentia.testing import ConnectorContract
from licentia_integrations.fastspring import FastSpring
from licentia_integrations.fastspring.settings import FastSpringSettings

SECRET = "of the store"


def sign(body: bytes) -> dict[str, str]:
    """The header of FastSpring."""
    return {"X-FS-Signature": signature_text(SECRET.encode(), body, "base64")}


class TestFastSpring(ConnectorContract):
    """Each golden delivery, real or ours, means what is written beside it."""

    golden = lab.deliveries("fastspring", sign)
    changes = 32

    @pytest.fixture
    async def connector(self) -> AsyncIterator[FastSpring]:
        """The connector with the secret of the golden deliveries, of a store with something to find."""
        self.store = fastspring.FastSpringStore()
        self.store.happens("found", "order.completed", fastspring.order("ord1"))
        self.store.orders["ord1"] = fastspring.order("ord1", tags={"campaign": "spring"})
        with loopback.listening(self.store) as address:
            api = {"api_url": address, "api_user": "user", "api_password": "password"}
            connector = FastSpring("fastspring", {"secret": ["next", SECRET], **api})
            yield connector
            await connector.close()

    async def written(self, connector: Connector, order_number: str) -> Any:
        """The tags of the orders, and how often some were written."""
        return {id: order.get("tags") for id, order in self.store.orders.items()}, self.store.writes


@pytest.fixture
def connector() -> FastSpring:
    """The connector with one secret."""
    return FastSpring("fastspring", {"secret": SECRET})


def identity(connector: FastSpring, document: object) -> str:
    """The id of a delivery."""
    return connector.delivery_id(Delivery(body=msgspec.json.encode(document), received_at=lab.AT))


def test_a_batch_is_known_again_by_its_events(connector: FastSpring) -> None:
    """One event gives its own id, several one together, in their order; without ids the body tells."""
    one, two, nameless = {"id": "e1", "type": "x"}, {"id": "e2", "type": "x"}, {"type": "x"}
    assert (
        identity(connector, {"events": [one]}) == identity(connector, {"events": [one | {"processed": True}]}) == "e1"
    )
    both = identity(connector, {"events": [one, two]})
    assert both == identity(connector, {"events": [one | {"processed": True}, two]})
    assert (
        len({both, identity(connector, {"events": [two, one]}), identity(connector, {"events": [one, nameless]})}) == 3
    )


def test_a_real_order_that_a_person_sends_again_is_the_same_order(connector: FastSpring) -> None:
    """A manual retry has a new event and means what the first one did."""
    batch = msgspec.json.decode(lab.sample("fastspring", "order.completed.json"))
    again = {"events": [batch["events"][0] | {"id": "evtB"}]}
    assert identity(connector, batch) != identity(connector, again)
    assert lab.means(connector, batch) == lab.means(connector, again)


@pytest.mark.parametrize(
    ("type", "data"),
    [
        ("order.completed", {"items": []}),
        ("order.completed", {"id": "1", "items": [{"quantity": 1}]}),
        ("order.completed", {"id": "1", "items": [{"product": "cad"}]}),
        ("order.completed", {"id": "1", "items": [{"product": "cad", "quantity": -1}]}),
        ("return.created", {"return": "1", "items": []}),
        ("return.created", {"return": None, "original": {"id": "1"}}),
        ("return.created", {"return": "1", "original": {}}),
        ("subscription.charge.completed", {"order": "1"}),
        ("subscription.updated", {"id": "1", "active": True}),
    ],
)
def test_what_lacks_its_essentials_is_refused(connector: FastSpring, type: str, data: dict[str, object]) -> None:
    """A number that is missing is not made up."""
    with pytest.raises(InvalidRequest):
        lab.means(connector, {"events": [{"id": "e", "type": type, "data": data}]})


def test_a_charge_that_failed_renews_nothing(connector: FastSpring) -> None:
    """Only a successful charge counts."""
    data = {"order": "1", "subscription": "s", "status": "failed"}
    assert lab.means(connector, {"events": [{"type": "subscription.charge.completed", "data": data}]}) == ()


@pytest.mark.parametrize("settings", [{}, {"secret": ""}, {"secret": "s", "store": "x"}])
def test_wrong_settings_are_refused(settings: dict[str, object]) -> None:
    """A connector with a wrong setting does not start."""
    with pytest.raises(SettingsError, match=r"connector\.fastspring"):
        FastSpring("fastspring", settings)


def test_no_value_makes_it_fail() -> None:
    """Each value of each golden delivery may be anything: it is understood or refused, and never a failure."""
    lab.assert_robust(FastSpring("fastspring", {"secret": "s"}), TestFastSpring.golden)


def test_the_page_has_the_settings() -> None:
    """What can be set is written down, with its default."""
    lab.assert_documented("fastspring", FastSpringSettings)
