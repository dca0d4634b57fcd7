"""Repeats and hang-ups: nothing happens twice, and what was accepted happens."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest

from licentia.errors import IdempotencyMismatch, NotFound, TicketExhausted
from licentia.services.identity import Caller

ADA = {"kind": "cloud-lite", "user": "ada"}
BEN = {"kind": "cloud-lite", "user": "ben"}


async def test_a_repeat_under_a_key_gets_the_first_answer(desk: Any) -> None:
    """The same request under the same key is done once, even when the state has moved on."""
    await desk.product()
    order = await desk.order("1", ("1", "cad", 3))
    first = await desk.activate(order.ticket, key="k", quantity=1)
    await desk.activate(order.ticket, "ben", quantity=1)
    assert await desk.activate(order.ticket, key="k", quantity=1) == first
    await desk("ReturnActivation", activation_id=first.activation_id)
    assert await desk.activate(order.ticket, key="k", quantity=1) == first
    assert (await desk("GetTicket", code=order.ticket)).licenses[0].available == 2
    moved = await desk("MoveActivation", key="k", activation_id=(await desk.activate(order.ticket)).activation_id,
                       container=BEN)  # fmt: skip
    again = await desk("MoveActivation", key="k", activation_id=await last_moved_from(desk), container=BEN)
    assert again == moved


async def last_moved_from(desk: Any) -> str:
    """The activation that the last move started from."""
    return str([event.data["moved_from"] for event in await desk.events() if event.kind == "activation.moved"][-1])


async def test_a_repeat_with_another_request_is_a_mistake(desk: Any) -> None:
    """A key stands for one request of one operation of one caller."""
    await desk.product()
    order = await desk.order("1", ("1", "cad", 3))
    first = await desk.activate(order.ticket, key="k", quantity=1)
    await desk.refused(IdempotencyMismatch, "ActivateTicket", key="k", code=order.ticket, container=BEN, quantity=1)
    other = Caller(actor="another key", scopes=frozenset({"depot"}))
    assert (await desk.activate(order.ticket, key="k", quantity=1, caller=other)).activation_id != first.activation_id
    assert (await desk.activate(order.ticket, key="k2", quantity=1)).activation_id != first.activation_id


async def test_a_refusal_is_not_kept(desk: Any) -> None:
    """A refused request may be sent again under its key once the reason is gone."""
    await desk.product()
    order = await desk.order()
    blocker = await desk.activate(order.ticket, "ben")
    await desk.refused(TicketExhausted, "ActivateTicket", key="k", code=order.ticket, container=ADA)
    await desk("ReturnActivation", activation_id=blocker.activation_id)
    assert (await desk.activate(order.ticket, key="k")).state == "confirmed"


async def test_one_key_at_the_same_instant(desk: Any) -> None:
    """An impatient client that sends its activation many times at once gets one activation and one answer."""
    await desk.product()
    for number, quantity in (("1", {}), ("2", {"quantity": 1})):
        order = await desk.order(number, ("1", "cad", 2))
        replies = await asyncio.gather(
            *[desk.activate(order.ticket, key=f"k{number}", **quantity) for _ in range(8)], return_exceptions=True
        )
        assert replies == [replies[0]] * 8
        assert not isinstance(replies[0], Exception)


async def test_answers_are_kept_for_a_day(small_desk: Any) -> None:
    """Old answers go when new ones come, so that the table does not grow for ever."""
    await small_desk.product()
    order = await small_desk.order("1", ("1", "cad", 9))
    await small_desk.activate(order.ticket, key="old", quantity=1)
    await small_desk.activate(order.ticket, key="young", quantity=1)
    await small_desk.sql("UPDATE answer SET at = at - $1", 23 * 3_600_000_000)
    old = "SELECT id FROM answer ORDER BY at LIMIT 1"
    await small_desk.sql(f"UPDATE answer SET at = at - $1 WHERE id = ({old})", 2 * 3_600_000_000)
    await small_desk.activate(order.ticket, key="new", quantity=1)
    assert await small_desk.sql("SELECT COUNT(*) AS n FROM answer") == [{"n": 2}]


async def test_a_caller_who_hangs_up_stops_nothing(desk: Any) -> None:
    """A call that was accepted is carried out, though nobody waits for its answer."""
    await desk.product()
    call = asyncio.create_task(desk.order())
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    async with asyncio.timeout(5):
        while True:
            try:
                order = await desk("GetOrder", source="erp", order_number="1")
                break
            except NotFound:
                await asyncio.sleep(0.01)
    assert order.version == 1
    assert (await desk.kinds())[-1] == "order.placed"


async def test_closing_waits_for_what_was_accepted(open_desk: Callable[..., Any]) -> None:
    """A server that stops first finishes what it has begun."""
    desk = await open_desk()
    await desk.product()
    calls = [asyncio.create_task(desk.order(f"{number}")) for number in range(20)]
    await asyncio.sleep(0)
    for call in calls:
        call.cancel()
    await desk.application.close()
    await asyncio.gather(*calls, return_exceptions=True)
    desk = await open_desk()
    assert await desk.sql("SELECT COUNT(*) AS n FROM purchase_order") == [{"n": 20}]


async def test_two_hundred_callers_hang_up_and_nothing_hangs(desk: Any) -> None:
    """Calls of every sort, cancelled at any moment, leave a server that works and books that are in order."""
    activation = await desk.sold("cad", quantity=5)
    await desk.sold("run", units=1000)
    _, key = await desk.key("licensing")
    chance = random.Random(7)

    async def hang_up(number: int) -> None:
        from licentia.services.identity import BearerToken

        work = chance.choice(
            [
                lambda: desk.checkout(f"l{number % 7}"),
                lambda: desk("ReleaseLease", lease_id=f"l{number % 7}"),
                lambda: desk.order(f"{number % 9}", ("1", "cad", number % 5 + 1)),
                lambda: desk("ConsumeUnits", user="ada", product_code="run", units=1, request_id=f"r{number}"),
                lambda: desk("ListLicenses", user="ada"),
                lambda: desk("GetActivation", activation_id=activation.activation_id),
                lambda: desk("ListEvents"),
                lambda: desk.application.authenticate(BearerToken(key), "192.0.2.1"),
                lambda: desk.application.authenticate(BearerToken("lic_no_key"), "192.0.2.1"),
            ]
        )
        task = asyncio.create_task(work())
        await asyncio.sleep(chance.choice([0, 0, chance.random() * 0.02]))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async with asyncio.timeout(30):
        for start in range(0, 200, 10):
            await asyncio.gather(*[hang_up(start + number) for number in range(10)])
        await asyncio.gather(*desk.application._running, return_exceptions=True)
        await desk.order("after-all")
