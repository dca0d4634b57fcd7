"""Sales of a real Tryton through the whole server: confirmed, amended and returned, and the ticket stands in Tryton."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from vendor import Vendor, until

pytestmark = pytest.mark.slow


class TrytonVendor(Vendor):
    """A vendor with the office of its Tryton."""

    def __init__(self, server: Any, office: Any) -> None:
        super().__init__(server, "tryton")
        self.office = office

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

    def note(self, number: str, word: str) -> str:
        """The only note at a sale with a word in it, once there is one."""

        def found() -> str:
            messages = [each["message"] for each in self.office.notes("sale.sale", number) if word in each["message"]]
            assert len(messages) <= 1
            return "".join(messages)

        return str(until(found))


@pytest.fixture
def vendor_of() -> Iterator[Callable[..., TrytonVendor]]:
    """The vendor of a server, with an office."""
    with ExitStack() as stack:
        yield lambda server, office: stack.enter_context(closing(TrytonVendor(server, office)))


def test_a_sale_ends_as_a_ticket_in_tryton(serve: Any, own_tryton: Any, vendor_of: Any, tmp_path: Path) -> None:
    """By the doorbell alone: amended to eight it keeps its ticket, and two are given back."""
    (folder := tmp_path / "tryton").mkdir()
    with serve() as server:
        _, office, settings = own_tryton(folder, f"{server.url}/connectors/tryton")
        vendor = vendor_of(server, office)
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
        until(vendor.settled)
        assert vendor.note(number, "Ticket: ") == told


def test_tryton_is_told_when_it_is_back(serve: Any, own_tryton: Any, vendor_of: Any, tmp_path: Path) -> None:
    """Why a sale waits stands in it; it is told its ticket later, though Tryton was down when that was made."""
    (folder := tmp_path / "tryton").mkdir()
    with serve() as server:
        tryton, office, settings = own_tryton(folder)
        vendor = vendor_of(server, office)
        vendor.connects(settings, poll_seconds=1)
        number = office.sell({"MAINT": 5})
        assert "MAINT" in vendor.note(number, "Waits: ")
        until(vendor.settled)
        tryton.stop()
        vendor.sells("MAINT")
        vendor.replays()
        ticket = until(lambda: vendor.connection()["to_write_back"] and vendor.order(number)["ticket"])
        tryton.start()
        assert vendor.note(number, "Ticket: ") == f"[licentia tryton] Ticket: {ticket}"
        until(vendor.settled)


def test_what_was_sold_while_licentia_was_down_is_found(
    serve: Any, own_tryton: Any, vendor_of: Any, tmp_path: Path
) -> None:
    """By the poll, as its doorbell rang at nobody; what was told before is not told again."""
    (folder := tmp_path / "tryton").mkdir()
    with serve() as server:
        _, office, settings = own_tryton(folder)
        vendor = vendor_of(server, office)
        vendor.sells("CAD")
        vendor.connects(settings, poll_seconds=1)
        first = office.sell({"CAD": 5})
        told = vendor.note(first, "Ticket: ")
        until(vendor.settled)
    second = office.sell({"CAD": 1})
    with serve() as server:
        vendor = vendor_of(server, office)
        assert vendor.note(second, "Ticket: ").endswith(vendor.order(second)["ticket"])
        until(vendor.settled)
        assert vendor.note(first, "Ticket: ") == told
