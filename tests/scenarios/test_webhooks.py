"""Outgoing webhooks, from the event to the receiver and back, on both databases, with a receiver that is real."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import receiver as receivers
import standardwebhooks
import svix
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from licentia.domain.webhooks import GIVE_UP, SCHEDULE
from licentia.errors import Conflict, InvalidRequest, NotFound
from licentia.services import courier, posting, webhooks
from licentia.settings import Settings, Webhooks
from licentia.storage import webhookstore

if TYPE_CHECKING:
    from licentia.services.application import Application

Say = receivers.Say
OPEN = Webhooks(allow_private=True, allow_http=True)


@pytest.fixture
def receiver() -> Iterator[Any]:
    """Somebody who listens."""
    with receivers.Receiver().running() as running:
        yield running


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker looks around often, so that tests wait little."""
    monkeypatch.setattr(courier, "EVERY", 0.02)
    monkeypatch.setattr(courier, "AFTER_FAULT", 0.02)


@pytest.fixture
async def application_on_both(quick: None, data: Path, database_url: str) -> AsyncIterator[Application]:
    """An application whose webhooks may lead to this machine; what the desk of all scenarios calls."""
    from licentia.services.application import Application

    opened = await Application.open(Settings(data=data, database=database_url, webhooks=OPEN))
    yield opened
    await opened.close()


async def until(condition: Callable[[], Any], seconds: float = 20) -> None:
    """Wait for it."""
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it did not happen in time"
        await asyncio.sleep(0.01)


async def hook(desk: Any, url: str, name: str = "crm", **fields: Any) -> Any:
    """Make an endpoint; its secrets must be in no event."""
    made = await desk("PutWebhook", webhook_id=name, endpoint_url=url, **fields)
    desk.secrets |= {made.secret} - {None}
    return made


async def deliveries(desk: Any, name: str = "crm", **fields: Any) -> list[Any]:
    """All deliveries to an endpoint, newest first."""
    found: list[Any] = []
    cursor = None
    while True:
        page = await desk("ListWebhookDeliveries", webhook_id=name, cursor=cursor, limit=2, **fields)
        found += page.deliveries
        cursor = page.next_cursor
        if cursor is None:
            return found


async def when(desk: Any, condition: Callable[[list[Any]], Any], name: str = "crm", **fields: Any) -> list[Any]:
    """The deliveries to an endpoint, newest first, once they are so."""
    for _ in range(1000):
        found = await deliveries(desk, name, **fields)
        if condition(found):
            return found
        await asyncio.sleep(0.02)
    pytest.fail(f"it did not happen in time: {found}")


async def settled(desk: Any, count: int, name: str = "crm", **fields: Any) -> list[Any]:
    """The deliveries of a state, once there are so many."""
    return await when(desk, lambda found: len(found) >= count, name, **fields)


async def tried(desk: Any, attempts: int, name: str = "crm") -> None:
    """Wait until there is a delivery to an endpoint, and each was tried so often."""
    await when(desk, lambda found: found and all(each.attempts >= attempts for each in found), name)


def caller(application: Application) -> Callable[..., Any]:
    """Calls operations of a server as its operator."""
    from licentia.contract import BY_NAME, parse
    from licentia.services.identity import OPERATOR

    async def call(operation: str, /, **fields: Any) -> Any:
        return await application.call(BY_NAME[operation], parse(BY_NAME[operation], fields), OPERATOR)

    return call


