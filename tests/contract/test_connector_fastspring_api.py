"""The connector of FastSpring against a stand-in for its API: events that were found, acknowledged, and tags."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import connector_lab as lab
import fastspring_store as fastspring
import loopback_shop as loopback
import msgspec
import pytest

from licentia.connectors import Answer, Delivery, Outcome, Page
from licentia.errors import InvalidRequest, Unavailable
from licentia.settings import SettingsError
from licentia_integrations import calls
from licentia_integrations.fastspring import FastSpring

TICKET = "7GJDG-J8HPG-QX2MN-4TRWB-9KVCS"
NOW = datetime.now(UTC)


def connect(address: str, **settings: object) -> FastSpring:
    """A connector of the store at an address."""
    api = {"api_url": f"{address}/", "api_user": "user", "api_password": "password"}
    return FastSpring("fastspring", {"secret": "s", **api, **settings})


@pytest.fixture
def store() -> Any:
    """A store."""
    return fastspring.FastSpringStore()


@pytest.fixture
async def linked(store: Any) -> AsyncIterator[FastSpring]:
    """The connector of the store."""
    with loopback.listening(store) as address:
        connector = connect(address)
        yield connector
        await connector.close()


def numbers(connector: FastSpring, page: Page) -> list[str]:
    """The numbers of the orders that were found."""
    return [change.order_number for each in page.deliveries for change in connector.normalise(each)]


def batch(*events: Any) -> Delivery:
    """A webhook."""
    return Delivery(body=msgspec.json.encode({"events": events}), received_at=NOW)


async def test_each_event_is_found_once(linked: FastSpring, store: Any) -> None:
    """25 at a time, the oldest of them first; in the end FastSpring has all marked, also what means nothing."""
    start = fastspring.now() - 3_600_000
    for number in range(60):
        store.happens(f"evt{number}", "order.completed", fastspring.order(f"ord{number}"), start + number)
        store.happens(f"other{number}", "mailingListEntry.updated", {}, start + number)
    found, cursor = await lab.polled(linked)
    assert lab.numbers(found) == [f"ord{number}" for number in range(60)]
    assert store.unprocessed == []
    store.happens("evt", "order.canceled", fastspring.order("ord7"))
    again, cursor = await lab.polled(linked, cursor)
    assert lab.numbers(again) == ["ord7"]
    assert (await lab.polled(linked, cursor))[0] == []


async def test_nothing_is_marked_before_it_is_stored(linked: FastSpring, store: Any) -> None:
    """A server that dies with an answer in its hands asks again, and gets the same; a poll that is stored marks."""
    store.happens("evt1", "order.completed", fastspring.order("ord1"))
    first = await linked.poll("")
    assert store.unprocessed == ["evt1"]
    again = await linked.poll("")
    assert numbers(linked, first) == numbers(linked, again) == ["ord1"]
    store.happens("evt2", "order.completed", fastspring.order("ord2"))
    for _ in range(2):
        second = await linked.poll(again.cursor)
        assert numbers(linked, second) == ["ord2"]
        assert store.unprocessed == ["evt2"]
    assert (await linked.poll(second.cursor)).deliveries == ()
    assert store.unprocessed == []


async def test_what_cannot_be_marked_stops_nothing(linked: FastSpring, store: Any) -> None:
    """FastSpring knows an event no more, or it has an id that is none; another failure is tried again."""
    store.happens("evt1", "order.completed", fastspring.order("ord1"))
    store.happens("../x", "order.completed", fastspring.order("ord2"))
    page = await linked.poll("")
    assert sorted(numbers(linked, page)) == ["ord1", "ord2"]
    for failure in (fastspring.refused("event.update", {}, 500), loopback.Response("no", 401)):
        store.next = [failure]
        with pytest.raises(Unavailable):
            await linked.poll(page.cursor)
    del store.events["evt1"]
    assert numbers(linked, await linked.poll(page.cursor)) == ["ord2"]


async def test_a_webhook_and_a_poll_of_one_event_are_one_delivery(linked: FastSpring, store: Any) -> None:
    """Both have the id of the event; whether it is marked does not matter."""
    store.happens("evt1", "order.completed", fastspring.order("ord1", live=False))
    sent = batch(store.events["evt1"] | {"processed": True})
    (found,) = (await linked.poll("")).deliveries
    assert linked.delivery_id(found) == linked.delivery_id(sent) == "evt1"
    assert linked.normalise(found) == linked.normalise(sent)
    assert linked.normalise(found)[0].test


async def test_a_poll_begins_a_day_ago(store: Any) -> None:
    """Or on the day that is set, but FastSpring keeps a month only; what is older is not marked either."""
    day = 86_400_000
    for days in (0, 1, 3, 20, 29, 40):
        store.happens(
            f"evt{days}", "order.completed", fastspring.order(f"ord{days}"), fastspring.now() - days * day - 9
        )
    with loopback.listening(store) as address:
        connector = connect(address)
        assert lab.numbers((await lab.polled(connector))[0]) == ["ord0"]
        assert len(store.unprocessed) == 5
        since = (NOW - timedelta(days=4)).date()
        begun = connect(address, poll_from=since)
        assert lab.numbers((await lab.polled(begun))[0]) == ["ord3", "ord1"]
        long_ago = connect(address, poll_from="2020-01-01")
        assert lab.numbers((await lab.polled(long_ago))[0]) == ["ord20"]
        for each in (connector, begun, long_ago):
            await each.close()


async def test_what_is_illegible_is_found_for_a_person(linked: FastSpring, store: Any) -> None:
    """It is delivered by itself, refused as illegible, and marked."""
    store.happens("evt1", "order.completed", {"items": []})
    store.happens("evt2", "order.completed", fastspring.order("ord2"))
    store.happens("evt3", "order.completed", fastspring.order("ord3"), live="maybe")
    refusals = 0
    page = await linked.poll("")
    for delivery in page.deliveries:
        try:
            linked.normalise(delivery)
        except InvalidRequest:
            refusals += 1
    assert (len(page.deliveries), refusals) == (3, 2)
    assert (await linked.poll(page.cursor)).deliveries == ()


@pytest.mark.parametrize(
    "failure",
    [
        loopback.Response({"action": "events.get", "result": "error"}, 500),
        loopback.Response({"action": "events.get", "result": "error"}, 400),
        loopback.Response("hello"),
        loopback.Response({"events": None}),
        loopback.Response({}, 302, {"location": "https://elsewhere.example"}),
    ],
)
async def test_a_failure_loses_nothing(linked: FastSpring, store: Any, failure: Any) -> None:
    """It is asked again later."""
    store.happens("evt1", "order.completed", fastspring.order("ord1"))
    store.next = [failure]
    with pytest.raises(Unavailable):
        await linked.poll("")
    assert lab.numbers((await lab.polled(linked))[0]) == ["ord1"]


async def test_a_store_that_is_slow_or_busy_is_left_alone(
    linked: FastSpring, store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No answer in time; then a pause that the store asks for, in which nothing is asked."""
    monkeypatch.setattr(calls, "ALL_SECONDS", 0.2)
    answer = store.answer
    store.answer = lambda request: (time.sleep(0.4), answer(request))[1]
    with pytest.raises(Unavailable, match="TimeoutError"):
        await linked.poll("")
    store.answer = answer
    store.next = [loopback.Response({}, 429, {"retry-after": "60"})]
    for problem in ("status 429", "asked too much", "asked too much"):
        with pytest.raises(Unavailable, match=problem):
            await linked.write_back(Outcome(order_number="ord1", ticket=TICKET))
    assert len(store.requests) == 2


