"""The connector of SAP against SAP's own mock server, with the metadata and an order of a real S/4 system."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from connector_lab import SHARED, Walk
from vendor import PATIENCE

from licentia.connectors import Delivery, Outcome
from licentia.errors import Unavailable
from licentia_integrations.sap import Sap

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[2]
MODULES = CHECKOUT / ".venv-interop" / "node_modules"
REAL = SHARED / "sap"
METADATA = REAL / "API_SALES_ORDER_SRV.edmx"
TICKET = "7GJDG-J8HPG-QX2MN-4TRWB-9KVCS"
EVENT = {
    "specversion": "1.0",
    "type": "sap.s4.beh.salesorder.v1.SalesOrder.Changed.v1",
    "source": "/default/sap.s4.beh/DEVCLNT001",
    "id": "e-1",
    "data": {"SalesOrder": "4000043"},
}


def rows(folder: Path) -> None:
    """The rows of the mock: the real order, its lines, another order, and a text of that one."""
    order = json.loads((REAL / "odata_v2_SalesOrderExpandItems.json").read_bytes())["d"]["results"][0]
    lines = order["to_Item"]["results"]

    def plain(row: dict[str, Any]) -> dict[str, Any]:
        """Without what the mock puts in itself, and the times in the form that it reads."""
        return {
            name: value.replace("+0000)", ")") if isinstance(value, str) else value
            for name, value in row.items()
            if not isinstance(value, dict)
        }

    later = plain(order) | {"SalesOrder": "4000044", "LastChangeDateTime": "/Date(1130168213000)/"}
    others = [plain(line) | {"SalesOrder": "4000044"} for line in lines]
    text = {"SalesOrder": "4000044", "Language": "EN", "LongTextID": "ZLIC", "LongText": "Call before delivery."}
    for name, told in (
        ("A_SalesOrder", [plain(order), later]),
        ("A_SalesOrderItem", [*map(plain, lines), *others]),
        ("A_SalesOrderText", [text]),
    ):
        (folder / f"{name}.json").write_text(json.dumps(told), "utf-8")


@pytest.fixture
def mock(tmp_path: Path) -> Iterator[str]:
    """The address of SAP's mock server."""
    if not METADATA.exists():
        pytest.skip("the shared metadata of API_SALES_ORDER_SRV is not here")
    if shutil.which("node") is None or not (MODULES / "@sap-ux" / "fe-mockserver-core").is_dir():
        pytest.skip("SAP's mock server is not installed: run tests/integrations/sap/setup")
    rows(tmp_path)
    command = ["node", str(HERE / "mock.cjs"), str(METADATA), str(tmp_path)]
    environment = os.environ | {"NODE_PATH": str(MODULES)}
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        yield f"http://127.0.0.1:{port}"
        process.communicate()


@pytest.fixture
async def sap(mock: str) -> AsyncIterator[Sap]:
    """The connector of that system."""
    settings = {
        "secret": "hush",
        "poll_from": "2005-10-01",
        "poll_returns": False,
        "text_id": "ZLIC",
        "api": {"url": mock, "user": "R", "password": "word"},
    }
    connector = Sap("sap", settings)
    yield connector
    await connector.close()


async def text(mock: str, number: str) -> str:
    """The text of an order as the system has it."""
    key = f"SalesOrder='{number}',Language='EN',LongTextID='ZLIC'"
    async with httpx.AsyncClient(timeout=PATIENCE) as client:
        reply = await client.get(f"{mock}/sap/opu/odata/sap/API_SALES_ORDER_SRV/A_SalesOrderText({key})?$format=json")
    return str(reply.json()["d"]["LongText"])


async def test_an_event_ends_as_a_ticket_in_the_order(mock: str, sap: Sap) -> None:
    """Event, fetch, changes, write back, and what the system then shows; the second time nothing is different."""
    event = Delivery(body=json.dumps(EVENT).encode(), received_at=datetime.now(UTC))
    (pointer,) = sap.normalise(event)
    (document,) = await sap.fetch(pointer.pointer or "")
    (order,) = sap.normalise(document)
    assert (order.kind, order.order_number, order.full_snapshot) == ("placed", "4000043", True)
    assert [(line.line_id, line.sku, int(line.quantity)) for line in order.lines] == [
        ("10", "SETVMIN0", 1),
        ("20", "CONFMIN0", 1),
    ]
    for _ in range(2):
        await sap.write_back(Outcome(order_number=order.order_number, ticket=TICKET))
        assert await text(mock, "4000043") == f"Licentia: ticket {TICKET}"


async def test_what_a_person_wrote_stays(mock: str, sap: Sap) -> None:
    """Our lines stand behind theirs, and are replaced by later ones."""
    await sap.write_back(Outcome(order_number="4000044", problem="The article CAD-9 is not known."))
    assert await text(mock, "4000044") == "Call before delivery.\nLicentia: The article CAD-9 is not known."
    await sap.write_back(Outcome(order_number="4000044", ticket=TICKET))
    assert await text(mock, "4000044") == f"Call before delivery.\nLicentia: ticket {TICKET}"


async def test_a_poll_finds_each_order_once(sap: Sap) -> None:
    """The real filter and order are understood; what is found once is not found again from its cursor."""
    walk = Walk(sap)
    assert [(change.order_number, change.version) for change in await walk()] == [
        ("4000043", 1130168212000),
        ("4000044", 1130168213000),
    ]
    assert await walk() == []


async def test_an_order_that_is_gone_is_nothing(sap: Sap) -> None:
    """There is no document behind the pointer then."""
    assert await sap.fetch("SalesOrder/9") == ()


async def test_a_system_that_is_down_is_asked_again() -> None:
    """Its absence is told in words, and is no other error."""
    connector = Sap("sap", {"secret": "x", "text_id": "ZLIC", "api": {"url": "http://127.0.0.1:9", "password": "t"}})
    for asked in (connector.poll(""), connector.fetch("SalesOrder/1"), connector.write_back(Outcome(order_number="1"))):
        with pytest.raises(Unavailable, match="cannot be reached"):
            await asked
    await connector.close()
