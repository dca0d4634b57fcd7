"""vendure keeps the contract of connectors, on events of our own and on one that a real shop sent."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import connector_lab as lab
import msgspec
import pytest
import vendure_stand_in

from licentia.connectors import Change, Connector, Delivery, Outcome
from licentia.errors import Unavailable
from licentia.settings import SettingsError
from licentia.testing import ConnectorContract
from licentia_integrations.vendure import Vendure
from licentia_integrations.vendure.settings import VendureSettings

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
AT = datetime.fromtimestamp(1795500000, UTC)
GOLDEN = lab.GOLDEN / "vendure"
Connect = Callable[..., Vendure]


def order(number: int, at: datetime = datetime(2026, 1, 2, 10, tzinfo=UTC), **fields: object) -> dict[str, Any]:
    """An order as the Admin API has it."""
    line = {"id": "70", "quantity": 5, "customFields": {"domain": "cad.acme.example"},
            "productVariant": {"sku": "acme-cad", "customFields": {"licenceItem": "201001"}}}  # fmt: skip
    told = {
        "id": f"{number:05}", "code": f"V{number}", "state": "PaymentSettled",
        "updatedAt": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"), "lines": [line],
        "customer": {"id": "5", "emailAddress": "it@acme.example", "firstName": "Ann", "lastName": "Acme"},
        "payments": [{"method": "invoice", "state": "Settled"}],
    }  # fmt: skip
    return {**told, **fields}


def made(address: str, **settings: object) -> Vendure:
    """A connector of the shop at an address."""
    api = {"url": f"{address}/admin-api", "user": "licentia", "password": "right"}
    known = {"secret": SECRET, "test_methods": ["dummy"], "api": api, "poll_from": date(2025, 12, 1)}
    return Vendure("vendure", {**known, **settings})


@pytest.fixture
def shop() -> Any:
    """A shop with orders, also those of the golden deliveries."""
    codes = {change["order_number"] for path in GOLDEN.glob("*.changes.json") for change in _listed(path)}
    return vendure_stand_in.VendureShop(order(1), *(order(n, code=code) for n, code in enumerate(sorted(codes), 2)))


def _listed(path: Path) -> list[Any]:
    told = json.loads(path.read_bytes())
    return told if isinstance(told, list) else []


@pytest.fixture
async def connect(shop: Any) -> AsyncIterator[Connect]:
    """Makes connectors of the shop."""
    async with lab.connecting(shop, made) as connect:
        yield connect


@pytest.fixture
def linked(connect: Connect) -> Vendure:
    """The connector of the shop."""
    return connect()


class TestVendure(ConnectorContract):
    """Each file of the folder is an event of the shop, signed."""

    golden = GOLDEN
    at = AT

    @pytest.fixture
    def connector(self, linked: Vendure, shop: Any) -> Vendure:
        """The connector with the secret of the deliveries, for a shop that tries things out by `dummy`."""
        self.shop = shop
        return linked

    async def written(self, connector: Connector, order_number: str) -> Any:
        """The order's own fields, and how often any were written."""
        return (self.shop.orders[order_number]["customFields"], self.shop.writes)


@pytest.mark.parametrize("apart", [0, 1, 60_000])
async def test_each_order_is_found_once(linked: Vendure, shop: Any, apart: int) -> None:
    """Page by page, many of one millisecond; what changes later is found again, and nothing else."""
    start = datetime(2026, 1, 2, 10, tzinfo=UTC)
    numbers = range(1, 231)
    shop.orders = {f"V{n}": order(n, start + timedelta(milliseconds=apart * n)) for n in numbers}
    walk = lab.Walk(linked)
    assert sorted(lab.numbers(await walk())) == sorted(shop.orders)
    shop.clock += timedelta(seconds=1)
    shop.orders["V7"] = order(7, shop.clock, state="Cancelled")
    assert [(change.order_number, change.kind) for change in await walk()] == [("V7", "cancelled")]
    cursor = walk.cursor
    assert (await walk(), walk.cursor) == ([], cursor)


async def test_a_session_that_ends_is_begun_anew(linked: Vendure, shop: Any) -> None:
    """The shop forgets who asks; the next request logs in again."""
    answer, known = shop.answer, []

    def forgetful(request: Any) -> Any:
        known.append("login(" in request.json()["query"])
        if len(known) == 5:
            request.headers = {name: value for name, value in request.headers.items() if name != "cookie"}
        return answer(request)

    shop.answer = forgetful
    await lab.Walk(linked)()
    await linked.write_back(Outcome(order_number="V1", ticket="T"))
    assert known.count(True) == 2
    assert shop.orders["V1"]["customFields"]["licentiaTicket"] == "T"


async def test_custom_fields_that_go_are_not_asked_for_again(linked: Vendure, shop: Any) -> None:
    """The shop refuses once, and is asked for its fields anew."""
    assert await lab.Walk(linked)()
    shop.schema = shop.schema.replace("type OrderLineCustomFields { domain: String }", "").replace(
        "customFields: OrderLineCustomFields", "customFields: JSON"
    )
    with pytest.raises(Unavailable, match="refuses"):
        await linked.poll("")
    found = await lab.Walk(linked)()
    assert found[0].lines[0].options == {}


async def test_without_the_interface_nothing_is_asked() -> None:
    """Deliveries alone do; the connector says that it is not connected."""
    connector = Vendure("vendure", {"secret": SECRET})
    assert not connector.connected
    assert (await connector.poll("")).deliveries == ()
    await connector.write_back(Outcome(order_number="V1", ticket="T"))


def test_the_page_has_the_settings() -> None:
    """What can be set is written down, with its default."""
    lab.assert_documented("vendure", VendureSettings)


def test_a_real_order_means_its_changes(shared_data: Path) -> None:
    """The payment method is nothing to go by, unless it is set."""
    recorded = json.loads((shared_data / "orders" / "vendure" / "order.placed.webhook.json").read_bytes())
    delivery = Delivery(body=recorded["body"].encode(), headers=recorded["headers"], received_at=AT)
    wanted = msgspec.json.decode((GOLDEN / "order.placed.webhook.changes.json").read_bytes(), type=tuple[Change, ...])
    connector = Vendure("vendure", {"secret": SECRET})
    assert connector.normalise(delivery) == wanted
    assert connector.delivery_id(delivery) == recorded["headers"]["webhook-id"]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"secret": SECRET, "color": "red"},
        {"secret": SECRET, "api": {"url": "http://shop.example/admin-api", "password": "k"}},
        {"secret": SECRET, "api": {"url": "https://shop.example", "user": "u", "password": "k", "scope": "x"}},
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any]) -> None:
    """With the name of the setting."""
    with pytest.raises(SettingsError, match=r"^\[connector.vendure\]: "):
        Vendure("vendure", settings)