async def test_a_batch_is_acknowledged_event_by_event(linked: FastSpring) -> None:
    """What is legible is understood and named with 202; the rest comes again, and is then kept for a person."""
    good, other = {"id": "evt1", "type": "order.completed", "data": fastspring.order("ord1")}, {"id": "e", "type": "x"}
    bad = {"id": "evt2", "type": "order.completed", "data": {"items": []}}
    mixed = batch(good, bad, other, {"id": "evt3"}, {"type": "nameless"})
    assert [change.order_number for change in linked.normalise(mixed)] == ["ord1"]
    assert linked.answer(mixed, ()) == Answer(status=202, body=b"evt1\ne")
    assert linked.answer(batch(good, other), ()) == linked.answer(batch(), ()) == Answer(status=200)
    with pytest.raises(InvalidRequest):
        linked.normalise(batch(bad))
    for illegible in (batch(bad), Delivery(body=b"{", received_at=NOW)):
        assert linked.answer(illegible, ()) == Answer(status=200)


async def test_the_ticket_is_a_tag(linked: FastSpring, store: Any) -> None:
    """First why there is none, then the ticket. Other tags stay, and nothing is written twice."""
    store.orders = {"ord1": fastspring.order("ord1", tags={"campaign": "spring"}), "ord2": fastspring.order("ord2")}
    problem = Outcome(order_number="ord1", problem="p" * 900)
    for outcome in (problem, problem, *(2 * [Outcome(order_number="ord1", ticket=TICKET)])):
        await linked.write_back(outcome)
        tags = store.orders["ord1"]["tags"]
        assert tags["campaign"] == "spring"
        assert tags["licentia_problem"] == (outcome.problem or "")[:500]
    assert store.orders["ord1"]["tags"]["licentia_ticket"] == TICKET
    await linked.write_back(Outcome(order_number="ord2", ticket=TICKET))
    assert store.orders["ord2"]["tags"] == {"licentia_ticket": TICKET}
    assert store.writes == 3


