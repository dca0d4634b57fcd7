"""The connector of Salesforce against its kit, real messages, and toolkits that speak SOAP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import connector_lab as lab
import msgspec
import pytest
import salesforce_organization
from joserfc.jwk import RSAKey
from lxml import etree

from licentia.connectors import Outcome
from licentia.errors import InvalidRequest, Unauthenticated, Unavailable
from licentia.settings import SettingsError
from licentia.testing import ConnectorContract
from licentia_integrations.salesforce import Salesforce

URL = "https://licenses.example.com/connectors/salesforce?secret=hush"
SAMPLE = "outbound_message_opportunity.xml"
ORDERS = (lab.GOLDEN / "salesforce" / "orders.xml").read_bytes()
TICKET = "7GJDG-J8HPG-QX2MN-4TRWB-9KVCS"
DAY = 1767225600000
"""The first of January 2026, in milliseconds."""

KEY = RSAKey.generate_key(2048)
ORDER, DEAL = "801000000000001AAA", "006000000000001AAA"
Connect = Callable[..., Salesforce]


def made(address: str, **settings: Any) -> Salesforce:
    """A connector of the Salesforce at an address."""
    api = {"url": address, "token_url": f"{address}/services/oauth2/token", "user": "app", "password": "word"}
    known: dict[str, Any] = {"secret": ["next", "hush"], "api": api, "poll_from": "2026-01-01"}
    known |= {"ticket_field": "Ticket__c", "problem_field": "Problem__c", "poll_objects": ["Order", "Opportunity"]}
    return Salesforce("salesforce", known | settings)


@pytest.fixture
def salesforce() -> Any:
    """A Salesforce with the orders and opportunities that the golden deliveries are about."""
    organization = salesforce_organization.Organization()
    organization.add(ORDER, DAY, OrderNumber="00000101")
    organization.add("801000000000002AAA", DAY, OrderNumber="00000102")
    organization.add("801000000000003AAA", DAY, OrderNumber="00000103")
    for id in (DEAL, "006000000000002AAA", "0065Y00001Suvw6QAB"):
        organization.add(id, DAY)
    return organization


@pytest.fixture
async def connect(salesforce: Any) -> AsyncIterator[Connect]:
    """Makes connectors of this Salesforce."""
    async with lab.connecting(salesforce, made) as connect:
        yield connect


class TestSalesforce(ConnectorContract):
    """Each golden delivery, real or ours, means what is written beside it."""

    golden = lab.deliveries("salesforce")
    signed = False

    @pytest.fixture
    def connector(self, salesforce: Any, connect: Connect) -> Salesforce:
        """The connector with the secret that stands in the address."""
        self.salesforce = salesforce
        return connect()

    def addressed(self, delivery: Any) -> Any:
        """The secret is in the address."""
        return msgspec.structs.replace(delivery, url=URL)

    async def written(self, connector: Any, order_number: str) -> Any:
        """The fields of all records, and how often they were written."""
        records = self.salesforce.records.values()
        return [each["Ticket__c"] for each in records], self.salesforce.changes


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
    https = {"url": "https://x.my.salesforce.com", "token_url": "https://x.my.salesforce.com/t", "user": "app"}
    jwt = {**https, "username": "u@x", "private_key": KEY.as_pem(private=True).decode()}
    Salesforce("salesforce", {"secret": "s", "api": jwt})
    for api in (
        {"url": "http://example.com", "password": "p"},
        https,
        {**jwt, "password": "p"},
        {**jwt, "private_key": "no key"},
        {**jwt, "private_key": KEY.as_pem(private=False).decode()},
        {**https, "private_key": jwt["private_key"]},
        {**https, "username": "u@x"},
    ):
        with pytest.raises(SettingsError) as refusal:
            Salesforce("salesforce", {"secret": "s", "api": api})
        assert "BEGIN" not in str(refusal.value)
    for field in ("Description", "Ticket__c FROM User", "__c", "1__c"):
        with pytest.raises(SettingsError):
            Salesforce("salesforce", {"secret": "s", "ticket_field": field})


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


async def test_a_pointer_is_fetched_with_a_token(salesforce: Any, connect: Connect) -> None:
    """A token is had for the app's secret, kept, and had again when it has run out."""
    connector = connect()
    (found,) = await connector.fetch(f"Order/{ORDER}")
    assert found.pointer == f"Order/{ORDER}"
    (change,) = connector.normalise(found)
    assert (change.kind, change.order_number, change.version) == ("placed", "00000101", DAY)
    assert [(line.sku, line.quantity) for line in change.lines] == [("CAD", 3)]
    await connector.fetch(f"Opportunity/{DEAL}")
    salesforce.forget_tokens()
    await connector.fetch(f"Order/{ORDER}")
    token = "/services/oauth2/token"
    assert [asked if asked == token else "query" for _, asked in salesforce.asked] == [
        token, "query", "query", "query", token, "query",
    ]  # fmt: skip
    api = {"url": salesforce.url, "token_url": f"{salesforce.url}{token}", "user": "app", "password": "wrong"}
    with pytest.raises(Unavailable, match="no token: status 400"):
        await connect(api=api).fetch(f"Order/{ORDER}")


