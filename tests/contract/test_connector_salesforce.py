"""The connector of Salesforce against its kit, real messages, and toolkits that speak SOAP."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from lxml import etree

from licentia.connectors import Outcome
from licentia.errors import InvalidRequest, Unauthenticated, Unavailable
from licentia.settings import SettingsError
from licentia.testing import ConnectorContract
from licentia_integrations.salesforce import Salesforce

_SPEC = importlib.util.spec_from_file_location("remote_lab", Path(__file__).with_name("remote_lab.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
lab = sys.modules["remote_lab"] = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(lab)

URL = "https://licenses.example.com/connectors/salesforce?secret=hush"
SAMPLE = "outbound_message_opportunity.xml"
QUERY = "/services/data/v60.0/query"
ORDERS = (lab.GOLDEN / "salesforce" / "orders.xml").read_bytes()


@pytest.fixture
def salesforce() -> Iterator[Any]:
    """A Salesforce with the orders and opportunities of the golden answers."""
    with lab.running() as system:
        activated = (lab.GOLDEN / "salesforce" / "activated.json").read_bytes()
        deals = (lab.GOLDEN / "salesforce" / "deals.json").read_bytes()
        system.answers = {"/token": b'{"access_token": "t-1"}', "FROM+Order+": activated, "FROM+Opportunity+": deals}
        yield system


def connected(url: str, **settings: Any) -> Salesforce:
    """The connector of a Salesforce at this address."""
    api = {"url": url, "token_url": f"{url}/services/oauth2/token", "user": "app", "password": "word"}
    return Salesforce("salesforce", {"secret": ["next", "hush"], "api": api, **settings})


class TestSalesforce(ConnectorContract):
    """Each golden delivery, real or ours, means what is written beside it."""

    golden = lab.deliveries("salesforce")
    signed = False

    @pytest.fixture
    def connector(self, salesforce: Any) -> Salesforce:
        """The connector with the secret that stands in the address."""
        return connected(salesforce.url)

    def addressed(self, delivery: Any) -> Any:
        """The secret is in the address."""
        return msgspec.structs.replace(delivery, url=URL)


def test_nothing_is_open_without_a_secret() -> None:
    """The settings want one of the two ways to know Salesforce, and say so."""
    for settings in (
        {},
        {"certificate": "CN=x"},
        {"certificate_header": "X-Cert"},
        {"secret": "s", "organization_id": "x"},
    ):
        with pytest.raises(SettingsError, match=r"\[connector.salesforce\]"):
            Salesforce("salesforce", settings)
    with pytest.raises(SettingsError, match="https"):
        Salesforce("salesforce", {"secret": "s", "api": {"url": "http://example.com", "password": "p"}})


async def test_another_organization_is_refused() -> None:
    """The id is compared by its first 15 characters, the case of letters included."""
    body = lab.sample("salesforce", SAMPLE)
    for ours in ("00D5Y000001MPM7", "00D5Y000001MPM7UAO"):
        connector = Salesforce("salesforce", {"secret": "hush", "organization_id": ours})
        await connector.authenticate(lab.delivery(body, url=URL))
    for other in ("00D5Y000001mpm7", "00D5Y000001MPM8UAO"):
        connector = Salesforce("salesforce", {"secret": "hush", "organization_id": other})
        for given in (body, b"<a/>", b"{}"):
            with pytest.raises(Unauthenticated):
                await connector.authenticate(lab.delivery(given, url=URL))


async def test_a_certificate_is_known_by_what_the_proxy_writes() -> None:
    """Without the header, or with another name in it, nobody comes in; with a secret as well, both are wanted."""
    name = "CN=proxy.salesforce.com,O=Salesforce, Inc."
    settings = {"certificate_header": "X-Client-Subject", "certificate": [name, "CN=next"]}
    connector = Salesforce("salesforce", settings)
    await connector.authenticate(lab.delivery(ORDERS, headers={"x-client-subject": name}))
    for headers in ({}, {"x-client-subject": ""}, {"x-client-subject": "CN=evil"}):
        with pytest.raises(Unauthenticated):
            await connector.authenticate(lab.delivery(ORDERS, headers=headers, url=URL))
    both = Salesforce("salesforce", {**settings, "secret": "hush"})
    await both.authenticate(lab.delivery(ORDERS, headers={"x-client-subject": name}, url=URL))
    with pytest.raises(Unauthenticated):
        await both.authenticate(lab.delivery(ORDERS, headers={"x-client-subject": name}))


def test_a_message_that_is_sent_again_keeps_its_id() -> None:
    """The session and the order of the notifications may differ then."""
    connector = Salesforce("salesforce", {"secret": "hush"})
    again = ORDERS.replace(b'<SessionId i:nil="true"/>', b"<SessionId>00D!x</SessionId>")
    assert connector.delivery_id(lab.delivery(again)) == connector.delivery_id(lab.delivery(ORDERS))
    other = ORDERS.replace(b"04l000000000003AAA", b"04l000000000004AAA")
    assert connector.delivery_id(lab.delivery(other)) != connector.delivery_id(lab.delivery(ORDERS))


def test_a_hundred_notifications_are_read_and_no_more() -> None:
    """Each record is pointed to once."""
    connector = Salesforce("salesforce", {"secret": "hush"})
    start, one, end = ORDERS.partition(b"<Notification>")[0], ORDERS[ORDERS.index(b"<Notification>") :], b""
    one, end = one[: one.index(b"</Notification>") + 15], ORDERS[ORDERS.rindex(b"</Notification>") + 15 :]
    many = [one.replace(b"801000000000001", b"801%012d" % (number % 60)) for number in range(101)]
    assert len(lab.means(connector, start + b"".join(many[:100]) + end)) == 60
    with pytest.raises(InvalidRequest, match="more than 100"):
        lab.means(connector, start + b"".join(many) + end)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"801000000000001AAA", b"' OR Id != '"),
        (b"<sf:OrderId>801000000000002AAA</sf:OrderId>", b""),
        (b"<Id>04l000000000001AAA</Id>", b""),
        (b"xmlsoap.org/soap/envelope", b"example.org"),
        (b'<?xml version="1.0" encoding="UTF-8"?>', b"<!DOCTYPE x>"),
    ],
)
def test_what_is_no_outbound_message_is_illegible(old: bytes, new: bytes) -> None:
    """An id that would change a query, a line without its order, and other XML are refused with words."""
    with pytest.raises(InvalidRequest):
        lab.means(Salesforce("salesforce", {"secret": "hush"}), ORDERS.replace(old, new))


async def test_a_pointer_is_fetched_with_a_token(salesforce: Any) -> None:
    """A token is had for the app's secret, kept, and had again when it has run out."""
    connector = connected(salesforce.url)
    (found,) = await connector.fetch("Order/801000000000001AAA")
    assert found.pointer == "Order/801000000000001AAA"
    await connector.fetch("Opportunity/006000000000001AAA")
    token, order, opportunity = salesforce.asked
    assert "grant_type=client_credentials" in token[2]
    assert order[0].startswith(QUERY)
    assert order[0].endswith("FROM Order WHERE Id = '801000000000001AAA'")
    assert order[1] == opportunity[1] == "Bearer t-1"
    salesforce.answers = {"/token": b'{"access_token": "t-2"}', QUERY: 401}
    with pytest.raises(Unavailable, match="401"):
        await connector.fetch("Order/801000000000001AAA")
    assert [each[1] for each in salesforce.asked[3:]] == ["Bearer t-1", "", "Bearer t-2"]


