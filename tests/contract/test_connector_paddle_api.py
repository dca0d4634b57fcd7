"""The connector of Paddle against a stand-in for its API: events that were found, and what was written back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import connector_lab as lab
import loopback_shop as loopback
import msgspec
import paddle_account as paddle
import pytest

from licentia.connectors import Delivery, Outcome, Page
from licentia.errors import Unavailable
from licentia.settings import SettingsError
from licentia_integrations import calls
from licentia_integrations.paddle import Paddle
from licentia_integrations.paddle.settings import PaddleSettings

TICKET = "7GJDG-J8HPG-QX2MN-4TRWB-9KVCS"
SECOND = timedelta(seconds=1)


def connect(address: str, **settings: object) -> Paddle:
    """A connector of the account at an address."""
    return Paddle("paddle", {"secret": "s", "api_key": paddle.KEY, "api_url": f"{address}/", **settings})


@pytest.fixture
def account() -> Any:
    """An account."""
    return paddle.PaddleAccount()


@pytest.fixture
async def linked(account: Any) -> AsyncIterator[Paddle]:
    """The connector of the account."""
    with loopback.listening(account) as address:
        connector = connect(address)
        yield connector
        await connector.close()


@pytest.mark.parametrize("apart", [0, 1, 60])
async def test_each_event_is_found_once(linked: Paddle, account: Any, apart: int) -> None:
    """Page by page, oldest first, whatever lies between; what happens later is found, and nothing else."""
    start = account.clock - 450 * apart * SECOND
    for number in range(450):
        at = start + number * apart * SECOND
        account.happens("customer.updated", {"id": "ctm_ann"}, at)
        account.happens("transaction.completed", paddle.transaction(str(number)), at)
    found, cursor = await lab.polled(linked)
    assert lab.numbers(found) == [f"txn_{number}" for number in range(450)]
    account.clock += SECOND
    account.happens("transaction.canceled", paddle.transaction("7", status="canceled"))
    again, cursor = await lab.polled(linked, cursor)
    assert [(change.order_number, change.kind) for change in again] == [("txn_7", "cancelled")]
    assert (await lab.polled(linked, cursor))[0] == []


async def test_an_event_that_becomes_visible_late_is_found(linked: Paddle, account: Any) -> None:
    """Its id lies before ids that were listed already; those are not found again."""
    before = account.clock - 60 * SECOND
    account.happens("transaction.completed", paddle.transaction("1"), before - 7200 * SECOND)
    account.happens("transaction.completed", paddle.transaction("3"))
    found, cursor = await lab.polled(linked)
    account.happens("transaction.completed", paddle.transaction("2"), before)
    late, cursor = await lab.polled(linked, cursor)
    assert (lab.numbers(found), lab.numbers(late)) == (["txn_1", "txn_3"], ["txn_2"])
    account.clock += 3600 * SECOND
    assert (await lab.polled(linked, cursor))[0] == []


async def test_a_poll_begins_a_day_ago(account: Any) -> None:
    """Or on the day that is set; of the rest of the 90 days only the newest pages are looked at."""
    for hours in range(1, 2000, 2):
        account.happens("transaction.completed", paddle.transaction(str(hours)), account.clock - hours * 3600 * SECOND)
    with loopback.listening(account) as address:
        connector = connect(address)
        found, _ = await lab.polled(connector)
        assert lab.numbers(found) == [f"txn_{hours}" for hours in range(23, 0, -2)]
        assert len(account.requests) <= 4
        day = (account.clock - timedelta(days=3)).date()
        since = connect(address, poll_from=day)
        first = datetime(day.year, day.month, day.day, tzinfo=UTC)
        wanted = [hours for hours in range(1, 2000, 2) if account.clock - hours * 3600 * SECOND >= first]
        assert lab.numbers((await lab.polled(since))[0]) == [f"txn_{hours}" for hours in reversed(wanted)]
        all_of_it = connect(address, poll_from=date(2020, 1, 1))
        assert len((await lab.polled(all_of_it))[0]) == 1000
        for each in (connector, since, all_of_it):
            await each.close()


async def test_a_cursor_outlives_what_paddle_keeps(linked: Paddle, account: Any) -> None:
    """After 90 days of silence its event is gone; the walk goes on with the oldest that there is."""
    account.happens("transaction.completed", paddle.transaction("1"), account.clock - 3600 * SECOND)
    found, cursor = await lab.polled(linked)
    stream = msgspec.json.decode(cursor)
    assert stream["behind"] in account.events
    gone = stream | {"behind": "evt_gone", "behind_at": stream["behind_at"] - 90 * 86_400_000}
    account.happens("transaction.completed", paddle.transaction("2"))
    later, _ = await lab.polled(linked, msgspec.json.encode(gone).decode())
    assert (lab.numbers(found), lab.numbers(later)) == (["txn_1"], ["txn_1", "txn_2"])


async def test_a_webhook_and_a_poll_of_one_event_are_one_delivery(linked: Paddle, account: Any) -> None:
    """Both have the id of the event; the notification around it differs."""
    account.happens("transaction.completed", paddle.transaction("1"))
    (event,) = account.events.values()
    sent = Delivery(body=msgspec.json.encode(event | {"notification_id": "ntf_1"}), received_at=account.clock)
    (found,) = (await linked.poll("")).deliveries
    assert linked.delivery_id(found) == linked.delivery_id(sent)
    assert linked.normalise(found) == linked.normalise(sent)
    assert linked.answer(sent, ()).status == 200


async def test_what_was_not_stored_is_found_again(linked: Paddle, account: Any) -> None:
    """A server that dies before it has stored a poll asks from the cursor before."""
    account.happens("transaction.completed", paddle.transaction("1"))
    _, cursor = await lab.polled(linked)
    account.clock += SECOND
    account.happens("transaction.completed", paddle.transaction("2"))
    for _ in range(2):
        lost = await linked.poll(cursor)
        assert lab.numbers([*linked.normalise(lost.deliveries[0])]) == ["txn_2"]
    assert lab.numbers((await lab.polled(linked, cursor))[0]) == ["txn_2"]
    assert (await lab.polled(linked, lost.cursor))[0] == []


async def test_what_is_illegible_is_found_for_a_person(linked: Paddle, account: Any) -> None:
    """An event of a transaction that cannot be read is delivered, and hides no other."""
    account.happens("transaction.completed", {"id": "txn_odd", "status": None})
    account.happens("transaction.completed", paddle.transaction("1"))
    assert len((await linked.poll("")).deliveries) == 2


async def test_a_pause_is_kept(linked: Paddle, account: Any) -> None:
    """After 429 nothing is asked until the pause is over that Paddle names."""
    account.next = [paddle.refused("too_many_requests", 429, Retry_After="1")]
    for problem in ("status 429: This is too_many_requests", "asked too much"):
        with pytest.raises(Unavailable, match=problem) as refusal:
            await linked.poll("")
        assert refusal.value.retry_after_seconds == 1
    assert len(account.requests) == 1
    await asyncio.sleep(1.01)
    assert (await linked.poll("")).deliveries == ()


async def test_a_failure_loses_nothing(linked: Paddle, account: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error, an answer that is none of Paddle's, and one that does not come: it is asked again later."""
    monkeypatch.setattr(calls, "ALL_SECONDS", 0.2)
    account.happens("transaction.completed", paddle.transaction("1"))
    failures = [paddle.refused("internal_error", 500), paddle.refused("bad_gateway", 502), loopback.Response("hello"),
                loopback.Response({"data": []}), loopback.Response({"error": "moved"}, 404),
                loopback.Response({"data": [{"event_id": "evt_1"}], "meta": {"pagination": {"has_more": False}}}),
                loopback.Response({}, 301, {"location": "https://elsewhere.example"})]  # fmt: skip
    for failure in failures:
        account.next = [failure]
        with pytest.raises(Unavailable):
            await linked.poll("")
        account.next = [failure]
        with pytest.raises(Unavailable):
            await linked.write_back(Outcome(order_number="txn_1", ticket=TICKET))
    answer = account.answer
    account.answer = lambda request: (time.sleep(0.5), answer(request))[1]
    with pytest.raises(Unavailable, match="TimeoutError"):
        await linked.poll("")
    account.answer = answer
    assert lab.numbers((await lab.polled(linked))[0]) == ["txn_1"]


