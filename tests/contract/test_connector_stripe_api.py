"""The connector of Stripe and its API: events that were lost, states that have no events any more, and metadata."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import loopback_shop as loopback
import msgspec
import pytest
import stripe
import stripe_account as accounts
import structlog

from licentia.connectors import Change, Delivery, Outcome
from licentia.errors import Unavailable
from licentia.settings import SettingsError
from licentia_integrations import calls
from licentia_integrations.stripe import Stripe
from licentia_integrations.stripe.events import EVENTS

TICKET = "7GJDG-J8HPG-QX2MN-4TRWB-9KVCS"
ITEMS = {"object": "list", "data": [{"id": "x", "quantity": 2, "price": {"id": "price_pro"}}], "has_more": False}
DAY = 86_400


@pytest.fixture
def account() -> Any:
    """An account without anything."""
    return accounts.StripeAccount()


@pytest.fixture
def address(account: Any) -> Iterator[str]:
    """Where its API is."""
    with loopback.listening(account) as url:
        yield url


@pytest.fixture
async def connector(address: str) -> AsyncIterator[Stripe]:
    """A connector with a key of the account."""
    made = connect(address)
    yield made
    await made.close()


@pytest.fixture
def official(address: str) -> Any:
    """Stripe's own library as a client of the same account."""
    return stripe.StripeClient(accounts.KEY, base_addresses={"api": address}, max_network_retries=0)


def connect(address: str, **settings: object) -> Stripe:
    """A connector of the account at an address."""
    return Stripe("stripe", {"secret": "s", "api_key": accounts.KEY, "api_url": address, **settings})


def subscription(account: Any, number: int, at: int = 0, **fields: Any) -> Any:
    """A subscription that was made so many seconds ago."""
    path = f"subscriptions/sub_{number}"
    known = {"object": "subscription", "status": "active", "customer": "cus_1", "items": ITEMS}
    return account.put(path, **({"created": account.now - at} | known | fields))


def invoice(account: Any, number: int, at: int = 0, **fields: Any) -> Any:
    """An invoice that was made and paid so many seconds ago."""
    known = {"object": "invoice", "status": "paid", "customer": "cus_1", "lines": ITEMS}
    known |= {"status_transitions": {"paid_at": account.now - at}, "created": account.now - at}
    return account.put(f"invoices/in_{number}", **(known | fields))


async def polled(connector: Stripe, cursor: str = "", most: int = 60) -> tuple[list[Delivery], str]:
    """All that polls find until there is nothing new, and the cursor then."""
    found: list[Delivery] = []
    for _ in range(most):
        page = await connector.poll(cursor)
        assert len(page.deliveries) <= 300
        found += page.deliveries
        if page.cursor == cursor or not page.deliveries:
            return found, page.cursor
        cursor = page.cursor
    raise AssertionError("it does not end")


def ids(found: list[Delivery]) -> list[str]:
    """The ids of what was found, in its order."""
    return [msgspec.json.decode(each.body)["id"] for each in found]


def meant(connector: Stripe, found: list[Delivery]) -> list[Change]:
    """The changes that it means, in its order."""
    return [change for each in found for change in connector.normalise(each)]


# --- events that were lost ------------------------------------------------------------------------


async def test_a_poll_finds_what_the_official_library_lists(account: Any, connector: Stripe, official: Any) -> None:
    """The events that are read, the oldest first, as the library finds them; others are not asked for."""
    for number in range(250):
        kind = "customer.subscription.updated" if number % 5 else "product.updated"
        account.happen(kind, subscription(account, number), account.now - 3000 + number * 7)
    listed = official.v1.events.list({"types": [*EVENTS], "limit": 100}).auto_paging_iter()
    found, _ = await polled(connector)
    assert ids(found) == [event.id for event in listed][::-1]
    assert len(found) == 200


async def test_an_event_is_one_delivery_however_it_comes(account: Any, connector: Stripe) -> None:
    """What a poll finds has the id of the event, as its webhook has, and means the same."""
    event = account.happen("customer.subscription.updated", subscription(account, 1))
    (found,), _ = await polled(connector)
    sent = Delivery(body=msgspec.json.encode(event), received_at=datetime.now(UTC))
    assert connector.delivery_id(found) == connector.delivery_id(sent) == event["id"]
    assert connector.normalise(found) == connector.normalise(sent) != ()