async def test_a_private_key_does_instead_of_a_password(salesforce: Any, connect: Connect) -> None:
    """The assertion is signed, for this user and login server; with another key there is no token."""
    salesforce.public_key = KEY
    url = salesforce.url
    api = {
        "url": url,
        "token_url": f"{url}/services/oauth2/token",
        "user": "app",
        "username": salesforce_organization.USER,
    }
    right = {**api, "private_key": KEY.as_pem(private=True).decode()}
    connector = connect(api=right)
    assert await connector.fetch(f"Order/{ORDER}")
    salesforce.forget_tokens()
    assert await connector.fetch(f"Order/{ORDER}")
    other = RSAKey.generate_key(2048).as_pem(private=True).decode()
    for wrong in ({**right, "private_key": other}, {**right, "username": "x"}, {**right, "audience": "https://test.x"}):
        with pytest.raises(Unavailable, match="no token"):
            await connect(api=wrong).fetch(f"Order/{ORDER}")


async def test_what_is_gone_or_elsewhere_is_not_fetched(salesforce: Any, connect: Connect) -> None:
    """A foreign pointer leads nowhere, a missing interface is told, and a failing one is asked again later."""
    connector = connect(reduction_orders=True)
    assert await connector.fetch("Contact/003000000000001AAA") == ()
    assert await connector.fetch("Order/' OR '") == ()
    assert salesforce.asked == []
    with pytest.raises(Unavailable, match="INVALID_FIELD No such column 'IsReductionOrder'"):
        await connector.fetch(f"Order/{ORDER}")
    salesforce.has_reductions = True
    assert await connector.fetch("Order/801000000000009AAA") == ()
    assert await connector.fetch(f"Order/{ORDER}")
    with pytest.raises(Unavailable) as refusal:
        await Salesforce("salesforce", {"secret": "hush"}).fetch(f"Order/{ORDER}")
    assert "api" in refusal.value.next_step
    salesforce.down = 503
    with pytest.raises(Unavailable, match="503"):
        await connector.fetch(f"Order/{ORDER}")


async def test_what_was_deleted_is_seen(salesforce: Any, connect: Connect) -> None:
    """An order in the recycle bin is cancelled; a line that was deleted is none of an order that lives."""
    connector = connect()
    salesforce.records[ORDER]["OrderItems"].append({"Id": "802x", "Quantity": 1, "IsDeleted": True})
    (found,) = await connector.fetch(f"Order/{ORDER}")
    assert len(connector.normalise(found)[0].lines) == 1
    salesforce.records[ORDER]["IsDeleted"] = True
    (found,) = await connector.fetch(f"Order/{ORDER}")
    assert connector.normalise(found)[0].kind == "cancelled"


async def test_an_order_of_many_lines_is_had_whole(salesforce: Any, connect: Connect) -> None:
    """Its lines come in several answers, and count together; the address of the rest is not just anything."""
    salesforce.lines_batch = 7
    salesforce.add(ORDER, DAY, lines=40)
    connector = connect()
    (found,) = await connector.fetch(f"Order/{ORDER}")
    assert len(connector.normalise(found)[0].lines) == 40
    page = salesforce._page
    salesforce._page = lambda *given: {**page(*given), "nextRecordsUrl": "/services/data/v60.0/query/../x"}
    with pytest.raises(Unavailable, match="where the rest"):
        await connector.fetch(f"Order/{ORDER}")