async def test_what_is_gone_or_elsewhere_is_not_fetched(salesforce: Any) -> None:
    """A foreign pointer leads nowhere, a missing interface is told, and a failing one is asked again later."""
    connector = connected(salesforce.url, reduction_orders=True)
    assert await connector.fetch("Contact/003000000000001AAA") == ()
    assert await connector.fetch("Order/' OR '") == ()
    assert salesforce.asked == []
    await connector.fetch("Order/801000000000001AAA")
    assert "OriginalOrder.OrderNumber" in salesforce.asked[-1][0]
    with pytest.raises(Unavailable) as refusal:
        await Salesforce("salesforce", {"secret": "hush"}).fetch("Order/801000000000001AAA")
    assert "api" in refusal.value.next_step
    salesforce.answers = {"/token": b"[]"}
    with pytest.raises(Unavailable, match="no token"):
        await connected(salesforce.url).fetch("Order/801000000000001AAA")


def test_an_order_that_is_cut_short_is_refused() -> None:
    """What does not have all its lines in the answer must not be taken for the whole."""
    items = {"done": False, "records": []}
    order = {
        "attributes": {"type": "Order"},
        "Id": "801000000000001AAA",
        "StatusCode": "Activated",
        "OrderItems": items,
    }
    with pytest.raises(InvalidRequest, match="more lines"):
        lab.means(Salesforce("salesforce", {"secret": "hush"}), order)


def test_the_answer_is_the_one_that_ends_the_repeats() -> None:
    """A toolkit reads `Ack` as true by the WSDL's own schema."""
    zeep = pytest.importorskip("zeep")
    lab.sample("salesforce", "workflowOutboundMessage.wsdl")
    client = zeep.Client(str(lab.SHARED / "salesforce" / "workflowOutboundMessage.wsdl"))
    connector = Salesforce("salesforce", {"secret": "hush"})
    answer = connector.answer(lab.delivery(ORDERS), (Outcome(order_number="1", problem="unknown article"),))
    assert (answer.status, answer.media_type) == (200, "text/xml; charset=utf-8")
    operation = client.service._binding.get("notifications")
    assert operation.process_reply(etree.fromstring(answer.body)) is True


def test_a_message_of_a_toolkit_is_read() -> None:
    """What another toolkit makes of the WSDL leaves `xsi:type` out; an appointment is no order."""
    zeep = pytest.importorskip("zeep")
    lab.sample("salesforce", "workflowOutboundMessage.wsdl")
    client = zeep.Client(str(lab.SHARED / "salesforce" / "workflowOutboundMessage.wsdl"))
    record = {"Id": "a0B000000000001AAA"}
    envelope = client.create_message(
        client.service,
        "notifications",
        OrganizationId="00D5Y000001MPM7UAO",
        ActionId="04k000000000001AAA",
        SessionId=None,
        EnterpriseUrl="https://muster.my.salesforce.com",
        PartnerUrl="https://muster.my.salesforce.com",
        Notification=[{"Id": "04l000000000001AAA", "sObject": record}],
    )
    connector = Salesforce("salesforce", {"secret": "hush"})
    assert lab.means(connector, etree.tostring(envelope)) == ()
    record["Id"] = "801000000000001AAA"
    told = etree.tostring(envelope).replace(b"a0B000000000001AAA", b"801000000000001AAA")
    assert [each.pointer for each in lab.means(connector, told)] == ["Order/801000000000001AAA"]