async def test_an_event_that_becomes_visible_late_is_found(account: Any, connector: Stripe) -> None:
    """Each poll looks back some minutes, and tells nothing twice."""
    first = account.happen("customer.subscription.updated", subscription(account, 1), account.now - 5)
    found, cursor = await polled(connector)
    assert ids(found) == [first["id"]]
    late = account.happen("customer.subscription.updated", subscription(account, 2), account.now - 300)
    same = account.happen("customer.subscription.updated", subscription(account, 3), first["created"])
    found, cursor = await polled(connector, cursor)
    assert ids(found) == [late["id"], same["id"]]
    assert (await polled(connector, cursor))[0] == []


async def test_a_quiet_account_costs_one_request(account: Any, connector: Stripe) -> None:
    """A poll that finds a few events, or none, asks once."""
    account.happen("invoice.paid", invoice(account, 1))
    page = await connector.poll("")
    assert (len(page.deliveries), len(account.requests)) == (1, 1)
    await connector.poll(page.cursor)
    assert len(account.requests) == 2


async def test_a_burst_in_this_very_second_is_read(account: Any, address: str) -> None:
    """More events than a page has, of the second in which the walk begins and ends."""
    connector = connect(address)
    cursor = msgspec.json.encode({"events": {"since": account.now * 1000}}).decode()
    for _ in range(350):
        account.happen("customer.subscription.updated", subscription(account, 1))
    found, _ = await polled(connector, cursor)
    assert sorted(ids(found)) == [event["id"] for event in account.events]
    assert len(account.requests) < 25
    await connector.close()


@pytest.mark.parametrize("seed", range(2))
async def test_a_long_absence_is_made_up_for(account: Any, address: str, seed: int) -> None:
    """Thousands of events of weeks, in bursts, many in one second: each once, the oldest first, in few requests."""
    chance = random.Random(seed)
    document = subscription(account, 1)
    times = [account.now - chance.randrange(27 * DAY) for _ in range(400)]
    for centre in [account.now - chance.randrange(1, 27 * DAY) for _ in range(3)]:
        times += [centre - chance.randrange(2) * chance.randrange(60) for _ in range(320)]
    for at in times:
        account.happen("customer.subscription.updated", document, at)
    connector = connect(address, poll_from=str((account.clock - timedelta(days=28)).date()))
    found, cursor = await polled(connector)
    assert sorted(ids(found)) == sorted(event["id"] for event in account.events)
    created = [msgspec.json.decode(each.body)["created"] for each in found]
    assert created == sorted(created)
    assert len(account.requests) < 250
    assert len(cursor) < 100_000
    await connector.close()


async def test_the_first_poll_begins_at_the_day_that_is_set(account: Any, address: str) -> None:
    """Without a day it goes back one."""
    day = (account.clock - timedelta(days=3)).date()
    midnight = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
    for at in (midnight - 1, midnight, account.now - DAY - 60, account.now - DAY + 60):
        account.happen("customer.subscription.updated", subscription(account, 1), at)
    for settings, expected in (({}, 1), ({"poll_from": str(day)}, 3)):
        connector = connect(address, **settings)
        found, _ = await polled(connector)
        assert len(found) == expected
        await connector.close()


async def test_a_cursor_that_is_none_begins_anew(account: Any, connector: Stripe) -> None:
    """What another version wrote is no reason to fail."""
    account.happen("customer.subscription.updated", subscription(account, 1))
    for cursor in ("{", "[]", '{"events":1}'):
        assert len((await connector.poll(cursor)).deliveries) == 1


# --- what has no events any more ------------------------------------------------------------------


def fill(account: Any) -> None:
    """What was bought and paid back in an account, some of it long ago."""
    subscription(account, 1, 80 * DAY, items={"data": [{"id": "x", "quantity": 5, "price": {"id": "price_pro"}}]})
    subscription(account, 2, 80 * DAY, status="canceled", ended_at=account.now - 35 * DAY)
    subscription(account, 3, 80 * DAY, status="canceled", ended_at=account.now - 70 * DAY)
    invoice(account, 1, 80 * DAY, billing_reason="subscription_create", subscription="sub_1")
    invoice(account, 2, 35 * DAY, created=account.now - 64 * DAY, billing_reason="subscription_cycle",
            subscription="sub_1")  # fmt: skip
    invoice(account, 3, 50 * DAY)
    checkout = {"object": "checkout.session", "status": "complete", "payment_status": "paid", "line_items": ITEMS}
    account.put("checkout/sessions/cs_1", created=account.now - 34 * DAY, payment_intent="pi_1", **checkout)
    account.put("checkout/sessions/cs_2", created=account.now - 55 * DAY, payment_intent="pi_2", **checkout)
    account.put("checkout/sessions/cs_3", created=account.now - 80 * DAY, payment_intent="pi_3", **checkout)
    account.put("charges/ch_9", object="charge", refunded=True, amount_refunded=5, payment_intent="pi_9",
                created=account.now - 200 * DAY)  # fmt: skip
    account.others["refunds"].append({"id": "re_1", "charge": "ch_9", "created": account.now - 33 * DAY})
    paid = {"object": "invoice_payment", "status": "paid", "invoice": "in_2", "payment": {"payment_intent": "pi_7"}}
    account.others["invoice_payments"].append({"id": "inpay_1", "created": account.now - 35 * DAY, **paid})
    lost = {"object": "dispute", "status": "lost", "payment_intent": "pi_8", "charge": "ch_8"}
    account.others["disputes"].append({"id": "dp_1", "created": account.now - 32 * DAY, **lost})


