"""Orders of Salesforce through the whole server over HTTP: outbound message, fetch, ticket, write back, and the poll.

The messages are sent by zeep from a WSDL that a real organization has made.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import salesforce_organization
from vendor import Vendor, until

zeep = pytest.importorskip("zeep")

WSDL = Path(__file__).parents[4] / "shared" / "data" / "orders" / "salesforce" / "workflowOutboundMessage.wsdl"
BINDING = "{http://soap.sforce.com/2005/09/outbound}NotificationBinding"
ORGANIZATION = "00D5Y000001MPM7UAO"
ORDER = "801000000000101AAA"
DAY = 1767225600000
"""The first of January 2026, in milliseconds."""


class SalesforceVendor(Vendor):
    """A vendor with an organization of Salesforce."""

    def __init__(self, salesforce: Any, server: Any) -> None:
        super().__init__(server, "salesforce")
        self.salesforce = salesforce
        self.client = zeep.Client(str(WSDL))
        self.sent = 0
        self.sells("CAD")

    def close(self) -> None:
        """Give up its connections."""
        super().close()
        self.client.transport.session.close()

    def tells(self, *ids: str, number: int = 0, secret: str = "hush", organization: str = ORGANIZATION) -> bool:
        """A flow of Salesforce sends an outbound message; what is acknowledged is not sent again."""
        self.sent += 1
        service = self.client.create_service(BINDING, f"{self.server.url}/connectors/salesforce?secret={secret}")
        told = [{"Id": f"04l{number or self.sent:06}{at:06}AAA", "sObject": {"Id": id}} for at, id in enumerate(ids)]
        message = {
            "OrganizationId": organization,
            "ActionId": "04k000000000001AAA",
            "SessionId": None,
            "EnterpriseUrl": "https://muster.my.salesforce.com/services/Soap/c/60.0",
            "PartnerUrl": "https://muster.my.salesforce.com/services/Soap/u/60.0",
            "Notification": told,
        }

        return bool(service.notifications(**message))

    def field(self, id: str, name: str = "Ticket__c") -> Any:
        """What salespeople see in the record."""
        return self.salesforce.records[id][name]


@pytest.fixture
def vendor(serve: Any) -> Iterator[SalesforceVendor]:
    """The vendor, with no orders yet."""
    if not WSDL.exists():
        pytest.skip("the shared WSDL of an outbound message is not here")
    with salesforce_organization.running() as salesforce:
        salesforce.now = DAY + 10_000
        url = salesforce.url
        api = {"url": url, "token_url": f"{url}/services/oauth2/token", "user": "app", "password": "word"}
        known = {"secret": "hush", "organization_id": ORGANIZATION, "api": api, "poll_seconds": 0}
        known |= {"poll_objects": ["Order"], "poll_from": "2026-01-01"}
        known |= {"ticket_field": "Ticket__c", "problem_field": "Problem__c"}
        with (
            serve(connector={"salesforce": known}) as server,
            closing(SalesforceVendor(salesforce, server)) as made,
        ):
            yield made


def test_a_message_ends_as_a_ticket_in_the_order(vendor: SalesforceVendor) -> None:
    """The ticket stands in its field; the same message again, the echo, and a change of the order keep it."""
    vendor.salesforce.add(ORDER, DAY)
    assert vendor.tells(ORDER, number=1) is True
    ticket = until(lambda: vendor.field(ORDER))
    until(vendor.settled)
    assert vendor.tells(ORDER, number=1) is True
    assert vendor.tells(ORDER) is True, "the echo of our own change"
    vendor.salesforce.records[ORDER]["OrderItems"][0]["Quantity"] = 8.0
    vendor.salesforce.records[ORDER]["SystemModstamp"] += 1000
    assert vendor.tells(ORDER) is True
    until(lambda: vendor.quantity("00000101") == 8)
    until(vendor.settled)
    assert vendor.field(ORDER) == ticket
    assert vendor.salesforce.changes == 1


def test_who_is_not_this_organization_is_not_acknowledged(vendor: SalesforceVendor) -> None:
    """Another secret, or another organization with this secret, gets no acknowledgment."""
    vendor.salesforce.add(ORDER, DAY)
    for strange in ({"secret": "other"}, {"organization": "00D5Y000001MPM8UAO"}):
        with pytest.raises(zeep.exceptions.Error):
            vendor.tells(ORDER, **strange)
    assert vendor.salesforce.asked == []


def test_a_hundred_orders_of_one_message_are_each_told(vendor: SalesforceVendor) -> None:
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
    vendor.replays()
    assert until(lambda: vendor.field(ids[7]))
    assert vendor.field(ids[7], "Problem__c") is None


def test_what_no_message_told_is_found_by_the_poll(vendor: SalesforceVendor) -> None:
    """An order whose message was dropped, and then one that was deleted."""
    vendor.salesforce.add(ORDER, DAY)
    assert vendor.polls()["found"] == 1
    until(lambda: vendor.field(ORDER))
    vendor.salesforce.records[ORDER] |= {"IsDeleted": True, "SystemModstamp": DAY + 5_000}
    assert vendor.polls()["found"] == 1
    until(lambda: vendor.order("00000101")["status"] == "cancelled")


def test_a_salesforce_that_is_down_gets_its_ticket_later(vendor: SalesforceVendor) -> None:
    """The message is acknowledged, as it is kept; order and ticket follow when Salesforce answers again."""
    vendor.salesforce.add(ORDER, DAY)
    vendor.salesforce.down = 503
    assert vendor.tells(ORDER) is True
    until(vendor.is_put_off)
    assert vendor.field(ORDER) is None
    vendor.salesforce.down = 0
    until(lambda: vendor.field(ORDER))