async def test_a_ticket_is_written_into_its_field(salesforce: Any, connect: Connect) -> None:
    """By order number or by Id, only what is different, and what is parked and then not any more."""
    connector = connect()
    order, deal = salesforce.records[ORDER], salesforce.records[DEAL]
    await connector.write_back(Outcome(order_number="00000101", problem="The article\n is not known. " + "x" * 300))
    assert order["Problem__c"].startswith("The article is not known. xxx")
    assert len(order["Problem__c"]) == 255
    for _ in range(2):
        await connector.write_back(Outcome(order_number="00000101", ticket=TICKET))
        await connector.write_back(Outcome(order_number=DEAL, ticket=TICKET))
    assert [each["Ticket__c"] for each in (order, deal)] == [TICKET, TICKET]
    assert order["Problem__c"] is None
    assert salesforce.changes == 3
    await connector.write_back(Outcome(order_number=ORDER, problem="Parked."))
    assert (order["Ticket__c"], order["Problem__c"]) == (TICKET, "Parked.")
    lower = connect(ticket_field="ticket__c", problem_field=None)
    salesforce._check = lambda object, fields: None
    salesforce._shown = lambda *given: {"Id": ORDER, "Ticket__c": TICKET}
    await lower.write_back(Outcome(order_number=ORDER, ticket=TICKET))
    assert salesforce.changes == 4, "the names of fields ignore case"


async def test_nothing_is_written_without_a_field(salesforce: Any, connect: Connect) -> None:
    """Without fields or an order nobody is asked; an order that is not there is tried again."""
    without = connect(ticket_field=None, problem_field=None)
    await without.write_back(Outcome(order_number="00000101", ticket=TICKET))
    await connect().write_back(Outcome(order_number="", ticket=TICKET))
    assert salesforce.asked == []
    for number in ("00009999", "a'b\\", "006000000000009AAA"):
        with pytest.raises(Unavailable, match="has no"):
            await connect().write_back(Outcome(order_number=number, ticket=TICKET))
    assert connect().connected
    unset = connect(api=None)
    assert not unset.connected
    for asked in (unset.poll(""), unset.write_back(Outcome(order_number="00000101", ticket=TICKET))):
        with pytest.raises(Unavailable, match="not known where"):
            await asked
    with pytest.raises(Unavailable, match="INVALID_FIELD"):
        await connect(ticket_field="Other__c").write_back(Outcome(order_number="00000101", ticket=TICKET))


async def test_a_poll_walks_through_all_pages(salesforce: Any, connect: Connect) -> None:
    """Of a backlog each order is found once, also where many bear one time, and answers have several pages."""
    salesforce.records, salesforce.batch, salesforce.now = {}, 20, DAY + 10_000
    for number in range(1000, 1250):
        salesforce.add(f"801{number:012}AAA", DAY + 1000 * (number if number < 1050 or number > 1200 else 1050))
    salesforce.add(DEAL, DAY)
    walk = lab.Walk(connect())
    assert sorted(lab.numbers(await walk())) == sorted([*(f"{number:08}" for number in range(1000, 1250)), DEAL])
    salesforce.records[DEAL] |= {"IsWon": False, "SystemModstamp": DAY + 9_000}
    assert lab.numbers(await walk()) == [DEAL]
    assert lab.numbers(await lab.Walk(connect(poll_objects=["Opportunity"]))()) == [DEAL]
    assert (await connect(poll_objects=[]).poll("")).deliveries == ()


async def test_what_is_written_back_is_found_once_more_and_changes_nothing(salesforce: Any, connect: Connect) -> None:
    """Salesforce moves the time of a record that we write into; writing it again does not, so the echo ends."""
    salesforce.now = DAY + 10_000
    walk = lab.Walk(connect(poll_objects=["Order"]))
    await walk()
    for expected in (["00000101"], []):
        await walk.connector.write_back(Outcome(order_number="00000101", ticket=TICKET))
        assert lab.numbers(await walk()) == expected


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