async def away(connector: Stripe, account: Any, days: int) -> str:
    """The cursor of a poll that was so many days ago."""
    _, cursor = await polled(connector)
    known = msgspec.json.decode(cursor)
    known["events"]["since"] -= days * DAY * 1000
    return msgspec.json.encode(known).decode()


async def test_after_more_than_a_month_the_states_are_asked(account: Any, connector: Stripe) -> None:
    """Whoever was away for longer than Stripe has events gets what is so now, and the log says why."""
    cursor = await away(connector, account, 40)
    fill(account)
    account.happen("customer.subscription.updated", account.documents["subscriptions/sub_1"], account.now - 20 * DAY)
    with structlog.testing.capture_logs() as logs:
        found, cursor = await polled(connector, cursor)
    (said,) = [entry for entry in logs if entry["event"] == "stripe_events_expired"]
    assert (said["log_level"], said["connection"]) == ("error", "stripe")
    changes = meant(connector, found)
    assert sorted((change.kind, change.order_number) for change in changes) == [
        ("cancelled", "sub_2"),
        ("changed", "pi_7"),
        ("changed", "sub_1"),
        ("pointer", "pi_1"),
        ("pointer", "pi_2"),
        ("renewed", "in_2"),
        ("returned", "ch_9"),
        ("returned", "dp_1"),
    ]
    versions = {change.order_number: change.version for change in changes}
    assert versions["in_2"] == (account.now - 35 * DAY) * 1000
    assert versions["pi_1"] == (account.now - 34 * DAY) * 1000
    assert versions["sub_1"] > (account.now - DAY) * 1000
    account.happen("customer.subscription.updated", account.documents["subscriptions/sub_1"])
    found, _ = await polled(connector, cursor)
    assert len(found) == 1


async def test_a_first_day_of_long_ago_is_asked_as_states(account: Any, address: str) -> None:
    """A connection that begins before the oldest event gets what began since, and no older subscription."""
    fill(account)
    connector = connect(address, poll_from=str((account.clock - timedelta(days=60)).date()))
    with structlog.testing.capture_logs() as logs:
        found, _ = await polled(connector)
    assert [entry["log_level"] for entry in logs] == ["info"]
    numbers = [change.order_number for change in meant(connector, found)]
    assert sorted(numbers) == ["ch_9", "dp_1", "in_2", "in_3", "pi_1", "pi_2", "pi_7"]
    await connector.close()


async def test_long_lists_of_states_are_read_to_their_end(account: Any, connector: Stripe) -> None:
    """Hundreds of subscriptions over several polls, each once; a place that is lost is no end."""
    cursor = await away(connector, account, 40)
    for number in range(730):
        subscription(account, number, 100 * DAY - number)
    found: list[Delivery] = []
    while not found:
        page = await connector.poll(cursor)
        found, cursor = [*page.deliveries], page.cursor
    lost = msgspec.json.decode(cursor)["states"]["after"]
    del account.documents[f"subscriptions/{lost}"]
    more, _ = await polled(connector, cursor)
    assert {*ids(found), *ids(more)} == {f"sub_{number}" for number in range(730)}


async def test_an_account_without_a_list_has_nothing_in_it(account: Any, connector: Stripe) -> None:
    """Before 2025-03-31 Stripe has no payments of invoices; the other lists are read all the same."""
    cursor = await away(connector, account, 40)
    fill(account)
    account.faults = [accounts.gone("x")] * 4
    with pytest.raises(Unavailable, match="no list of events"):
        await connector.poll("")
    found, _ = await polled(connector, cursor)
    assert [change.kind for change in meant(connector, found)] == ["changed", "returned", "returned"]