async def test_an_order_that_is_nowhere_is_told_nothing(linked: FastSpring, store: Any) -> None:
    """Its number is none of this store, or is none at all."""
    for number in ("ord9", "../accounts/1", "a,b"):
        await linked.write_back(Outcome(order_number=number, ticket=TICKET))
    assert [request.path for request in store.requests] == ["/orders/ord9"]


@pytest.mark.parametrize(
    "failures",
    [
        [loopback.Response({}, 500)],
        [loopback.Response(b"<html>", 404)],
        [
            loopback.Response({"tags": {}}),
            loopback.Response({"orders": [{"result": "error", "error": {"tags": "no"}}]}),
        ],
        [loopback.Response({"tags": {}}), loopback.Response({}, 400)],
        [loopback.Response({"tags": 1})],
    ],
)
async def test_a_ticket_that_was_refused_is_written_later(linked: FastSpring, store: Any, failures: list[Any]) -> None:
    """It is told why."""
    store.orders = {"ord1": fastspring.order("ord1")}
    store.next = failures
    with pytest.raises(Unavailable):
        await linked.write_back(Outcome(order_number="ord1", ticket=TICKET))
    await linked.write_back(Outcome(order_number="ord1", ticket=TICKET))
    assert store.orders["ord1"]["tags"] == {"licentia_ticket": TICKET}


async def test_a_wrong_password_is_told(store: Any) -> None:
    """And is not repeated."""
    with loopback.listening(store) as address:
        connector = connect(address, api_password="wrong password")
        with pytest.raises(Unavailable, match="status 401") as refusal:
            await connector.poll("")
        assert "wrong password" not in f"{refusal.value} {refusal.value.next_step}"
        await connector.close()


async def test_without_credentials_nothing_is_asked() -> None:
    """Deliveries alone do; the connector says that it is not connected."""
    connector = FastSpring("fastspring", {"secret": "s"})
    assert not connector.connected
    assert await connector.poll("c") == Page(deliveries=(), cursor="c")
    await connector.write_back(Outcome(order_number="ord1", ticket=TICKET))
    await connector.close()


@pytest.mark.parametrize(
    "settings",
    [
        {"api_user": "u"},
        {"api_password": "p"},
        {"api_user": "u", "api_password": ""},
        {"api_url": "http://fastspring.example", "api_user": "u", "api_password": "p"},
        {"poll_from": "yesterday"},
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, object]) -> None:
    """A connector with a wrong setting does not start."""
    with pytest.raises(SettingsError, match=r"connector\.fastspring"):
        FastSpring("fastspring", {"secret": "s", **settings})
