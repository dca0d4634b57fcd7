"""The connector of HubSpot against its kit and a batch of events in HubSpot's form."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import msgspec
import pytest
import remote_lab as lab

from licentia.errors import InvalidRequest, Unauthenticated, Unavailable
from licentia.settings import SettingsError
from licentia.testing import ConnectorContract
from licentia_integrations.hubspot import HubSpot

SECRET = "hush"
URL = "https://licenses.example.com/connectors/hubspot?to=sales@example.com"
MOMENT = str(int(lab.AT.timestamp() * 1000) + 123)


def sign(body: bytes, url: str = URL, moment: str = MOMENT) -> dict[str, str]:
    """The headers of version 3, worked out by hand."""
    message = b"POST" + url.encode() + body + moment.encode()
    signature = base64.b64encode(hmac.new(SECRET.encode(), message, hashlib.sha256).digest()).decode()
    return {"x-hubspot-signature-v3": signature, "x-hubspot-request-timestamp": moment}


@pytest.fixture
def crm() -> Iterator[Any]:
    """A HubSpot with one deal of two lines."""
    with lab.running() as system:
        tied = {
            "line items": {"results": [{"id": "9"}, {"id": "10"}, {"id": "9"}]},
            "companies": {"results": [{"id": "77"}]},
        }
        deal = {"id": "123", "properties": {"dealstage": "closedwon"}, "associations": tied}
        system.answers = {
            "objects/deals/404": 404,
            "objects/deals/": msgspec.json.encode(deal),
            "line_items/9": msgspec.json.encode({"id": "9", "properties": {"quantity": "3", "hs_sku": "CAD"}}),
            "line_items/10": 404,
        }
        yield system


def connected(url: str, **settings: Any) -> HubSpot:
    """The connector of a HubSpot at this address."""
    return HubSpot("hubspot", {"secret": ["next", SECRET], "api": {"url": url, "password": "pat-1"}, **settings})


class TestHubSpot(ConnectorContract):
    """Each golden delivery means what is written beside it."""

    golden = lab.deliveries("hubspot", sign)
    changes = 32

    @pytest.fixture
    def connector(self, crm: Any) -> HubSpot:
        """The connector with the secret of the golden deliveries."""
        return connected(crm.url)

    def addressed(self, delivery: Any) -> Any:
        """The address is signed, too."""
        return msgspec.structs.replace(delivery, url=URL)


@pytest.fixture
def hubspot() -> HubSpot:
    """The connector with a token to fetch by, of nobody who is there."""
    return connected("http://127.0.0.1:9")


def test_settings_that_are_wrong_are_named() -> None:
    """Without a secret, or with an address that is none, nothing starts."""
    for settings in ({}, {"secret": "s", "public_url": "ftp://x"}, {"secret": "s", "stages": []}):
        with pytest.raises(SettingsError, match=r"\[connector.hubspot\]"):
            HubSpot("hubspot", settings)


async def test_method_address_body_and_time_are_signed(hubspot: HubSpot) -> None:
    """Another of any of them is refused."""
    body = b"[]"
    good = {"headers": sign(body), "url": URL}
    await hubspot.authenticate(lab.delivery(body, **good))
    for other in (
        {"method": "PUT"},
        {"url": URL + "&x=1"},
        {"headers": {**sign(body), "x-hubspot-request-timestamp": str(int(MOMENT) + 1)}},
        {"headers": {"x-hubspot-signature-v3": sign(body)["x-hubspot-signature-v3"]}},
        {"headers": {"x-hubspot-signature": "v1"}},
    ):
        with pytest.raises(Unauthenticated):
            await hubspot.authenticate(lab.delivery(body, **{**good, **other}))


async def test_signatures_grow_old(hubspot: HubSpot) -> None:
    """After five minutes, and before the time that they tell."""
    given = {"headers": sign(b"[]"), "url": URL}
    await hubspot.authenticate(lab.delivery(b"[]", received_at=lab.AT + timedelta(seconds=299), **given))
    for seconds in (301, -301):
        with pytest.raises(Unauthenticated, match="300 seconds"):
            await hubspot.authenticate(lab.delivery(b"[]", received_at=lab.AT + timedelta(seconds=seconds), **given))


async def test_the_address_is_signed_as_hubspot_writes_it() -> None:
    """Some escapes are plain in it; behind a proxy it is the one that HubSpot calls."""
    connector = connected("http://127.0.0.1:9", public_url="https://licenses.example.com/hooks?a=1")
    headers = sign(b"[]", "https://licenses.example.com/hooks?a=1")
    await connector.authenticate(lab.delivery(b"[]", headers=headers, url="http://10.0.0.1/hooks?a=1"))
    escaped = URL.replace("@", "%40").replace("/connectors", "%2fconnectors")
    await connected("http://127.0.0.1:9").authenticate(lab.delivery(b"[]", headers=sign(b"[]"), url=escaped))


def test_a_batch_that_is_sent_again_keeps_its_id(hubspot: HubSpot) -> None:
    """The number of the attempt and the order of the events do not matter."""
    events = msgspec.json.decode((lab.GOLDEN / "hubspot" / "events.json").read_bytes())
    again = [{**each, "attemptNumber": 1} for each in reversed(events)]
    assert hubspot.delivery_id(lab.delivery(again)) == hubspot.delivery_id(lab.delivery(events))
    assert hubspot.delivery_id(lab.delivery(events[1:])) != hubspot.delivery_id(lab.delivery(events))


def test_a_deal_that_is_deleted_later_stays_deleted(hubspot: HubSpot) -> None:
    """Of several events of one deal the latest counts, in whatever order they come."""
    created = {"subscriptionType": "deal.creation", "objectId": 1, "occurredAt": 1}
    deleted = {"subscriptionType": "deal.deletion", "objectId": 1, "occurredAt": 2}
    for events in ([created, deleted], [deleted, created]):
        assert [each.kind for each in lab.means(hubspot, events)] == ["cancelled"]


@pytest.mark.parametrize(
    "document",
    [
        [{"subscriptionType": "deal.creation"}],
        [{"subscriptionType": "deal.creation", "objectId": "1/../2"}],
        [{}],
        [{"subscriptionType": "deal.creation", "objectId": 1}] * 1001,
        {"deal": {"id": "1", "properties": {"dealstage": "closedwon"}}, "line_items": [{"id": "1"}]},
        {
            "deal": {"id": "1", "properties": {"dealstage": "closedwon"}},
            "line_items": [{"id": "1", "properties": {"quantity": "x"}}],
        },
        {"id": None, "properties": {"dealstage": "closedwon"}},
    ],
)
def test_what_cannot_be_understood_is_refused(hubspot: HubSpot, document: Any) -> None:
    """An event without its deal, too many of them, and lines without a quantity."""
    with pytest.raises(InvalidRequest):
        lab.means(hubspot, document)


async def test_a_deal_is_fetched_with_its_lines(crm: Any) -> None:
    """Each line once, with the app's token; a line that is gone by then is left out, and so is a deal."""
    connector = connected(crm.url)
    (found,) = await connector.fetch("deals/123")
    (change,) = connector.normalise(found)
    assert (change.kind, change.full_snapshot, change.customer and change.customer.id) == ("placed", True, "77")
    assert [(line.line_id, line.sku, int(line.quantity)) for line in change.lines] == [("9", "CAD", 3)]
    assert {each[1] for each in crm.asked} == {"Bearer pat-1"}
    assert len(crm.asked) == 3
    assert await connector.fetch("deals/404") == ()
    assert await connector.fetch("contacts/1") == ()
    with pytest.raises(Unavailable, match="not known where"):
        await HubSpot("hubspot", {"secret": "s"}).fetch("deals/123")