# --- what is written back -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    ["subscriptions/sub_1", "invoices/in_1", "payment_intents/pi_1", "checkout/sessions/cs_test_1", "charges/py_1"],
)
async def test_a_ticket_stands_in_the_metadata(account: Any, connector: Stripe, official: Any, path: str) -> None:
    """Of what the order's number names; once, beside what stands there, and the problem is gone then."""
    document = account.put(path, metadata={"cms": "7", "licentia_problem": "old"}, status="active")
    number = path.rpartition("/")[2]
    await connector.write_back(Outcome(order_number=number, problem="No product."))
    assert document["metadata"] == {"cms": "7", "licentia_problem": "No product."}
    for _ in range(2):
        await connector.write_back(Outcome(order_number=number, ticket=TICKET))
    assert document["metadata"] == {"cms": "7", "licentia_ticket": TICKET}
    assert account.writes == 2
    services = {"sub": "subscriptions", "in": "invoices", "pi": "payment_intents", "py": "charges"}
    service = services.get(number.partition("_")[0])
    told = (getattr(official.v1, service) if service else official.v1.checkout.sessions).retrieve(number)
    assert told.metadata["licentia_ticket"] == TICKET


def test_the_stand_in_takes_what_the_official_library_writes(account: Any, official: Any) -> None:
    """Metadata as the library writes it is merged, and an empty value takes an entry away."""
    document = account.put("invoices/in_1", metadata={"a": "1", "b": "2"})
    official.v1.invoices.update("in_1", {"metadata": {"a": "", "c": "3"}})
    assert document["metadata"] == {"b": "2", "c": "3"}
    with pytest.raises(stripe.InvalidRequestError, match="unknown"):
        official.v1.invoices.update("in_1", {"description": "x"})
    with pytest.raises(stripe.InvalidRequestError, match="unknown"):
        official.v1.events.list({"nonsense": 1})
    twice = {"idempotency_key": "k"}
    official.v1.invoices.update("in_1", {"metadata": {"d": "4"}}, twice)
    with pytest.raises(stripe.IdempotencyError):
        official.v1.invoices.update("in_1", {"metadata": {"d": "5"}}, twice)


async def test_a_long_reason_is_cut(account: Any, connector: Stripe) -> None:
    """A value has 500 characters at most; a document may have no metadata yet."""
    document = account.put("invoices/in_1", metadata=None)
    for _ in range(2):
        await connector.write_back(Outcome(order_number="in_1", problem="ä" * 2000))
    assert document["metadata"] == {"licentia_problem": "ä" * 500}
    assert account.writes == 1


async def test_what_cannot_be_written_is_no_endless_retry(account: Any, connector: Stripe) -> None:
    """What is gone, or can no longer be changed, is left with a line in the log; another number is nothing."""
    account.put("subscriptions/sub_1")
    account.fixed.add("subscriptions/sub_1")
    with structlog.testing.capture_logs() as logs:
        for number in ("sub_1", "in_404", "order/1"):
            await connector.write_back(Outcome(order_number=number, ticket=TICKET))
    assert [(entry["document"], entry["reason"]) for entry in logs] == [
        ("subscriptions/sub_1", "This can no longer be changed."),
        ("invoices/in_404", "it is gone"),
    ]
    assert TICKET not in str(logs)
    assert account.writes == 0


@pytest.mark.parametrize("asked", [0, 1])
async def test_another_server_says_nothing_for_stripe(account: Any, connector: Stripe, asked: int) -> None:
    """A page that is not found at a wrong address is no reason to give a ticket up."""
    document = account.put("invoices/in_1")
    account.faults = [loopback.Response(document)] * asked + [loopback.Response("<html>", 404)]
    with pytest.raises(Unavailable, match="status 404"):
        await connector.write_back(Outcome(order_number="in_1", ticket=TICKET))
    account.faults = [loopback.Response("<html>", 404)]
    with pytest.raises(Unavailable, match="status 404"):
        await connector.poll("")


async def test_a_key_that_may_not_write_something_is_not_used_for_it(account: Any, address: str) -> None:
    """Only what the settings name is written to; nothing else is asked for."""
    connector = connect(address, write_to=["subscriptions", "checkout_sessions"])
    for path in ("subscriptions/sub_1", "checkout/sessions/cs_1", "payment_intents/pi_1"):
        account.put(path)
        await connector.write_back(Outcome(order_number=path.rpartition("/")[2], ticket=TICKET))
    assert account.writes == 2
    assert len(account.requests) == 4
    await connector.close()


