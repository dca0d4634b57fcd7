"""What happens with some business systems only: subscriptions, batches, payments under other numbers, races."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import connector_world as worlds
import loopback_shop as loopback
import pytest

systems = worlds.systems


@pytest.fixture
def enter(data: Path) -> Callable[..., Any]:
    """Opens a world on SQLite."""
    return lambda system, **options: worlds.opened(system, data, None, **options)


LINES = {"a": 2}


async def test_a_subscription_before_its_transaction(enter: Any) -> None:
    """Paddle tells the subscription and the payment at once; whichever comes first, it is one order."""
    async with enter(systems.Paddle()) as world:
        paddle = world.system
        begun, updated = paddle.subscribed("1", {"a": 3}, 1), paddle.subscribed("1", {"a": 4}, 2)
        await world.tell(begun, updated)
        assert {each.outcomes[0].code for each in await world.parked()} == {"order_unknown"}
        await world.tell(paddle.placed("1", LINES, 1))
        assert await world.parked() == []
        assert await world.licensed("1") == {"a": 4}
        assert len(await world.orders()) == 1


async def test_a_subscription_that_ended_before_its_transaction(enter: Any) -> None:
    """What was cancelled is cancelled, by whatever number it is told, and in whatever order."""
    async with enter(systems.Paddle()) as world:
        paddle = world.system
        await world.tell(paddle.cancelled("1", LINES, 5), paddle.placed("1", LINES, 1))
        assert await world.parked() == []
        assert not await world.orders() or await world.licensed("1") == {}
        await world.tell(paddle.subscribed("1", {"a": 4}, 6))
        assert await world.licensed("1") == {"a": 4}


async def test_a_subscription_goes_on_after_its_end(enter: Any) -> None:
    """The order is over with its only subscription, takes a refund then, and is there again once that goes on."""
    async with enter(systems.Paddle()) as world:
        paddle = world.system
        await world.tell(paddle.placed("1", LINES, 1), paddle.cancelled("1", LINES, 2))
        order = await world.order("1")
        assert (order.status, await world.licensed("1")) == ("cancelled", {})
        await world.tell(paddle.subscribed("1", {"a": 3}, 3))
        again = await world.order("1")
        assert (again.status, again.ticket, await world.licensed("1")) == ("fulfilled", order.ticket, {"a": 3})
        await world.tell(paddle.cancelled("1", {"a": 3}, 4), paddle.all_returned("1", {"a": 3}, 5))
        assert await world.parked() == []
        assert (await world.order("1")).status == "cancelled"


async def test_a_renewal_that_was_never_paid_ends_nothing(enter: Any) -> None:
    """A transaction of a subscription that is cancelled before it is paid is nothing."""
    async with enter(systems.Paddle()) as world:
        paddle = world.system
        items = [{"price_id": "a", "quantity": 2}]
        unpaid = paddle.event(
            "transaction.canceled", 9, id="txn_501", status="canceled", origin="subscription_recurring",
            subscription_id="sub_1", items=items,
        )  # fmt: skip
        await world.tell(paddle.placed("1", LINES, 1), unpaid)
        assert await world.licensed("1") == LINES
        assert await world.parked() == []


async def test_one_order_of_a_batch_waits(enter: Any) -> None:
    """The others go on; once the article is mapped the batch is tried again, and nothing is done twice."""
    async with enter(systems.FastSpring()) as world:
        spring = world.system
        batch = [spring.order("1", LINES, 1), spring.order("2", {"x": 1}, 1), spring.order("3", {"b": 1}, 1)]
        await world.tell(spring.batch(*batch))
        (delivery,) = await world.parked()
        assert [each.state for each in delivery.outcomes] == ["applied", "parked", "applied"]
        assert (await world.licensed("1"), await world.licensed("3")) == (LINES, {"b": 1})
        await world.tell(spring.batch(spring.order("1", {"a": 7}, 2)))
        await world.call("PutMapping", article="x", sku="b", factor=5)
        await world.call("ReplayDeliveries")
        assert await world.parked() == []
        assert await world.licensed("2") == {"b": 5}
        assert await world.licensed("1") == {"a": 7}


async def test_a_batch_in_which_one_waits_for_a_person_and_one_for_an_order(enter: Any) -> None:
    """The one goes on by itself, although the other still waits."""
    async with enter(systems.FastSpring()) as world:
        spring = world.system
        refund = spring.event("return.created", 3, original={"id": "1"}, items=spring.items(LINES), **{"return": "9"})
        await world.tell(spring.batch(spring.order("2", {"x": 1}, 1), refund))
        await world.tell(spring.batch(spring.order("1", {"a": 5}, 1)))
        assert await world.licensed("1") == {"a": 3}
        (delivery,) = await world.parked()
        assert [each.state for each in delivery.outcomes] == ["parked", "applied"]


async def test_a_subscription_that_ended_before_its_order(enter: Any) -> None:
    """FastSpring tells which order it began with, so its end waits for that."""
    async with enter(systems.FastSpring()) as world:
        spring = world.system
        end = spring.event("subscription.deactivated", 5, id="sub1", initialOrderId="1", active=False)
        await world.tell(spring.batch(end))
        assert [each.outcomes[0].code for each in await world.parked()] == ["order_unknown"]
        await world.tell(spring.placed("1", LINES, 1))
        assert await world.parked() == []
        assert await world.licensed("1") == {}


async def test_an_order_that_was_never_paid_is_nothing(enter: Any) -> None:
    """It is cancelled before it was ever told as paid: nobody has to look at that."""
    async with enter(systems.FastSpring()) as world:
        spring = world.system
        items = [{"product": "a", "quantity": 1, "subscription": "sub1"}]
        await world.tell(spring.batch(spring.event("order.canceled", 2, id="1", items=items)))
        assert await world.parked() == []
        await world.tell(spring.batch(spring.order("1", LINES, 1)))
        assert await world.orders() == []


@pytest.mark.parametrize("early", [False, True])
async def test_a_payment_is_known_by_its_invoice(enter: Any, early: bool) -> None:
    """Stripe pays back a payment, and tells elsewhere of which invoice that was: of a renewal, or of the order."""
    async with enter(systems.Stripe()) as world:
        stripe = world.system

        def paid(id: str, at: int) -> Any:
            payment = {"type": "payment_intent", "payment_intent": f"pi_{id}"}
            return stripe.event(
                "invoice_payment.paid", at, id=f"inpay_{id}", status="paid", invoice=f"in_{id}", payment=payment
            )

        def back(id: str, at: int) -> Any:
            return stripe.event("charge.refunded", at, id=f"ch_{id}", refunded=True, payment_intent=f"pi_{id}")

        begun = [stripe.placed("1", LINES, 1), paid("1", 1)]
        renewal = [stripe.renewed("1", "501", LINES, 10), paid("501", 10), back("501", 11)]
        await world.tell(*(reversed([*begun, *renewal]) if early else [*begun, *renewal]))
        assert await world.parked() == []
        assert (await world.days("1"), await world.licensed("1")) == (30, LINES)
        await world.tell(back("1", 12))
        assert await world.licensed("1") == {}


async def test_a_payment_of_what_is_no_order_is_nothing(enter: Any) -> None:
    """Stripe settles a change of seats by an invoice, whose payment nobody has to look at."""
    async with enter(systems.Stripe()) as world:
        stripe = world.system
        payment = {"type": "payment_intent", "payment_intent": "pi_9"}
        await world.tell(
            stripe.placed("1", LINES, 1),
            stripe.event("invoice_payment.paid", 2, id="inpay_9", status="paid", invoice="in_9", payment=payment),
            stripe.invoice("9", "1", {"a": 1}, 2, "subscription_update"),
        )
        assert await world.parked() == []
        assert await world.licensed("1") == LINES


async def test_a_checkout_and_its_first_invoice_are_one_order(enter: Any) -> None:
    """Both tell the beginning of a subscription; neither is a renewal, and money goes back by either number."""
    async with enter(systems.Stripe()) as world:
        stripe = world.system
        await world.tell(
            stripe.event(
                "checkout.session.completed", 1, id="cs_1", mode="subscription", payment_status="paid",
                subscription="sub_1", invoice="in_1", line_items=stripe.list(LINES),
            ),
            stripe.placed("1", LINES, 1),
            stripe.event(
                "checkout.session.completed", 1, id="cs_2", mode="payment", payment_status="paid",
                payment_intent="pi_2", invoice="in_2", line_items=stripe.list(LINES),
            ),
            stripe.event("charge.refunded", 2, id="ch_2", refunded=True, payment_intent="pi_2"),
        )  # fmt: skip
        assert len(await world.orders()) == 2
        assert (await world.days("sub_1"), await world.licensed("sub_1")) == (30, LINES)
        assert await world.licensed("in_2") == {}
        await world.tell(stripe.all_returned("1", LINES, 3))
        assert await world.licensed("sub_1") == {}


async def test_a_return_that_is_called_off(enter: Any) -> None:
    """SAP rejects a return after all: the order has again what it had, and is no cancelled one."""
    async with enter(systems.Sap()) as world:
        sap = world.system
        await world.tell(sap.placed("1", {"a": 3, "b": 1}, 1), sap.returned("1", "60", LINES, 2))
        assert await world.licensed("1") == {"a": 1, "b": 1}
        await world.tell(sap.return_called_off("1", "60", LINES, 3))
        assert await world.licensed("1") == {"a": 3, "b": 1}
        await world.tell(sap.return_called_off("1", "61", LINES, 3))
        assert await world.licensed("1") == {"a": 3, "b": 1}


async def test_a_renewal_order_that_is_cancelled_or_fails(enter: Any) -> None:
    """WooCommerce cancels the order of a renewal: its time is gone, the first order stays."""
    async with enter(systems.WooCommerce()) as world:
        shop = world.system
        await world.tell(shop.placed("1", LINES, 1), shop.renewing("1", "501", LINES, 10, "processing"))
        await world.tell(shop.renewing("1", "501", LINES, 11, "completed"))
        assert await world.days("1") == 60
        await world.tell(shop.renewing("1", "501", LINES, 12, "cancelled"))
        assert (await world.days("1"), await world.licensed("1")) == (30, LINES)
        await world.tell(shop.renewing("1", "502", LINES, 20, "cancelled"))
        assert (await world.days("1"), await world.licensed("1")) == (30, LINES)
        await world.tell(shop.renewing("1", "502", LINES, 21, "processing"))
        assert await world.days("1") == 60
        assert len(await world.orders()) == 1


async def test_what_is_bought_after_a_renewal_is_not_renewed_by_it(enter: Any) -> None:
    """A renewal of all is one of all that there was."""
    async with enter(systems.Webhook()) as world:
        hook = world.system
        await world.tell(hook.placed("1", LINES, 1), hook.renewed("1", "501", {}, 10))
        await world.tell(hook.placed("1", {"a": 2, "b": 1}, 11))
        days = {
            each["product_code"]: json.loads(each["terms"])["expires_after_days"] for each in await world.licenses("1")
        }
        assert days == {"a": 60, "b": 30}


@pytest.mark.parametrize(("factor", "left"), [(1, None), (2, {"a": 5})])
async def test_a_fraction_waits_unless_the_mapping_makes_it_whole(enter: Any, factor: int, left: Any) -> None:
    """Half an article is none, but may be a whole product."""
    async with enter(systems.Webhook()) as world:
        await world.call("PutMapping", article="x", sku="a", factor=factor)
        await world.tell(world.system.placed("1", {"x": 2.5}, 1))
        if left is None:
            assert [each.outcomes[0].code for each in await world.parked()] == ["fraction"]
            assert await world.orders() == []
        else:
            assert await world.licensed("1") == left


async def test_half_of_an_order_is_not_applied(enter: Any) -> None:
    """One line of two is unknown: the order waits whole, and keeps what it had; nothing of it is half there."""
    async with enter(systems.Webhook()) as world:
        hook = world.system
        await world.tell(hook.placed("1", {"a": 1}, 1), hook.placed("1", {"a": 5, "x": 1}, 2))
        assert await world.licensed("1") == {"a": 1}
        assert len(await world.parked()) == 1
        await world.tell(hook.placed("1", {"a": 6}, 3))
        assert await world.licensed("1") == {"a": 6}
        await world.call("PutMapping", article="x", sku="b")
        await world.call("ReplayDeliveries")
        assert await world.licensed("1") == {"a": 6}  # what was parked is old by now
        assert await world.parked() == []


async def test_an_old_call_gets_the_ticket_too(enter: Any) -> None:
    """A shop that repeats an older state is not told that there is no ticket, or it would repeat it for ever."""
    async with enter(systems.Plesk()) as world:
        plesk = world.system
        await world.tell(plesk.placed("1", {"a": 1}, 1), plesk.placed("1", {"b": 1}, 5))
        old = plesk.call("UPGRADE", "1", {"a": 1}, 3)
        answer = await world.send(old)
        assert (answer.status_code, answer.text) == (200, (await world.order("1")).ticket)
        assert await world.licensed("1") == {"b": 1}


async def test_orders_and_their_refunds_at_once(data: Path, database_url: str) -> None:
    """However the two meet, no refund waits for an order that is there already; on both databases."""
    async with worlds.opened(systems.Webhook(), data, database_url) as world:
        hook, count = world.system, 40
        sents = [hook.placed(str(number), {"a": 3}, 1) for number in range(count)]
        sents += [hook.returned(str(number), f"r{number}", {"a": 1}, 2) for number in range(count)]
        await asyncio.gather(*(world.send(sent) for sent in sents))
        while any(await asyncio.gather(*(world.application.chain.inbox.work(8) for _ in range(6)))):
            pass
        assert await world.parked() == []
        left = await world.sql("SELECT quantity - to_reclaim AS left_over FROM license")
        assert [each["left_over"] for each in left] == [2] * count


class SlowShop(systems.WooCommerce):
    """A shop that takes its time with the first thing that is written into an order."""

    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self.writing, self.goes_on = threading.Event(), threading.Event()

    def answer(self, request: Any) -> Any:
        """What it answers; notes are thrown away."""
        if request.method == "PUT":
            if not self.writing.is_set():
                self.writing.set()
                assert self.goes_on.wait(10)
            self.fields |= {each["key"]: each["value"] for each in request.json()["meta_data"]}
        if request.path.partition("?")[0].endswith("/notes"):
            return loopback.Response([])
        meta = [{"key": key, "value": value} for key, value in self.fields.items()]
        return loopback.Response({"id": 1, "meta_data": meta})


async def test_the_newest_outcome_is_written_last(enter: Any) -> None:
    """A server is slow to write that an order waits; another one writes its ticket meanwhile: that is what stays."""
    from licentia.services.outbox import Outbox

    async with enter(SlowShop()) as world:
        shop, chain = world.system, world.application.chain
        await world.tell(shop.placed("1", {"x": 1}, 1))
        slow = asyncio.create_task(chain.outbox.work(8))
        assert await asyncio.to_thread(shop.writing.wait, 10)
        await world.call("PutMapping", article="x", sku="a")
        await world.call("ReplayDeliveries")
        assert await Outbox(world.application, chain.connections).work(8) == 1
        ticket = (await world.order("1")).ticket
        assert shop.fields["licentia_ticket"] == ticket
        shop.goes_on.set()
        await slow
        assert shop.fields["licentia_problem"]  # what was slow came last, and is wrong
        while await chain.outbox.work(8):
            pass
        assert shop.fields == {"licentia_ticket": ticket, "licentia_problem": ""}


@pytest.mark.parametrize("fresh", [True, False])
async def test_a_poll_that_finds_nothing_new_is_the_last_for_a_while(enter: Any, fresh: bool) -> None:
    """What is found again is no reason to ask again at once."""
    from datetime import UTC, datetime

    from licentia.connectors import Delivery

    async with enter(systems.Webhook(), poll_seconds=600) as world:
        inbox, connection = world.application.chain.inbox, await world.application.chain.connections.get("webhook")
        await world.sql("INSERT INTO poll (connection, cursor, due_at, attempts) VALUES ('webhook', '', 0, 0)")
        body = world.system.placed("1", LINES, 1).body
        found = Delivery(body=body, received_at=datetime.now(UTC), headers={"webhook-id": "msg"})
        for _ in range(1 if fresh else 2):
            await inbox.keep(connection, [found], "polled", cursor="1")
        ((poll),) = await world.sql("SELECT due_at, polled_at FROM poll")
        assert (poll["due_at"] > poll["polled_at"]) is not fresh
        await world.work()


async def test_a_refund_that_is_parked_while_its_order_is_committed(
    data: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither sees the other's transaction, and yet the refund goes on by itself; on both databases."""
    from licentia.services import applying

    waits, goes_on, tell_system = asyncio.Event(), asyncio.Event(), applying._tell_system

    async def slow(*given: Any) -> None:
        waits.set()
        await asyncio.wait_for(goes_on.wait(), 10)
        await tell_system(*given)

    async with worlds.opened(systems.Webhook(), data, database_url) as world:
        hook, inbox = world.system, world.application.chain.inbox
        for sent in (hook.placed("1", {"a": 3}, 1), hook.returned("1", "r1", {"a": 1}, 2)):
            await world.send(sent)
        order, refund = [each["id"] for each in await world.sql("SELECT id FROM delivery ORDER BY received_at")]
        monkeypatch.setattr(applying, "_tell_system", slow)
        first = inbox.process(order)
        await asyncio.wait_for(waits.wait(), 10)
        second = inbox.process(refund)
        await asyncio.sleep(0.3)
        goes_on.set()
        await asyncio.gather(first, second)
        await world.work()
        assert await world.parked() == []
        assert await world.licensed("1") == {"a": 2}