async def test_an_order_is_told(desk: Any, receiver: Any) -> None:
    """Placing, changing and cancelling it, each once, signed, thin, and without the ticket."""
    made = await hook(desk, f"{receiver.url}/in", kinds=["order.*", "license.issued"])
    await desk.product()
    order = await desk.order("1", ("1", "cad", 2))
    await desk.order("1", ("1", "cad", 3))
    await desk("CancelOrder", source="erp", order_number="1")
    await until(lambda: len(receiver.got) == 4)
    assert receiver.kinds("/in") == ["license.issued", "order.cancelled", "order.changed", "order.placed"]
    events = {event.event_id: event for event in await desk.events()}
    for got in receiver.of("/in"):
        standardwebhooks.Webhook(made.secret).verify(got.body.decode(), got.headers)
        svix.Webhook(made.secret).verify(got.body.decode(), got.headers)
        told = got.event
        event = events[told["data"]["event_id"]]
        assert (told["type"], datetime.fromisoformat(told["timestamp"])) == (event.kind, event.at)
        assert told["data"]["order_id"] == order.order_id
        assert "lines" not in told["data"]
        assert order.ticket not in got.body.decode()
    found = await settled(desk, 4, state="delivered")
    assert {each.delivery_id for each in found} == set(receiver.ids("/in"))
    assert all(
        (each.attempts, each.status, each.problem, each.next_attempt_at) == (1, 204, None, None) for each in found
    )
    assert [each.kind for each in found][::3] == ["order.cancelled", "license.issued"]


async def test_the_asymmetric_signature_needs_no_secret(desk: Any, receiver: Any) -> None:
    """Whoever has the public key, which is always shown, can check every message."""
    await hook(desk, f"{receiver.url}/in", payload="full", format="cloudevents")
    await desk.product()
    await until(lambda: receiver.got)
    (got,) = receiver.got
    (text,) = (await desk("GetWebhook", webhook_id="crm")).public_keys
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(text.removeprefix("whpk_")))
    message = b".".join((got.id.encode(), got.headers["webhook-timestamp"].encode(), got.body))
    signature = got.headers["webhook-signature"].partition("v1a,")[2]
    public.verify(base64.b64decode(signature), message)
    assert got.event["specversion"] == "1.0"
    assert got.event["id"] == got.id
    assert got.event["data"]["items"][0]["product_code"] == "cad"


async def test_leases_are_told_to_who_asks_for_them(desk: Any, receiver: Any) -> None:
    """`*` leaves out what comes with every use."""
    await desk.sold()
    await hook(desk, f"{receiver.url}/all", "all")
    await hook(desk, f"{receiver.url}/leases", "leases", kinds=["lease.*"])
    await desk.checkout()
    await desk("ReleaseLease", lease_id="l1")
    await desk.product("other")
    await until(lambda: len(receiver.of("/leases")) == 2 and receiver.of("/all"))
    assert receiver.kinds("/leases") == ["lease.granted", "lease.released"]
    assert receiver.kinds("/all") == ["product.put"]


async def test_a_new_endpoint_is_told_of_what_comes(desk: Any, receiver: Any) -> None:
    """Not of the past; and one that is deleted, of nothing more."""
    await desk.product("before")
    await hook(desk, f"{receiver.url}/in")
    await desk.product("after")
    await until(lambda: receiver.got)
    assert [got.event["data"]["sku"] for got in receiver.got] == ["after"]
    await settled(desk, 1, state="delivered")
    await desk("DeleteWebhook", webhook_id="crm")
    await desk.product("later")
    for name in ("GetWebhook", "DeleteWebhook", "ListWebhookDeliveries", "TestWebhook", "RotateWebhookSecret"):
        await desk.refused(NotFound, name, webhook_id="crm")
    await asyncio.sleep(0.2)
    assert len(receiver.got) == 1
    assert await desk.sql("SELECT * FROM webhook_delivery") == []
    assert (await desk.kinds())[-3:] == ["product.put", "webhook.deleted", "product.put"]


async def test_a_disabled_endpoint_loses_nothing(desk: Any, receiver: Any) -> None:
    """It stands still, and is told of all since when it is enabled again."""
    await hook(desk, f"{receiver.url}/in")
    await hook(desk, f"{receiver.url}/in", state="disabled")
    await desk.product("one")
    await desk.product("two")
    await asyncio.sleep(0.2)
    assert receiver.got == []
    shown = await hook(desk, f"{receiver.url}/in")
    assert (shown.created, shown.secret) == (False, None)
    await until(lambda: len(receiver.got) == 2)
    assert sorted(got.event["data"]["sku"] for got in receiver.got) == ["one", "two"]