async def test_metadata_that_is_full_can_be_mended(account: Any, connector: Stripe) -> None:
    """It is said, and tried again; a key that is there may change."""
    full = {f"k{n}": "v" for n in range(50)}
    document = account.put("invoices/in_1", metadata=full)
    with pytest.raises(Unavailable, match="50 entries"):
        await connector.write_back(Outcome(order_number="in_1", ticket=TICKET))
    document["metadata"] = {name: value for name, value in full.items() if name != "k0"} | {"licentia_problem": "old"}
    await connector.write_back(Outcome(order_number="in_1", ticket=TICKET))
    assert len(document["metadata"]) == 50


async def test_a_write_that_failed_is_done_again(account: Any, connector: Stripe) -> None:
    """Each try has a key of its own, as Stripe answers an old one with the old failure."""
    document = account.put("invoices/in_1")
    found = loopback.Response(document)
    account.faults = [found, accounts.refused("Sorry.", status=500, type="api_error")]
    with pytest.raises(Unavailable, match=r"status 500: Sorry\."):
        await connector.write_back(Outcome(order_number="in_1", ticket=TICKET))
    await connector.write_back(Outcome(order_number="in_1", ticket=TICKET))
    assert document["metadata"] == {"licentia_ticket": TICKET}
    keys = [request.headers["idempotency-key"] for request in account.requests if request.method == "POST"]
    assert len({*keys}) == 2


# --- what fails -----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 500, 409, 401, 403])
async def test_a_refusal_is_tried_again(account: Any, connector: Stripe, status: int) -> None:
    """Too many requests, failures, a wrong key: the poll fails in words, and goes on from the same cursor."""
    account.happen("customer.subscription.updated", subscription(account, 1))
    account.faults = [accounts.refused(f"No, {accounts.KEY}.", status=status, type="api_error")]
    with pytest.raises(Unavailable, match=f"status {status}: No,") as refusal:
        await connector.poll("")
    assert accounts.KEY not in str(refusal.value)
    assert len((await connector.poll("")).deliveries) == 1


async def test_stripe_may_ask_for_a_pause(account: Any, connector: Stripe) -> None:
    """The seconds of Retry-After are told, and nothing is asked meanwhile."""
    busy = accounts.refused("Too many requests.", "rate_limit", 429)
    account.faults = [msgspec.structs.replace(busy, headers={"retry-after": "7"})]
    for _ in range(2):
        with pytest.raises(Unavailable) as refusal:
            await connector.poll("")
        assert refusal.value.retry_after_seconds == 7
    assert len(account.requests) == 1


async def test_stripe_that_does_not_answer(account: Any, connector: Stripe, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not waited for, and asked again later."""
    monkeypatch.setattr(calls, "SECONDS", 0.1)
    account.faults = [0.5]
    with pytest.raises(Unavailable, match="cannot be reached: ReadTimeout"):
        await connector.poll("")
    account.put("invoices/in_1")
    await connector.write_back(Outcome(order_number="in_1", ticket=TICKET))
    assert account.writes == 1


async def test_long_events_are_asked_for_in_smaller_pages(
    account: Any, connector: Stripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that is longer than what is read is asked for again with fewer of them; one alone is said."""
    for number in range(30):
        account.happen("invoice.paid", invoice(account, number, description="x" * 400), account.now - number // 10)
    monkeypatch.setattr(calls, "MAX_BODY_BYTES", 5000)
    found, _ = await polled(connector)
    assert sorted(ids(found)) == [event["id"] for event in account.events]
    account.happen("invoice.paid", invoice(account, 31, description="x" * 5000))
    with pytest.raises(Unavailable, match="more than 5000 bytes"):
        await polled(connector)


@pytest.mark.parametrize("answer", ["<html>", [], {"data": [{}]}, {"data": [1]}, {"data": [{"id": 1, "created": 1}]}])
async def test_a_strange_answer_is_said(account: Any, connector: Stripe, answer: object) -> None:
    """What is no list of events is refused in words."""
    account.faults = [loopback.Response(answer)]
    with pytest.raises(Unavailable, match=r"none of Stripe's API|without an id"):
        await connector.poll("")


async def test_without_a_key_nothing_is_polled_or_written() -> None:
    """It is not connected then, and a key goes only where nobody can read it on the way."""
    connector = Stripe("stripe", {"secret": "s"})
    assert not connector.connected
    assert (await connector.poll("x")).cursor == "x"
    await connector.write_back(Outcome(order_number="sub_1", ticket=TICKET))
    assert connect("https://api.stripe.com").connected
    with pytest.raises(SettingsError, match="https"):
        connect("http://api.stripe.com")


def test_all_events_are_asked_for_at_once() -> None:
    """Stripe takes 20 types."""
    assert len(EVENTS) <= 20
