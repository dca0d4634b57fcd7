"""Sales of a real Tryton through the whole server: confirmed, amended and returned, and the ticket stands in Tryton."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.slow
SECONDS = 60


def until(true: Callable[[], Any]) -> Any:
    """What this says as soon as it says something."""
    deadline = time.monotonic() + SECONDS
    while not (said := true()):
        assert time.monotonic() < deadline, f"it did not happen within {SECONDS} seconds"
        time.sleep(0.1)
    return said


class Vendor:
    """A vendor with a Licentia server, and the office of its Tryton."""

    def __init__(self, server: Any, office: Any) -> None:
        self.server, self.office = server, office

    def asks(self, method: str, path: str, scope: str = "admin", **body: Any) -> Any:
        """An operation of the server."""
        headers, url = self.server.headers(scope), self.server.url + path
        reply = httpx.request(method, url, json=body or None, headers=headers, timeout=30)
        assert reply.is_success, reply.text
        return reply.json() if reply.content else None

    def sells(self, sku: str) -> None:
        """A product of one item."""
        self.asks("PUT", f"/v1/products/{sku}", name=sku, items=[{"product_code": sku}])

    def connects(self, settings: dict[str, Any], poll_seconds: int) -> None:
        """The connection to Tryton is added while the server runs."""
        given = {
            "secret": settings["secret"],
            "api.url": settings["api"]["url"],
            "api.password": settings["api"]["password"],
            "revisions": "true",
            "poll_seconds": str(poll_seconds),
        }
        named = [{"name": name, "value": value} for name, value in given.items()]
        self.asks("PUT", "/v1/connectors/tryton", settings=named)

    def connection(self) -> Any:
        """The connection, with what waits in it."""
        (connection,) = self.asks("GET", "/v1/connectors")["connectors"]
        return connection

    def order(self, number: str) -> Any:
        """The order as the server has it."""
        return self.asks("GET", f"/v1/orders/tryton/{number}", "sales")

    def quantity(self, number: str) -> int:
        """How many are left of the only line."""
        (line,) = self.order(number)["lines"]
        return int(line["quantity"])

    def note(self, number: str, word: str) -> str:
        """The only note at a sale with a word in it, once there is one."""

        def found() -> str:
            messages = [each["message"] for each in self.office.notes("sale.sale", number) if word in each["message"]]
            assert len(messages) <= 1
            return "".join(messages)

        return str(until(found))


def test_a_sale_ends_as_a_ticket_in_tryton(serve: Any, own_tryton: Any, tmp_path: Path) -> None:
    """By the doorbell alone: amended to eight it keeps its ticket, and two are given back."""
    (folder := tmp_path / "tryton").mkdir()
    with serve() as server:
        _, office, settings = own_tryton(folder, f"{server.url}/connectors/tryton")
        vendor = Vendor(server, office)
        vendor.sells("CAD")
        vendor.connects(settings, poll_seconds=0)
        number = office.sell({"CAD": 5})
        told = vendor.note(number, "Ticket: ")
        assert told == f"[licentia tryton] Ticket: {vendor.order(number)['ticket']}"
        assert vendor.quantity(number) == 5
        office.amend(number, "CAD", 8)
        until(lambda: vendor.quantity(number) == 8)
        office.give_back(number, "CAD", 2)
        until(lambda: vendor.quantity(number) == 6)
        assert vendor.note(number, "Ticket: ") == told


def test_tryton_is_told_when_it_is_back(serve: Any, own_tryton: Any, tmp_path: Path) -> None:
    """Why a sale waits stands in it; it is told its ticket later, though Tryton was down when that was made."""
    (folder := tmp_path / "tryton").mkdir()
    with serve() as server:
        tryton, office, settings = own_tryton(folder)
        vendor = Vendor(server, office)
        vendor.connects(settings, poll_seconds=1)
        number = office.sell({"MAINT": 5})
        assert "MAINT" in vendor.note(number, "Waits: ")
        tryton.stop()
        vendor.sells("MAINT")
        vendor.asks("POST", "/v1/replay", connector="tryton")
        ticket = until(lambda: vendor.connection()["to_write_back"] and vendor.order(number)["ticket"])
        tryton.start()
        assert vendor.note(number, "Ticket: ") == f"[licentia tryton] Ticket: {ticket}"
        until(lambda: vendor.connection()["to_write_back"] == 0)


def test_what_was_sold_while_licentia_was_down_is_found(serve: Any, own_tryton: Any, tmp_path: Path) -> None:
    """By the poll, as its doorbell rang at nobody; what was told before is not told again."""
    (folder := tmp_path / "tryton").mkdir()
    with serve() as server:
        _, office, settings = own_tryton(folder)
        vendor = Vendor(server, office)
        vendor.sells("CAD")
        vendor.connects(settings, poll_seconds=1)
        first = office.sell({"CAD": 5})
        told = vendor.note(first, "Ticket: ")
    second = office.sell({"CAD": 1})
    with serve() as server:
        vendor = Vendor(server, office)
        assert vendor.note(second, "Ticket: ").endswith(vendor.order(second)["ticket"])
        assert vendor.note(first, "Ticket: ") == told
        assert vendor.connection()["waiting"] == 0