async def test_a_failure_is_tried_again(desk: Any, receiver: Any) -> None:
    """After 5 seconds, then after 5 minutes, with the same id and body, until it is taken."""
    receiver.answer = lambda got, before: Say(500, body=b"no \x07room") if before < 2 else Say(200, body=b"thanks")
    await hook(desk, f"{receiver.url}/in")
    await desk.product()
    for attempt in (1, 2):
        await until(lambda attempt=attempt: len(receiver.got) == attempt)
        await tried(desk, attempt)
        (waiting,) = await deliveries(desk, state="waiting")
        assert (waiting.status, waiting.answer) == (500, "no \N{REPLACEMENT CHARACTER}room")
        wait = (waiting.next_attempt_at - waiting.last_attempt_at).total_seconds()
        assert SCHEDULE[attempt] <= wait <= SCHEDULE[attempt] * 1.2
        assert (await desk("GetWebhook", webhook_id="crm")).failing_since is not None
        await desk.sql("UPDATE webhook_delivery SET due_at = 0")
    (done,) = await settled(desk, 1, state="delivered")
    assert (done.attempts, done.status, done.answer, done.problem) == (3, 200, "thanks", None)
    assert (await desk("GetWebhook", webhook_id="crm")).failing_since is None
    assert len({(got.id, got.body) for got in receiver.got}) == 1


async def test_what_was_given_up_can_be_sent_again(desk: Any, receiver: Any) -> None:
    """After the tenth attempt it is failed, seen, and replayed: one of them, or all since a time."""
    receiver.answer = lambda got, before: Say(500)
    await hook(desk, f"{receiver.url}/in")
    await desk.product("one")
    await desk.product("two")
    await settled(desk, 2)
    await desk.sql("UPDATE webhook_delivery SET attempts = $1, due_at = 0", len(SCHEDULE) - 1)
    failed = await settled(desk, 2, state="failed")
    assert all((each.next_attempt_at, each.attempts) == (None, len(SCHEDULE)) for each in failed)
    shown = await desk("GetWebhook", webhook_id="crm")
    assert (shown.state, shown.waiting, shown.failed) == ("enabled", 0, 2)
    receiver.answer = lambda got, before: Say()
    again = await desk("ReplayWebhookDelivery", webhook_id="crm", delivery_id=failed[0].delivery_id)
    assert (again.state, again.attempts) == ("waiting", 0)
    await settled(desk, 1, state="delivered")
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert (await desk("ReplayWebhookDeliveries", webhook_id="crm", since=later)).count == 0
    assert (await desk("ReplayWebhookDeliveries", webhook_id="crm", since=failed[1].at.isoformat())).count == 1
    assert {each.delivery_id for each in await settled(desk, 2, state="delivered")} == {
        each.delivery_id for each in failed
    }
    before = len(receiver.got)
    assert (await desk("ReplayWebhookDeliveries", webhook_id="crm", state="delivered")).count == 2
    await until(lambda: len(receiver.got) == before + 2)
    await desk.refused(NotFound, "ReplayWebhookDelivery", webhook_id="crm", delivery_id="msg_none")


async def test_gone_disables_it(desk: Any, receiver: Any) -> None:
    """410 ends it at once, with the reason, for others to hear; enabled again, what waits is sent."""
    receiver.answer = lambda got, before: Say(410) if got.path == "/gone" and before == 0 else Say()
    await hook(desk, f"{receiver.url}/gone", "gone")
    await hook(desk, f"{receiver.url}/watch", "watch", kinds=["webhook.disabled"])
    await desk.product("one")
    await until(lambda: receiver.of("/watch"))
    await desk.product("two")
    (told,) = receiver.of("/watch")
    assert told.event["data"]["webhook_id"] == "gone"
    shown = await desk("GetWebhook", webhook_id="gone")
    assert (shown.state, shown.waiting) == ("disabled", 1)
    assert "410" in shown.reason
    await asyncio.sleep(0.1)
    assert len(receiver.of("/gone")) == 1
    await desk.sql("UPDATE webhook_delivery SET due_at = due_at + 86400000000 WHERE state = 'waiting'")
    shown = await hook(desk, f"{receiver.url}/gone", "gone")
    assert (shown.state, shown.reason, shown.failing_since) == ("enabled", None, None)
    await until(lambda: len(receiver.of("/gone")) == 3)
    assert len(set(receiver.ids("/gone"))) == 2