async def test_a_wrong_key_is_told(account: Any) -> None:
    """And is not repeated."""
    with loopback.listening(account) as address:
        connector = connect(address, api_key="wrong key")
        with pytest.raises(Unavailable, match="status 401") as refusal:
            await connector.poll("")
        assert "wrong key" not in f"{refusal.value} {refusal.value.next_step}"
        await connector.close()


async def test_long_events_are_asked_for_in_shorter_pages(
    linked: Paddle, account: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Together they are more than is read at once."""
    monkeypatch.setattr(calls, "MAX_BODY_BYTES", 20_000)
    for number in range(40):
        account.happens("transaction.completed", paddle.transaction(str(number), note="x" * 2000))
    assert len((await lab.polled(linked))[0]) == 40


async def test_a_subscription_bears_the_ticket_of_its_transaction(linked: Paddle, account: Any) -> None:
    """First why there is none, then the ticket. What others wrote stays, and nothing is written twice."""
    account.entities = {
        "txn_1": paddle.transaction("1", subscription_id="sub_1"),
        "sub_1": {"status": "active", "customer_id": "ctm_ann", "custom_data": {"crm": {"id": 7}}},
    }
    problem = Outcome(order_number="txn_1", problem="p" * 900)
    for outcome in (problem, problem, *(2 * [Outcome(order_number="txn_1", ticket=TICKET)])):
        await linked.write_back(outcome)
        written = account.noted("sub_1")
        assert written["crm"] == {"id": 7}
        assert written["licentia_problem"] == (outcome.problem or "")[:500]
    assert account.noted("sub_1") == {"crm": {"id": 7}, "licentia_problem": "", "licentia_ticket": TICKET}
    await linked.write_back(Outcome(order_number="sub_1", ticket=TICKET))
    assert account.writes == 2
    assert account.noted("txn_1") == {}


@pytest.mark.parametrize(
    ("bought", "subscription"),
    [
        ({}, None),
        ({"subscription_id": "sub_1", "origin": "subscription_charge"}, {"status": "active"}),
        ({"subscription_id": "sub_1"}, {"status": "canceled"}),
        ({"subscription_id": "sub_1"}, None),
    ],
)
async def test_a_customer_bears_the_tickets_of_what_cannot_be_changed(
    linked: Paddle, account: Any, bought: dict[str, Any], subscription: dict[str, Any] | None
) -> None:
    """What is bought once, or whose subscription is canceled: by the number of the transaction, beside others."""
    account.entities = {name: paddle.transaction(name[4:], **bought) for name in ("txn_1", "txn_2")}
    account.entities |= {"ctm_ann": {"custom_data": None}} | ({"sub_1": subscription} if subscription else {})
    for number in ("txn_1", "txn_2", "txn_1"):
        await linked.write_back(Outcome(order_number=number, ticket=f"T-{number}"))
    assert account.noted("ctm_ann") == {"licentia_ticket_txn_1": "T-txn_1", "licentia_ticket_txn_2": "T-txn_2"}
    assert account.writes == 2


async def test_what_is_nowhere_is_told_nothing(linked: Paddle, account: Any) -> None:
    """A number of nobody, one of something else, and a transaction of no customer."""
    account.entities = {"txn_1": paddle.transaction("1", customer_id=None)}
    for number in ("txn_9", "sub_9", "adj_1", "../customers/ctm_1", "txn_1"):
        await linked.write_back(Outcome(order_number=number, ticket=TICKET))
    assert [request.path for request in account.requests] == [
        "/transactions/txn_9",
        "/subscriptions/sub_9",
        "/transactions/txn_1",
    ]
    assert account.writes == 0


async def test_without_a_key_nothing_is_asked() -> None:
    """Deliveries alone do; the connector says that it is not connected."""
    connector = Paddle("paddle", {"secret": "s"})
    assert not connector.connected
    assert await connector.poll("c") == Page(deliveries=(), cursor="c")
    await connector.write_back(Outcome(order_number="txn_1", ticket=TICKET))
    await connector.close()


def test_a_sandbox_has_an_address_of_its_own() -> None:
    """And keys of its own; the settings belong to one account."""
    addresses = {sandbox: PaddleSettings(secret="s", sandbox=sandbox).address for sandbox in (False, True)}
    assert addresses == {False: "https://api.paddle.com", True: "https://sandbox-api.paddle.com"}
    assert Paddle("paddle", {"secret": "s", "api_key": "pdl_sdbx_apikey_1", "sandbox": True}).connected


@pytest.mark.parametrize(
    "settings",
    [
        {"api_key": ""},
        {"api_key": "pdl_sdbx_apikey_1"},
        {"api_key": "pdl_live_apikey_1", "sandbox": True},
        {"api_key": "k", "api_url": "http://paddle.example"},
        {"poll_from": "yesterday"},
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, object]) -> None:
    """A connector with a wrong setting does not start."""
    with pytest.raises(SettingsError, match=r"connector\.paddle"):
        Paddle("paddle", {"secret": "s", **settings})
