"""Orders of Salesforce through the whole server over HTTP: outbound message, fetch, ticket, write back, and the poll.

The messages are sent by zeep from a WSDL that a real organization has made.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from licentia.services import chain

zeep = pytest.importorskip("zeep")

_SPEC = importlib.util.spec_from_file_location("salesforce_organization", Path(__file__).with_name("organization.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
organizations = sys.modules["salesforce_organization"] = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(organizations)

WSDL = Path(__file__).parents[4] / "shared" / "data" / "orders" / "salesforce" / "workflowOutboundMessage.wsdl"
BINDING = "{http://soap.sforce.com/2005/09/outbound}NotificationBinding"
ORGANIZATION = "00D5Y000001MPM7UAO"
ORDER = "801000000000101AAA"
DAY = 1767225600000
"""The first of January 2026, in milliseconds."""


def until(true: Callable[[], Any]) -> Any:
    """What this says as soon as it says something."""
    deadline = time.monotonic() + 20
    while not (said := true()):
        assert time.monotonic() < deadline, "it did not happen within 20 seconds"
        time.sleep(0.02)
    return said


class Vendor:
    """A vendor with an organization of Salesforce and a Licentia server."""

    def __init__(self, salesforce: Any, server: Any) -> None:
        self.salesforce, self.server = salesforce, server
        self.http = httpx.Client(base_url=server.url, timeout=30)
        self.client = zeep.Client(str(WSDL))
        self.sent = 0
        self.sells("CAD")

    def asks(self, method: str, path: str, scope: str = "admin", **body: Any) -> Any:
        """An operation of the server."""
        reply = self.http.request(method, path, json=body or None, headers=self.server.headers(scope))
        assert reply.is_success, reply.text
        return reply.json() if reply.content else None

    def sells(self, sku: str) -> None:
        """A product of one item."""
        self.asks("PUT", f"/v1/products/{sku}", name=sku, items=[{"product_code": sku}])

    def tells(self, *ids: str, number: int = 0, secret: str = "hush", organization: str = ORGANIZATION) -> bool:
        """A flow of Salesforce sends an outbound message; what is acknowledged is not sent again."""
        self.sent += 1
        service = self.client.create_service(BINDING, f"{self.server.url}/connectors/salesforce?secret={secret}")
        told = [{"Id": f"04l{number or self.sent:06}{at:06}AAA", "sObject": {"Id": id}} for at, id in enumerate(ids)]
        acknowledged: bool = service.notifications(
            OrganizationId=organization,
            ActionId="04k000000000001AAA",
            SessionId=None,
            EnterpriseUrl="https://muster.my.salesforce.com/services/Soap/c/60.0",
            PartnerUrl="https://muster.my.salesforce.com/services/Soap/u/60.0",
            Notification=told,
        )
        return acknowledged

    def field(self, id: str, name: str = "Ticket__c") -> Any:
        """What salespeople see in the record."""
        return self.salesforce.records[id][name]

    def order(self, number: str) -> Any:
        """The order as the server has it."""
        return self.asks("GET", f"/v1/orders/salesforce/{number}", "sales")


@pytest.fixture
def vendor(serve: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vendor]:
    """The vendor, with no orders yet; the server looks around often, so that tests wait little."""
    monkeypatch.setattr(chain, "LOOK", 0.05)
    if not WSDL.exists():
        pytest.skip("the shared WSDL of an outbound message is not here")
    with organizations.running() as salesforce:
        salesforce.now = DAY + 10_000
        url = salesforce.url
        api = {"url": url, "token_url": f"{url}/services/oauth2/token", "user": "app", "password": "word"}
        known = {"secret": "hush", "organization_id": ORGANIZATION, "api": api, "poll_seconds": 0}
        known |= {"poll_objects": ["Order"], "poll_from": "2026-01-01"}
        known |= {"ticket_field": "Ticket__c", "problem_field": "Problem__c"}
        with serve(connector={"salesforce": known}) as server:
            made = Vendor(salesforce, server)
            yield made
            made.http.close()
            made.client.transport.session.close()


def test_a_message_ends_as_a_ticket_in_the_order(vendor: Vendor) -> None:
    """The ticket stands in its field; the same message again, the echo, and a change of the order keep it."""
    vendor.salesforce.add(ORDER, DAY)
    assert vendor.tells(ORDER, number=1) is True
    ticket = until(lambda: vendor.field(ORDER))
    assert vendor.tells(ORDER, number=1) is True
    assert vendor.tells(ORDER) is True, "the echo of our own change"
    vendor.salesforce.records[ORDER]["OrderItems"][0]["Quantity"] = 8.0
    vendor.salesforce.records[ORDER]["SystemModstamp"] += 1000
    assert vendor.tells(ORDER) is True
    until(lambda: vendor.order("00000101")["lines"][0]["quantity"] == 8)
    assert vendor.field(ORDER) == ticket
    assert vendor.salesforce.changes == 1


def test_who_is_not_this_organization_is_not_acknowledged(vendor: Vendor) -> None:
    """Another secret, or another organization with this secret, gets no acknowledgment."""
    vendor.salesforce.add(ORDER, DAY)
    for strange in ({"secret": "other"}, {"organization": "00D5Y000001MPM8UAO"}):
        with pytest.raises(zeep.exceptions.Error):
            vendor.tells(ORDER, **strange)
    assert vendor.salesforce.asked == []


def test_a_hundred_orders_of_one_message_are_each_told(vendor: Vendor) -> None:
    """All of them have their own ticket; one with an article that nobody knows says so until it is known."""
    ids = [f"801{number:012}AAA" for number in range(1, 101)]
    for id in ids:
        vendor.salesforce.add(id, DAY)
    vendor.salesforce.records[ids[7]]["OrderItems"][0]["Product2"] = {"ProductCode": "CAM"}
    assert vendor.tells(*ids) is True
    until(lambda: sum(bool(vendor.field(id)) for id in ids) == 99)
    assert len({vendor.field(id) for id in ids}) == 100
    assert "CAM" in until(lambda: vendor.field(ids[7], "Problem__c"))
    vendor.sells("CAM")
    vendor.asks("POST", "/v1/replay", connector="salesforce")
    assert until(lambda: vendor.field(ids[7]))
    assert vendor.field(ids[7], "Problem__c") is None


def test_what_no_message_told_is_found_by_the_poll(vendor: Vendor) -> None:
    """An order whose message was dropped, and then one that was deleted."""
    vendor.salesforce.add(ORDER, DAY)
    assert vendor.asks("POST", "/v1/connectors/salesforce/poll")["found"] == 1
    until(lambda: vendor.field(ORDER))
    vendor.salesforce.records[ORDER] |= {"IsDeleted": True, "SystemModstamp": DAY + 5_000}
    assert vendor.asks("POST", "/v1/connectors/salesforce/poll")["found"] == 1
    until(lambda: vendor.order("00000101")["status"] == "cancelled")


def test_a_salesforce_that_is_down_gets_its_ticket_later(vendor: Vendor) -> None:
    """The message is acknowledged, as it is kept; order and ticket follow when Salesforce answers again."""
    vendor.salesforce.add(ORDER, DAY)
    vendor.salesforce.down = 503
    assert vendor.tells(ORDER) is True
    assert vendor.field(ORDER) is None
    vendor.salesforce.down = 0
    until(lambda: vendor.field(ORDER))