async def test_five_days_of_failures_disable_it(desk: Any, receiver: Any) -> None:
    """Whatever is sent to it: a success in between would have ended them."""
    receiver.answer = lambda got, before: Say(503)
    await hook(desk, f"{receiver.url}/in")
    await desk.product()
    await tried(desk, 1)
    await desk.sql("UPDATE webhook SET failing_since = failing_since - $1", GIVE_UP)
    await desk.sql("UPDATE webhook_delivery SET due_at = 0")
    await tried(desk, 2)
    shown = await desk("GetWebhook", webhook_id="crm")
    assert shown.state == "disabled"
    assert "5 days" in shown.reason
    assert (await desk.kinds())[-1] == "webhook.disabled"


async def test_who_wants_a_pause_gets_it(desk: Any, receiver: Any) -> None:
    """429 with `Retry-After` holds up all that goes to this endpoint, and to no other."""
    receiver.answer = lambda got, before: Say(429, {"Retry-After": "600"}) if got.path == "/busy" else Say()
    await hook(desk, f"{receiver.url}/busy", "busy")
    await hook(desk, f"{receiver.url}/free", "free")
    await desk.product("one")
    await tried(desk, 1, "busy")
    for name in ("two", "three"):
        await desk.product(name)
    await until(lambda: len(receiver.of("/free")) == 3)
    assert len(receiver.of("/busy")) == 1
    first = (await deliveries(desk, "busy"))[-1]
    assert (first.next_attempt_at - first.last_attempt_at).total_seconds() >= 600
    await desk.sql("UPDATE webhook SET paused_until = 0")
    receiver.answer = lambda got, before: Say()
    await until(lambda: len(receiver.of("/busy")) == 3)


async def test_a_slow_receiver_holds_up_nobody(desk: Any, receiver: Any) -> None:
    """While it takes its time everything is told to the others, and it is asked a few times at once at most."""
    receiver.answer = lambda got, before: Say(after=30) if got.path == "/slow" else Say()
    await hook(desk, f"{receiver.url}/slow", "a-slow")
    await hook(desk, f"{receiver.url}/quick", "quick")
    begun = time.monotonic()
    for number in range(20):
        await desk.product(f"p{number}")
    await until(lambda: len(receiver.of("/quick")) == 20)
    assert time.monotonic() - begun < 15
    await until(lambda: len(receiver.of("/slow")) >= courier.AT_ONCE)
    assert len(receiver.of("/slow")) == courier.AT_ONCE
    receiver.stopping.set()


async def test_who_fails_is_asked_one_thing_at_a_time(desk: Any, receiver: Any) -> None:
    """Whatever waits for it: it may be failing because it is asked too much."""
    receiver.answer = lambda got, before: Say(after=30) if before else Say(500)
    await hook(desk, f"{receiver.url}/in")
    await desk.product("first")
    await tried(desk, 1)
    for number in range(10):
        await desk.product(f"p{number}")
    await until(lambda: len(receiver.got) == 2)
    await asyncio.sleep(0.3)
    assert len(receiver.got) == 2
    receiver.stopping.set()


async def test_both_keys_sign_for_a_day(desk: Any, receiver: Any) -> None:
    """A receiver that has not changed over yet goes on; after 24 hours the old secret is worth nothing."""
    old = await hook(desk, f"{receiver.url}/in")
    new = await desk("RotateWebhookSecret", webhook_id="crm")
    desk.secrets.add(new.secret)
    assert new.secret != old.secret
    assert new.public_keys[1:] == old.public_keys
    await desk.product("one")
    await until(lambda: receiver.got)
    got = receiver.got[0]
    for secret in (old.secret, new.secret):
        standardwebhooks.Webhook(secret).verify(got.body.decode(), got.headers)
    for _ in range(5):
        last = await desk("RotateWebhookSecret", webhook_id="crm")
        desk.secrets.add(last.secret)
    assert len(last.public_keys) == webhooks.PERIODS
    stored = await desk.sql("SELECT * FROM webhook")
    assert not any(secret.removeprefix("whsec_") in str(stored) for secret in desk.secrets)


