"""Orders of an S/4HANA through the whole server over HTTP: event, fetch, ticket, write back, and the poll."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest
import sap_gateway
from vendor import Vendor, until

SECRET = {"Authorization": "Bearer what the webhook of Event Mesh shows"}
DAY = 1767225600000
"""The first of January 2026, in milliseconds."""


class SapVendor(Vendor):
    """A vendor with an S/4HANA."""

    def __init__(self, s4: Any, server: Any) -> None:
        super().__init__(server, "sap")
        self.s4 = s4
        self.events = 0
        self.sells("CAD")

    def tells(self, number: str, verb: str = "Changed", id: str = "") -> httpx.Response:
        """Event Mesh tells that something happened to a sales order."""
        self.events += 1
        event = {
            "specversion": "1.0",
            "type": f"sap.s4.beh.salesorder.v1.SalesOrder.{verb}.v1",
            "source": "/default/sap.s4.beh/DEVCLNT001",
            "id": id or f"e-{self.events}",
            "data": {"SalesOrder": number},
        }
        return self.http.post("/connectors/sap", json=event, headers=SECRET)

    def text(self, number: str) -> str:
        """What salespeople see in the order."""
        return str(self.s4.texts.get((number, "EN", "ZLIC"), ""))


@pytest.fixture
def vendor(serve: Any) -> Iterator[SapVendor]:
    """The vendor, with no orders yet."""
    with sap_gateway.running() as s4:
        s4.now = DAY + 10_000
        api = {"url": s4.url, "user": "R", "password": "word"}
        known = {"secret": SECRET["Authorization"][7:], "poll_from": "2026-01-01", "text_id": "ZLIC", "api": api}
        with serve(connector={"sap": known | {"poll_seconds": 0}}) as server, closing(SapVendor(s4, server)) as made:
            yield made


def test_an_event_ends_as_a_ticket_in_the_order(vendor: SapVendor) -> None:
    """The broker asks first; the ticket stands in the order; the event again, and a change, keep that ticket."""
    asked = vendor.http.options("/connectors/sap", headers={"WebHook-Request-Origin": "eventmesh.example.com"})
    assert asked.status_code == 200
    assert asked.headers["WebHook-Allowed-Origin"] == "eventmesh.example.com"
    assert vendor.http.post("/connectors/sap", json={}).status_code == 401
    vendor.s4.add("4800", DAY)
    assert vendor.tells("4800", "Created", id="same").status_code == 204
    until(lambda: vendor.text("4800").startswith("Licentia: ticket "))
    ticket = vendor.text("4800")
    assert vendor.tells("4800", "Created", id="same").status_code == 204
    vendor.s4.add("4800", DAY + 1)
    vendor.s4.documents["SalesOrder"]["4800"]["to_Item"]["results"][0]["RequestedQuantity"] = "8"
    vendor.tells("4800")
    until(lambda: vendor.quantity("4800") == 8)
    until(vendor.settled)
    assert vendor.text("4800") == ticket
    assert vendor.s4.writes == 1


def test_why_an_order_waits_stands_in_it_until_it_does_not(vendor: SapVendor) -> None:
    """An article that nobody knows is told to salespeople; when it is known, the ticket takes its place."""
    vendor.s4.texts[("4801", "EN", "ZLIC")] = "Call before delivery."
    vendor.s4.add("4801", DAY)
    vendor.s4.documents["SalesOrder"]["4801"]["to_Item"]["results"][0]["Material"] = "CAM"
    vendor.tells("4801")
    until(lambda: "Licentia: " in vendor.text("4801"))
    assert "CAM" in vendor.text("4801")
    vendor.sells("CAM")
    vendor.replays()
    until(lambda: "Licentia: ticket " in vendor.text("4801"))
    first, own = vendor.text("4801").split("\n")
    assert first == "Call before delivery."
    assert own.startswith("Licentia: ticket ")


def test_what_no_event_told_is_found_by_the_poll(vendor: SapVendor) -> None:
    """An order whose event was lost, and a return, which take from and add to the same books as events do."""
    vendor.s4.add("4802", DAY)
    vendor.polls()
    until(lambda: vendor.text("4802").startswith("Licentia: ticket "))
    vendor.s4.add("60000012", DAY + 5, "CustomerReturn", ReferenceSDDocument="4802")
    back = vendor.s4.documents["CustomerReturn"]["60000012"]["to_Item"]["results"][0]
    back |= {"ReferenceSDDocumentItem": "000010", "RequestedQuantity": "1"}
    assert vendor.polls() == {"found": 1, "more": True}
    until(lambda: vendor.quantity("4802") == 2)
    assert vendor.polls() == {"found": 0, "more": False}


def test_an_s4_that_is_down_gets_its_ticket_later(vendor: SapVendor) -> None:
    """The event is taken all the same; order and ticket follow when the system is there again."""
    vendor.s4.down = 503
    vendor.s4.add("4803", DAY)
    assert vendor.tells("4803").status_code == 204
    until(vendor.is_put_off)
    assert vendor.text("4803") == ""
    vendor.s4.down = 0
    until(lambda: vendor.text("4803").startswith("Licentia: ticket "))
