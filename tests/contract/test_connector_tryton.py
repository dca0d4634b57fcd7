"""tryton keeps the contract of connectors, on documents of our own and on those that a real Tryton answered."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from licentia.connectors import Change, Delivery
from licentia.errors import InvalidRequest, Unavailable
from licentia.settings import SettingsError
from licentia.testing import ConnectorContract
from licentia_integrations.tryton import Tryton

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
KEY = "the application key"
AT = datetime.fromtimestamp(1795500000, UTC)
GOLDEN = Path(__file__).parents[1] / "golden" / "connectors" / "tryton"
MOMENT = {"__class__": "datetime", "year": 2026, "month": 11, "day": 24, "hour": 10}
SALES = [
    {"__name__": "sale.sale", "id": 3, "number": "SO9", "state": "processing", "create_date": MOMENT},
    {
        "__name__": "sale.sale",
        "id": 4,
        "number": "SO10",
        "state": "processing",
        "origin": "sale.sale,3",
        "lines": [{"id": 8, "quantity": -1.0, "product": {"id": 1, "code": "CAD"}}],
    },
]


class Rest(BaseHTTPRequestHandler):
    """As much of Tryton's REST interface as finds these sales by number or key."""

    def do_GET(self) -> None:
        """Answer a search."""
        parts = urlsplit(self.path)
        if self.headers["Authorization"] != f"Bearer {KEY}":
            self.send_error(401)
            return
        if parts.path != "/db/rest/model/sale.sale":
            self.send_error(404)
            return
        query = parse_qs(parts.query)
        [[field, operator, wanted]] = json.loads(base64.urlsafe_b64decode(query["d"][0]))
        assert {"number", "state", "lines.product.code", "party.email"} <= set(query["f"])
        known = [each for each in SALES if (each[field] == wanted if operator == "=" else each[field] in wanted)]
        body = json.dumps(known).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Keep the output of the tests clean."""


@pytest.fixture
def api() -> Iterator[dict[str, str]]:
    """A table `[connector.tryton.api]` that leads to a server with these sales."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Rest)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield {"url": f"http://127.0.0.1:{server.server_port}/db", "password": KEY}
    server.shutdown()
    thread.join()
    server.server_close()


class TestTryton(ConnectorContract):
    """Each file of the folder is a doorbell, or what was fetched for one; all are signed to try them out."""

    golden = GOLDEN
    at = AT

    @pytest.fixture
    def connector(self, api: dict[str, str]) -> Tryton:
        """The connector with the secret of the doorbell, and Tryton behind it."""
        return Tryton("tryton", {"secret": SECRET, "api": api, "revisions": True})


@pytest.mark.parametrize("name", ["sale.rest", "sales_lifecycle.rest", "module_push_webhook"])
def test_a_real_document_means_its_changes(shared_data: Path, name: str) -> None:
    """An amendment, a return with the number of its original sale, and the doorbell of a module."""
    body = (shared_data / "orders" / "tryton" / f"{name}.json").read_bytes()
    if name == "module_push_webhook":
        body = json.loads(body)["body"].encode()
    wanted = msgspec.json.decode((GOLDEN / f"{name}.changes.json").read_bytes(), type=tuple[Change, ...])
    assert Tryton("tryton", {"secret": SECRET}).normalise(Delivery(body=body, received_at=AT)) == wanted


def test_an_amendment_is_a_newer_state_of_the_same_sale(shared_data: Path) -> None:
    """The version has grown, so that the older document is not applied any more."""
    connector = Tryton("tryton", {"secret": SECRET})
    folder = shared_data / "orders" / "tryton"
    bodies = [(folder / f"{name}.json").read_bytes() for name in ("sale.rest", "sales_lifecycle.rest")]
    before, after = (connector.normalise(Delivery(body=body, received_at=AT))[0] for body in bodies)
    assert before.order_number == after.order_number
    assert before.version < after.version


async def test_a_return_is_fetched_with_its_original_sale(api: dict[str, str]) -> None:
    """As it tells only the key of that sale, and not the number."""
    connector = Tryton("tryton", {"secret": SECRET, "api": api})
    (delivery,) = await connector.fetch("sale.sale/SO10")
    changes = {each.kind: each for each in connector.normalise(delivery)}
    assert changes.keys() == {"placed", "returned"}
    assert (changes["returned"].order_number, changes["returned"].origin) == ("SO10", "SO9")


async def test_what_is_gone_is_gone(api: dict[str, str]) -> None:
    """A sale without an answer, and a module that is not installed."""
    connector = Tryton("tryton", {"secret": SECRET, "api": api})
    assert await connector.fetch("sale.sale/SO11") == ()
    assert await connector.fetch("sale.subscription/1") == ()


async def test_what_cannot_be_fetched_is_asked_again_later(api: dict[str, str]) -> None:
    """With a wrong key, and without an interface at all; a pointer of another system is refused."""
    for settings in ({"api": api | {"password": "wrong"}}, {}):
        with pytest.raises(Unavailable) as refusal:
            await Tryton("tryton", {"secret": SECRET, **settings}).fetch("sale.sale/SO9")
        assert "wrong" not in str(refusal.value)
    with pytest.raises(InvalidRequest):
        await Tryton("tryton", {"secret": SECRET, "api": api}).fetch("res.user/admin")


@pytest.mark.parametrize(
    "settings", [{}, {"secret": SECRET, "api": {"url": "http://erp.example", "password": "x"}}, {"secret": 7}]
)
def test_wrong_settings_are_refused(settings: dict[str, Any]) -> None:
    """With the name of the setting; a key goes nowhere unencrypted."""
    with pytest.raises(SettingsError, match=r"^\[connector.tryton\]: "):
        Tryton("tryton", settings)
