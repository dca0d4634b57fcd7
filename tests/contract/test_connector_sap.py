"""The connector of SAP against its kit, a real IDoc, and documents of a real S/4 system."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from licentia.errors import InvalidRequest, Unauthenticated, Unavailable
from licentia.settings import SettingsError
from licentia.testing import ConnectorContract
from licentia_integrations.sap import Sap

_SPEC = importlib.util.spec_from_file_location("remote_lab", Path(__file__).with_name("remote_lab.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
lab = sys.modules["remote_lab"] = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(lab)

BASIC = {"authorization": "Basic TElDRU5USUE6aHVzaA=="}
"""The user LICENTIA with the password hush."""

SECRET = "LICENTIA:hush"
IDOC = (lab.GOLDEN / "sap" / "ordchg.xml").read_bytes()


@pytest.fixture
def s4() -> Iterator[Any]:
    """An S/4HANA with the documents of the golden answers."""
    with lab.running() as system:
        order = {"d": {"SalesOrder": "4800", "to_Item": {"results": []}}}
        system.answers = {
            "A_CustomerReturn": (lab.GOLDEN / "sap" / "customer_return.json").read_bytes(),
            "A_SalesOrder('4809')": 404,
            "A_SalesOrder('4808')": 500,
            "A_SalesOrder": msgspec.json.encode(order),
        }
        yield system


def connected(url: str, **settings: Any) -> Sap:
    """The connector of an S/4HANA at this address."""
    return Sap("sap", {"secret": ["next", SECRET], "api": {"url": url, "user": "R", "password": "word"}, **settings})


class TestSap(ConnectorContract):
    """Each golden delivery, real or ours, means what is written beside it."""

    golden = lab.deliveries("sap", lambda body: {"Authorization": BASIC["authorization"]})
    signed = False

    @pytest.fixture
    def connector(self, s4: Any) -> Sap:
        """The connector with the user and password that SAP shows."""
        return connected(s4.url)


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
    """Only OPTIONS with the origin of the webhook is a handshake; a delivery is none."""
    headers = {"webhook-request-origin": "eventmesh.example.com"}
    answer = sap.handshake(lab.delivery(b"", method="OPTIONS", headers=headers))
    assert answer is not None
    assert answer.status == 200
    assert sap.handshake(lab.delivery(b"", method="OPTIONS")) is None
    assert sap.handshake(lab.delivery(b"", method="POST", headers=headers)) is None


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


async def test_a_pointer_is_fetched_with_its_lines(s4: Any) -> None:
    """Both kinds of documents, by Basic authentication; what is gone is nothing, what fails is asked again."""
    connector = connected(s4.url)
    (order,) = await connector.fetch("SalesOrder/4800")
    (returned,) = await connector.fetch("CustomerReturn/60000012")
    assert [each.kind for each in (*connector.normalise(order), *connector.normalise(returned))] == [
        "placed",
        "returned",
    ]
    address, login, _ = s4.asked[0]
    assert address == "/sap/opu/odata/sap/API_SALES_ORDER_SRV/A_SalesOrder('4800')?$expand=to_Item&$format=json"
    assert login == "Basic Ujp3b3Jk"
    assert await connector.fetch("SalesOrder/4809") == ()
    with pytest.raises(Unavailable, match="500"):
        await connector.fetch("SalesOrder/4808")
    for pointer in ("SalesOrder/4800')/x", "Invoice/1", "SalesOrder/"):
        assert await connector.fetch(pointer) == ()
    assert len(s4.asked) == 4


async def test_a_document_without_its_lines_points_to_them_once(s4: Any, sap: Sap) -> None:
    """In a list it is a pointer; where it was fetched for them, it is refused, or it would be fetched for ever."""
    document = {"d": {"SalesOrder": "4800", "to_Item": {"__deferred": {"uri": "https://x"}}}}
    assert lab.means(connected(s4.url), document)[0].pointer == "SalesOrder/4800"
    with pytest.raises(InvalidRequest, match="left out the lines"):
        lab.means(sap, document, pointer="SalesOrder/4800")
    with pytest.raises(Unavailable, match="not known where"):
        await sap.fetch("SalesOrder/4800")
