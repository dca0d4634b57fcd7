"""The connector of Paddle against its kit, real signatures and real entities."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import connector_lab as lab
import loopback_shop as loopback
import msgspec
import paddle_account as paddle
import pytest

from licentia.connectors import Connector, Delivery
from licentia.crypto.webhooks import signature_text
from licentia.errors import InvalidRequest, Unauthenticated
from licentia.settings import SettingsError
from licentia.testing import ConnectorContract
from licentia_integrations.paddle import Paddle
from licentia_integrations.paddle.settings import PaddleSettings

SECRET = "pdl_ntfset_of_the_tests"
REAL_SECRET = "pdl_ntfset_01hs0t3tw21j988db1pam5xg8m_GrOWLNef+vmtjJYq4mSnHNzvc8uWoJ1I"
REAL_SIGNATURE = "ts=1710498758;h1=558bf93944dbeb4790c7a8af6cb2ea435c8ca9c8396aafc1a4e37424ac132744"


def sign(body: bytes) -> dict[str, str]:
    """The header of Paddle, while a secret is being replaced."""
    stamp = str(int(lab.AT.timestamp()))
    right = signature_text(SECRET.encode(), f"{stamp}:".encode() + body, "hex")
    return {"Paddle-Signature": f"ts={stamp};h1={'0' * 64};h1={right}"}


def notification(name: str, entity: bytes) -> bytes:
    """The notification of an event, around a sample that is only the entity."""
    if name.startswith("signed"):
        return entity
    told = {"event_id": f"evt_{name}", "event_type": name, "occurred_at": "2026-01-01T00:00:00Z"}
    return msgspec.json.encode({**told, "data": msgspec.Raw(entity)})


class TestPaddle(ConnectorContract):
    """Each golden delivery, real or ours, means what is written beside it."""

    golden = lab.deliveries("paddle", sign, notification)
    at = lab.AT
    changes = 24

    @pytest.fixture
    async def connector(self) -> AsyncIterator[Paddle]:
        """The connector with the secret of the golden deliveries, of an account with something to find."""
        self.account = paddle.PaddleAccount()
        self.account.happens("transaction.completed", paddle.transaction("1"))
        with loopback.listening(self.account) as address:
            api = {"api_key": paddle.KEY, "api_url": address}
            connector = Paddle("paddle", {"secret": ["next", SECRET], **api})
            yield connector
            await connector.close()

    async def written(self, connector: Connector, order_number: str) -> Any:
        """What stands in the account, and how often something was written."""
        return self.account.entities, self.account.writes


@pytest.fixture
def connector() -> Paddle:
    """The connector with the secret of the real signature."""
    return Paddle("paddle", {"secret": REAL_SECRET})


@pytest.mark.parametrize(
    ("seconds", "secret", "more"), [(0, "", b""), (300, "", b""), (301, "", b""), (0, "x", b""), (0, "", b" ")]
)
async def test_a_real_signature_holds(seconds: int, secret: str, more: bytes) -> None:
    """What Paddle signed is authentic for five minutes, with its secret, and unchanged."""
    body = lab.sample("paddle", "signed_standard_payload.json").strip() + more
    delivery = Delivery(
        body=body,
        headers={"paddle-signature": REAL_SIGNATURE},
        received_at=datetime.fromtimestamp(1710498758 + seconds, UTC),
    )
    connector = Paddle("paddle", {"secret": ["another", REAL_SECRET + secret]})
    if seconds <= 300 and not secret and not more:
        await connector.authenticate(delivery)
        assert connector.normalise(delivery) == ()
        assert connector.delivery_id(delivery) == "evt_01hs0tqfme2xwb2hvwv87p8y3w"
    else:
        with pytest.raises(Unauthenticated):
            await connector.authenticate(delivery)


def test_a_real_subscription_begins_with_its_transaction(connector: Paddle) -> None:
    """The transaction names the subscription, and the subscription's beginning the transaction."""
    entities = [
        (name, lab.sample("paddle", f"{name}.json")) for name in ("transaction.completed", "subscription.created")
    ]
    placed, begun = (lab.means(connector, notification(name, entity))[0] for name, entity in entities)
    assert (placed.origin, begun.origin) == (begun.order_number, placed.order_number)


def test_a_real_adjustment_counts_once_it_is_approved(connector: Paddle) -> None:
    """Refunds wait for Paddle's approval; then the lines are named, without a quantity."""
    entity = msgspec.json.decode(lab.sample("paddle", "adjustment.updated.json"))
    assert lab.means(connector, notification("adjustment.updated", msgspec.json.encode(entity))) == ()
    (change,) = lab.means(
        connector, notification("adjustment.updated", msgspec.json.encode(entity | {"status": "approved"}))
    )
    assert (change.kind, change.origin, change.version) == ("returned", "txn_01hvcc93znj3mpqt1tenkjb04y", 1713171250646)
    assert [(line.line_id, line.quantity) for line in change.lines] == [("txnitm_01hvcc94b7qgz60qmrqmbm19zw", 0)]


def test_the_sandbox_is_for_tests() -> None:
    """Paddle does not mark what is a test; the setting does."""
    sandbox = Paddle("paddle", {"secret": "s", "sandbox": True})
    data = {"id": "txn_1", "status": "completed", "items": [{"quantity": 1, "price": {"id": "pri_1"}}]}
    (change,) = lab.means(sandbox, {"event_type": "transaction.completed", "data": data})
    assert change.test
    assert change.version == 0


@pytest.mark.parametrize("change", [{"id": None}, {"items": [{"quantity": 1}]}, {"items": [{"price": {"id": "p"}}]}])
def test_what_lacks_its_essentials_is_refused(connector: Paddle, change: dict[str, object]) -> None:
    """A transaction without an id, a line without an article, or without a quantity."""
    data = {"id": "txn_1", "status": "completed", "items": []} | change
    with pytest.raises(InvalidRequest):
        lab.means(connector, {"event_type": "transaction.completed", "data": data})


@pytest.mark.parametrize("settings", [{}, {"secret": "s", "sandbox": "no"}, {"secret": "s", "tolerance_seconds": 0}])
def test_wrong_settings_are_refused(settings: dict[str, object]) -> None:
    """A connector with a wrong setting does not start."""
    with pytest.raises(SettingsError, match=r"connector\.paddle"):
        Paddle("paddle", settings)


def test_no_value_makes_it_fail() -> None:
    """Each value of each golden delivery may be anything: it is understood or refused, and never a failure."""
    lab.assert_robust(Paddle("paddle", {"secret": "s"}), TestPaddle.golden)


def test_the_page_has_the_settings() -> None:
    """What can be set is written down, with its default."""
    lab.assert_documented("paddle", PaddleSettings)
