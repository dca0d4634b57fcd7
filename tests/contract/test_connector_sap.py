"""The connector of SAP against its kit, a real IDoc, and documents of a real S/4 system."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import connector_lab as lab
import msgspec
import pytest
import sap_gateway
from hypothesis import given
from hypothesis import strategies as st

from licentia.connectors import Outcome
from licentia.errors import InvalidRequest, Unauthenticated, Unavailable
from licentia.settings import SettingsError
from licentia.testing import ConnectorContract
from licentia_integrations import changed
from licentia_integrations.sap import Sap
from licentia_integrations.sap.texts import with_outcome

BASIC = {"authorization": "Basic TElDRU5USUE6aHVzaA=="}
"""The user LICENTIA with the password hush."""

SECRET = "LICENTIA:hush"
IDOC = (lab.GOLDEN / "sap" / "ordchg.xml").read_bytes()
TICKET = "7GJDG-J8HPG-QX2MN-4TRWB-9KVCS"
DAY = 1767225600000
"""The first of January 2026, in milliseconds."""


Connect = Callable[..., Sap]


def made(address: str, **settings: Any) -> Sap:
    """A connector of the S/4HANA at an address."""
    api = {"url": address, "user": "R", "password": "word"}
    given = {"secret": ["next", SECRET], "poll_from": "2026-01-01", "text_id": "ZLIC", "api": api}
    return Sap("sap", given | settings)


@pytest.fixture
def s4() -> Any:
    """An S/4HANA with the orders that the golden deliveries are about, and a return."""
    gateway = sap_gateway.Gateway()
    for number in (
        "1",
        "4700000325",
        "4500000077",
        "60000012",
        "60000001",
        "4500000078",
        *map(str, range(4800, 4804)),
        "4000043",
    ):
        gateway.add(number, DAY + int(number) % 100)
    returned = msgspec.json.decode((lab.GOLDEN / "sap" / "customer_return.json").read_bytes())["d"]
    gateway.documents["CustomerReturn"]["60000012"] = returned
    return gateway


@pytest.fixture
async def connect(s4: Any) -> AsyncIterator[Connect]:
    """Makes connectors of this S/4HANA."""
    async with lab.connecting(s4, made) as connect:
        yield connect


class TestSap(ConnectorContract):
    """Each golden delivery, real or ours, means what is written beside it."""

    golden = lab.deliveries("sap", lambda body: {"Authorization": BASIC["authorization"]})
    signed = False

    @pytest.fixture
    def connector(self, s4: Any, connect: Connect) -> Sap:
        """The connector with the user and password that SAP shows."""
        self.s4 = s4
        return connect()

    async def written(self, connector: Any, order_number: str) -> Any:
        """The texts of all orders, and how often they were written."""
        return dict(self.s4.texts), self.s4.writes


@pytest.fixture
def sap() -> Sap:
    """The connector without an interface to fetch from."""
    return Sap("sap", {"secret": SECRET})


def test_settings_that_are_wrong_are_named() -> None:
    """Without a secret, with an unknown name, or with a password that would go out in the clear, nothing starts."""
    for settings in ({}, {"secret": ""}, {"secret": "s", "user": "x"}):
        with pytest.raises(SettingsError, match=r"\[connector.sap\]"):
            Sap("sap", settings)
    for api in (
        {"url": "http://s4.example.com", "password": "p"},
        {"url": "https://x", "password": "p", "token_url": "https://y"},
    ):
        with pytest.raises(SettingsError):
            Sap("sap", {"secret": "s", "api": api})


async def test_only_the_whole_of_user_and_password_comes_in(sap: Sap) -> None:
    """Another scheme, half of it, or nothing are refused."""
    await sap.authenticate(lab.delivery(IDOC, headers=BASIC))
    for value in ("", "Basic", "Basic aHVzaA==", "Basic ####", "Digest TElDRU5USUE6aHVzaA=="):
        with pytest.raises(Unauthenticated):
            await sap.authenticate(lab.delivery(IDOC, headers={"authorization": value}))


def test_the_broker_may_ask_first(sap: Sap) -> None:
    """Only OPTIONS with the origin of the webhook is a handshake; a delivery is none, nor is a strange origin."""
    headers = {"webhook-request-origin": "eventmesh.example.com", "webhook-request-rate": "120"}
    answer = sap.handshake(lab.delivery(b"", method="OPTIONS", headers=headers))
    assert answer is not None
    assert answer.status == 200
    assert answer.headers["WebHook-Allowed-Origin"] == "eventmesh.example.com"
    assert answer.headers["WebHook-Allowed-Rate"] == "*"
    assert "POST" in answer.headers["Allow"]
    assert sap.handshake(lab.delivery(b"", method="OPTIONS")) is None
    assert sap.handshake(lab.delivery(b"", method="POST", headers=headers)) is None
    for origin in ("", "a b", "a\r\nSet-Cookie: x=1", "x" * 256):
        asked = lab.delivery(b"", method="OPTIONS", headers={"webhook-request-origin": origin})
        assert sap.handshake(asked) is None


def test_an_event_means_the_same_in_its_three_forms(sap: Sap) -> None:
    """Structured, in a batch, and binary, with its attributes as headers."""
    event = msgspec.json.decode(lab.sample("sap", "cloudevent_salesorder_created.json"))
    headers = {f"ce-{name}": event[name] for name in ("type", "source", "id", "time", "specversion")}
    structured = lab.means(sap, event)
    assert lab.means(sap, [event]) == lab.means(sap, event["data"], headers=headers) == structured
    ids = {sap.delivery_id(lab.delivery(body)) for body in (event, [event], msgspec.json.encode(event) + b" ")}
    assert ids == {sap.delivery_id(lab.delivery(event["data"], headers=headers))}
    assert sap.delivery_id(lab.delivery({**event, "id": "another"})) not in ids


def test_an_idoc_that_is_sent_again_keeps_its_id(sap: Sap) -> None:
    """Sender and number make it, not the bytes."""
    again = IDOC.replace(b"\n", b"\r\n")
    assert sap.delivery_id(lab.delivery(again)) == sap.delivery_id(lab.delivery(IDOC))
    other = IDOC.replace(b"0000000000000801", b"0000000000000802")
    assert sap.delivery_id(lab.delivery(other)) != sap.delivery_id(lab.delivery(IDOC))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"<BELNR>4500000077</BELNR>", b""),
        (b"<POSEX>000010</POSEX>", b""),
        (b"<MENGE>8.000</MENGE>", b"<MENGE>eight</MENGE>"),
        (b"<MENGE>8.000</MENGE>", b"<MENGE>1E9</MENGE>"),
        (b"ORDERS05>", b"INVOIC02>"),
        (b'<?xml version="1.0" encoding="UTF-8"?>', b'<!DOCTYPE x SYSTEM "file:///etc/passwd">'),
        (b"<POSEX>000020</POSEX>", b"<POSEX>000010</POSEX>"),
        (b"<ACTION>002</ACTION>", b"<ACTION>093</ACTION>"),
    ],
)
def test_an_idoc_that_cannot_be_understood_is_refused(sap: Sap, old: bytes, new: bytes) -> None:
    """A number that is missing, a quantity that is none, another type, and a mixture of orders and returns."""
    assert old in IDOC
    with pytest.raises(InvalidRequest):
        lab.means(sap, IDOC.replace(old, new))


def test_middleware_may_put_the_segments_into_a_namespace(sap: Sap) -> None:
    """It means the same then."""
    told = IDOC.replace(b"<ORDERS05>", b'<n:ORDERS05 xmlns:n="urn:pi" xmlns="urn:pi">').replace(
        b"</ORDERS05>", b"</n:ORDERS05>"
    )
    assert lab.means(sap, told) == lab.means(sap, IDOC)


def test_the_serial_number_is_the_version_if_it_is_one(sap: Sap) -> None:
    """One that is missing or no number is replaced by the time of the IDoc."""
    for serial, version in (("20260102030406", 20260102030406), ("A1", 20260102030405), ("9" * 20, 20260102030405)):
        told = IDOC.replace(b"<CREDAT>", f"<SERIAL>{serial}</SERIAL><CREDAT>".encode())
        assert lab.means(sap, told)[0].version == version


def test_what_is_blocked_waits_only_if_the_vendor_wants_it() -> None:
    """With `hold_blocked` off, a block on delivery does not matter for licenses."""
    order = {"d": {"SalesOrder": "4802", "DeliveryBlockReason": "Z1", "to_Item": {"results": []}}}
    assert lab.means(Sap("sap", {"secret": "s"}), order) == ()
    assert lab.means(Sap("sap", {"secret": "s", "hold_blocked": False}), order)[0].kind == "placed"


@pytest.mark.parametrize(
    "item",
    [
        {"Material": "CAD", "RequestedQuantity": "1"},
        {"SalesOrderItem": "10", "RequestedQuantity": "-1"},
        {"SalesOrderItem": "10", "RequestedQuantity": "NaN"},
        {"SalesOrderItem": "10", "RequestedQuantity": ""},
        {"SalesOrderItem": "10", "RequestedQuantity": None},
        {"SalesOrderItem": "1" * 201, "RequestedQuantity": "1"},
    ],
)
def test_a_line_that_cannot_be_understood_is_refused(sap: Sap, item: dict[str, Any]) -> None:
    """It needs a number and a quantity."""
    with pytest.raises(InvalidRequest):
        lab.means(sap, {"d": {"SalesOrder": "4800", "to_Item": {"results": [item]}}})


async def test_a_pointer_is_fetched_with_its_lines(s4: Any, connect: Connect) -> None:
    """Both kinds of documents, by Basic authentication; what is gone is nothing, what fails is asked again."""
    connector = connect()
    (order,) = await connector.fetch("SalesOrder/4800")
    (returned,) = await connector.fetch("CustomerReturn/60000012")
    assert [each.kind for each in (*connector.normalise(order), *connector.normalise(returned))] == [
        "placed",
        "returned",
    ]
    assert s4.client == ""
    await connect(client="100").fetch("SalesOrder/4800")
    assert s4.client == "100"
    del s4.requests[-1]
    asked = "/sap/opu/odata/sap/API_SALES_ORDER_SRV/A_SalesOrder('4800')?$expand=to_Item&$format=json"
    assert s4.asked[0] == ("GET", asked)
    assert await connector.fetch("SalesOrder/4809") == ()
    s4.down = 500
    with pytest.raises(Unavailable, match="500"):
        await connector.fetch("SalesOrder/4808")
    for pointer in ("SalesOrder/4800')/x", "Invoice/1", "SalesOrder/"):
        assert await connector.fetch(pointer) == ()
    assert len(s4.asked) == 4


async def test_a_document_without_its_lines_points_to_them_once(s4: Any, connect: Connect, sap: Sap) -> None:
    """In a list it is a pointer; where it was fetched for them, it is refused, or it would be fetched for ever."""
    document = {"d": {"SalesOrder": "4800", "to_Item": {"__deferred": {"uri": "https://x"}}}}
    assert lab.means(connect(), document)[0].pointer == "SalesOrder/4800"
    with pytest.raises(InvalidRequest, match="left out the lines"):
        lab.means(sap, document, pointer="SalesOrder/4800")
    with pytest.raises(Unavailable, match="not known where"):
        await sap.fetch("SalesOrder/4800")


async def test_a_change_needs_a_token_that_runs_out(s4: Any, connect: Connect) -> None:
    """The token comes with the reading, and with its cookie; one that has run out is had again."""
    connector = connect()
    await connector.write_back(Outcome(order_number="4800", ticket=TICKET))
    assert [method for method, _ in s4.asked] == ["GET", "POST"]
    assert s4.texts == {("4800", "EN", "ZLIC"): f"Licentia: ticket {TICKET}"}
    s4.meanwhile = s4.forget_sessions
    s4.requests.clear()
    s4.forget_sessions()
    await connector.write_back(Outcome(order_number="4801", ticket=TICKET))
    assert s4.texts[("4801", "EN", "ZLIC")] == f"Licentia: ticket {TICKET}"


async def test_a_token_that_ran_out_on_the_way_is_had_again(s4: Any, connect: Connect) -> None:
    """SAP answers 403 and asks for a token; the change is sent once more with a new one."""
    connector = connect()
    answer, refused = s4.answer, []

    def forgetful(request: Any) -> Any:
        if request.method != "GET" and not refused:
            refused.append(request)
            s4.forget_sessions()
        return answer(request)

    s4.answer = forgetful
    await connector.write_back(Outcome(order_number="4800", ticket=TICKET))
    assert [method for method, _ in s4.asked] == ["GET", "POST", "GET", "POST"]
    assert s4.writes == 1


async def test_a_text_of_people_is_kept_whoever_writes_it_meanwhile(s4: Any, connect: Connect) -> None:
    """A change that starts from an older state is refused by SAP, and made again from the new one."""
    key = ("4800", "EN", "ZLIC")
    s4.texts[key] = "Call first.\n\nLicentia: Something was wrong.\nThen deliver."
    connector = connect()

    def edited() -> None:
        s4.texts[key] = s4.texts[key].replace("first", "before")

    s4.meanwhile = edited
    await connector.write_back(Outcome(order_number="4800", ticket=TICKET))
    assert s4.texts[key] == f"Call before.\n\nLicentia: ticket {TICKET}\nThen deliver."
    s4.etags = False
    await connector.write_back(Outcome(order_number="4800", problem="An article is not known."))
    told = f"Licentia: ticket {TICKET}\nLicentia: An article is not known."
    assert s4.texts[key] == f"Call before.\n\n{told}\nThen deliver."


@given(
    text=st.lists(st.sampled_from(["a", "b ", "\n", "L", "Licentia: ", "Licentia: ticket A"])).map("".join),
    problem=st.none() | st.text(max_size=300) | st.text(st.sampled_from("ab "), min_size=100, max_size=1500),
    ticket=st.none() | st.just(TICKET),
)
def test_a_text_is_written_once(text: str, problem: str | None, ticket: str | None) -> None:
    """Whatever stands there and is to be written, it is as wanted afterwards, and no line of people is lost."""
    outcome = Outcome(order_number="1", ticket=ticket, problem=problem)
    once = with_outcome(text, outcome)
    assert with_outcome(once, outcome) == once
    own = [line for line in once.split("\n") if line.startswith("Licentia: ")]
    assert all(len(line) <= 72 for line in own if not line.startswith("Licentia: ticket "))
    assert (f"Licentia: ticket {TICKET}" in own) == (ticket is not None)

    def others(text: str) -> list[str]:
        lines = [line.rstrip() for line in text.split("\n")]
        return [line for line in lines if line and not line.startswith("Licentia: ")]

    assert others(once) == others(text)


async def test_what_sap_refuses_is_told_in_its_words(s4: Any, connect: Connect) -> None:
    """A text that is not customized, an order that is gone, and a login that is wrong are tried again, with advice."""
    outcome = Outcome(order_number="4800", ticket=TICKET)
    with pytest.raises(Unavailable, match="Text ID ZZZZ is not intended"):
        await connect(text_id="ZZZZ").write_back(outcome)
    with pytest.raises(Unavailable, match="404"):
        await connect().write_back(Outcome(order_number="4899", ticket=TICKET))
    wrong = connect(api={"url": s4.url, "user": "R", "password": "wrong"})
    for asked in (wrong.write_back(outcome), wrong.poll(""), wrong.fetch("SalesOrder/4800")):
        with pytest.raises(Unavailable, match="401") as refusal:
            await asked
        assert "user" in refusal.value.next_step
        assert "wrong" not in str(refusal.value)


async def test_without_a_text_nothing_is_written(s4: Any, connect: Connect, sap: Sap) -> None:
    """That is no failure; foreign order numbers are left alone, too. Without an interface nothing can be asked."""
    assert connect().connected
    assert not sap.connected
    with pytest.raises(Unavailable, match="not known where"):
        await sap.poll("")
    await connect(text_id=None).write_back(Outcome(order_number="4800", ticket=TICKET))
    await connect().write_back(Outcome(order_number="48')/x", ticket=TICKET))
    assert s4.asked == []


@pytest.mark.parametrize("page", [1000, 7])
async def test_a_poll_walks_through_all_pages(s4: Any, connect: Connect, page: int) -> None:
    """Of a backlog each order is found once, also where hundreds bear one time, or SAP makes its pages smaller."""
    s4.documents = {"SalesOrder": {}, "CustomerReturn": {}}
    s4.page, s4.now = page, DAY + 10_000
    for number in range(1000, 1250):
        s4.add(str(number), DAY + (number if number < 1100 or number >= 1200 else 1100))
    s4.add("7000", DAY, "CustomerReturn")
    walk = lab.Walk(connect())
    assert sorted(lab.numbers(await walk())) == sorted([*map(str, range(1000, 1250)), "7000"])
    s4.add("1010", DAY + 5_000)
    s4.add("2000", DAY + 1_000)
    assert sorted(lab.numbers(await walk())) == ["1010", "2000"], "one that changed, and one that came late"


async def test_what_changes_during_a_walk_hides_nothing(s4: Any, connect: Connect) -> None:
    """An order that moves to the end while its page is read does not push another one out of sight."""
    s4.documents = {"SalesOrder": {}, "CustomerReturn": {}}
    for number in range(100, 350):
        s4.add(str(number), DAY + number // 50)
    answer, moved, connector = s4.answer, iter(range(100, 350, 3)), connect()

    def restless(request: Any) -> Any:
        for number in [next(moved, None) for _ in range(5)]:
            if number is not None:
                s4.add(str(number), DAY + 60_000 + number)
        return answer(request)

    s4.answer = restless
    assert set(map(str, range(100, 350))) <= set(lab.numbers(await lab.Walk(connector)()))


async def test_more_than_can_be_remembered_is_no_endless_poll(
    s4: Any, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where more orders have changed at once than are remembered, the overlap is shorter, and the walk still ends."""
    monkeypatch.setattr(changed, "REMEMBERED", 50)
    s4.documents, s4.now = {"SalesOrder": {}, "CustomerReturn": {}}, DAY + 10_000
    for number in range(1000, 1200):
        s4.add(str(number), DAY + number)
    walk = lab.Walk(connect(poll_returns=False))
    assert len(await walk()) == 200
    assert len(walk.cursor) < 2_000


async def test_a_poll_of_a_strange_system_is_refused_in_words(s4: Any, connect: Connect) -> None:
    """A page that is no list, a document without its time, and a cursor of another version do no harm."""
    connector = connect()
    s4.documents["SalesOrder"]["4800"]["SoldToParty"] = "x" * 100
    s4.documents["SalesOrder"]["4800"]["SalesOrder"] = ""
    with pytest.raises(Unavailable, match="no list"):
        await connector.poll("")
    del s4.documents["SalesOrder"]["4800"]
    assert (await connector.poll("not a cursor")).deliveries


async def test_long_documents_are_asked_for_in_smaller_pages(s4: Any, connect: Connect) -> None:
    """Twenty orders that together are longer than an answer may be are had all the same."""
    s4.documents = {"SalesOrder": {}, "CustomerReturn": {}}
    for number in range(10, 40):
        s4.add(str(number), DAY + number, Note="x" * 1_000_000)
    walk = lab.Walk(connect(poll_returns=False))
    assert sorted(lab.numbers(await walk())) == [str(number) for number in range(10, 40)]