async def test_an_old_secret_ends(
    data: Path, database_url: str, receiver: Any, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When its time is over, messages are signed with the new one alone."""
    from licentia.services.application import Application

    monkeypatch.setattr(webhooks, "SIGNS_ALONG", timedelta(0))
    application = await Application.open(Settings(data=data, database=database_url, webhooks=OPEN))
    call = caller(application)
    async with contextlib.AsyncExitStack() as exits:
        exits.push_async_callback(application.close)
        old = await call("PutWebhook", webhook_id="crm", endpoint_url=receiver.url)
        new = await call("RotateWebhookSecret", webhook_id="crm")
        assert len(new.public_keys) == 1
        await call("TestWebhook", webhook_id="crm")
    (got,) = receiver.got
    standardwebhooks.Webhook(new.secret).verify(got.body.decode(), got.headers)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(old.secret).verify(got.body.decode(), got.headers)


async def test_a_secret_is_told_once(desk: Any, receiver: Any) -> None:
    """A repeat under the same idempotency key answers without it, and the database never has it in the clear."""
    fields = {"webhook_id": "crm", "endpoint_url": receiver.url}
    first = await desk("PutWebhook", key="k", **fields)
    second = await desk("PutWebhook", key="k", **fields)
    assert first.secret
    assert second.secret is None
    assert second.created
    rotated = await desk("RotateWebhookSecret", key="r", webhook_id="crm")
    repeated = await desk("RotateWebhookSecret", key="r", webhook_id="crm")
    assert rotated.secret
    assert repeated.secret is None
    assert repeated.public_keys == rotated.public_keys
    kept = str(await desk.sql("SELECT * FROM answer"))
    desk.secrets |= {first.secret, rotated.secret}
    assert not any(secret in kept for secret in (first.secret, rotated.secret))


async def test_a_test_tells_the_answer(desk: Any, receiver: Any) -> None:
    """It is sent at once, signed, and kept nowhere; a refusal is told as it is."""
    receiver.answer = lambda got, before: Say(200, body=b"pong") if not before else Say(401, body=b"who?")
    made = await hook(desk, f"{receiver.url}/in", kinds=["order.*"])
    told = await desk("TestWebhook", webhook_id="crm")
    assert (told.delivered, told.status, told.answer, told.problem) == (True, 200, "pong", None)
    (got,) = receiver.got
    assert got.event["type"] == "webhook.test"
    standardwebhooks.Webhook(made.secret).verify(got.body.decode(), got.headers)
    told = await desk("TestWebhook", webhook_id="crm")
    assert (told.delivered, told.status, told.answer) == (False, 401, "who?")
    assert await deliveries(desk) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"endpoint_url": "gopher://x"},
        {"endpoint_url": "https://u:p@x.example/"},
        {"kinds": ["order.*", "order"]},
        {"kinds": ["*.placed"]},
    ],
)
async def test_what_can_be_no_endpoint_is_refused(desk: Any, fields: dict[str, Any]) -> None:
    """With a pointer at what is wrong, and nothing is made."""
    given = {"webhook_id": "crm", "endpoint_url": "https://x.example/"} | fields
    refusal = await desk.refused(InvalidRequest, "PutWebhook", **given)
    assert refusal.problems[0].pointer.startswith(f"/{next(iter(fields))}")
    assert (await desk("ListWebhooks")).webhooks == []


async def test_there_is_an_end_to_endpoints(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each may have connections open, so there are not any number of them; those that are there come in pages."""
    monkeypatch.setattr(webhooks, "MOST", 3)
    for name in "abc":
        await hook(desk, "https://x.example/", name)
    await desk.refused(Conflict, "PutWebhook", webhook_id="d", endpoint_url="https://x.example/")
    await hook(desk, "https://y.example/", "a")
    page = await desk("ListWebhooks", limit=2)
    assert [each.webhook_id for each in page.webhooks] == ["a", "b"]
    page = await desk("ListWebhooks", limit=2, cursor=page.next_cursor)
    assert ([each.webhook_id for each in page.webhooks], page.next_cursor) == (["c"], None)


async def test_a_full_backlog_waits_in_the_log(desk: Any, receiver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """While too much waits for an endpoint no more is taken out of the log; later all of it is told, once."""
    monkeypatch.setattr(webhookstore, "BACKLOG", 5)
    monkeypatch.setattr(webhookstore, "PAGE", 3)
    receiver.answer = lambda got, before: Say(500)
    await hook(desk, f"{receiver.url}/in")
    for number in range(20):
        await desk.product(f"p{number}")
    await settled(desk, 5)
    await asyncio.sleep(0.2)
    assert len(await deliveries(desk)) <= 8
    receiver.answer = lambda got, before: Say()
    await hook(desk, f"{receiver.url}/in", state="disabled")
    await hook(desk, f"{receiver.url}/in")
    done = await settled(desk, 20, state="delivered")
    assert len({each.event_id for each in done}) == len(done) == 20


async def test_old_deliveries_are_forgotten(desk: Any, receiver: Any) -> None:
    """What is settled goes when its time is over; what waits never does."""
    receiver.answer = lambda got, before: Say(204 if got.path == "/in" else 500)
    await hook(desk, f"{receiver.url}/in")
    await hook(desk, f"{receiver.url}/bad", "bad")
    await desk.product()
    await settled(desk, 1, state="delivered")
    await tried(desk, 1, "bad")
    async with desk.application.database.write() as tx:
        now = await tx.now()
        assert await webhookstore.forget(now - timedelta(days=1), 10) == 0
        assert await webhookstore.forget(now + timedelta(days=1), 10) == 1
    assert await deliveries(desk) == []
    assert len(await deliveries(desk, "bad")) == 1


async def test_two_servers_share_the_work(data: Path, database_url: str, receiver: Any, quick: None) -> None:
    """On one database they tell every event, and none of them twice."""
    from licentia.services.application import Application

    settings = Settings(data=data, database=database_url, webhooks=OPEN)
    async with contextlib.AsyncExitStack() as exits:
        servers = []
        for _ in range(2):
            servers.append(await Application.open(settings))
            exits.push_async_callback(servers[-1].close)
        calls = [caller(server) for server in servers]
        await calls[0]("PutWebhook", webhook_id="crm", endpoint_url=f"{receiver.url}/in")
        for number in range(40):
            sku = f"p{number}"
            await calls[number % 2]("PutProduct", sku=sku, name=sku, items=[{"product_code": sku}])
        await until(lambda: len(receiver.got) >= 40)
        await asyncio.sleep(0.2)
        assert len(receiver.got) == 40
        assert len(set(receiver.ids("/in"))) == 40


async def test_a_server_that_ends_gives_back_what_it_was_sending(
    data: Path, database_url: str, receiver: Any, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not wait for a slow receiver, and the next one sends at once, as the first attempt."""
    from licentia.services.application import Application

    monkeypatch.setattr(courier, "GRACE", 0.1)
    receiver.answer = lambda got, before: Say(after=30) if not before else Say()
    settings = Settings(data=data, database=database_url, webhooks=OPEN)
    first = await Application.open(settings)
    call = caller(first)
    await call("PutWebhook", webhook_id="crm", endpoint_url=f"{receiver.url}/in")
    await call("PutProduct", sku="cad", name="CAD", items=[{"product_code": "cad"}])
    await until(lambda: receiver.got)
    begun = time.monotonic()
    await first.close()
    assert time.monotonic() - begun < 3
    second = await Application.open(settings)
    await until(lambda: len(receiver.got) == 2)
    await second.close()
    assert len(set(receiver.ids("/in"))) == 1


async def test_a_fault_of_ours_is_an_attempt(desk: Any, receiver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is logged, tried again later, and does not stop the worker."""

    async def broken(*_: Any) -> Any:
        raise KeyError("secret detail")

    monkeypatch.setattr(posting.Post, "_send", broken)
    await hook(desk, f"{receiver.url}/in")
    await desk.product()
    await tried(desk, 1)
    (waiting,) = await deliveries(desk)
    assert (waiting.state, waiting.problem) == ("waiting", "Something failed inside the server.")
