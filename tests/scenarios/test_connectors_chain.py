"""One order in the form of each business system, from the delivery to the licenses: through the real gateway."""

from __future__ import annotations

import asyncio
import base64
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import connector_world as worlds
import pytest
import systems_base as base

systems = worlds.systems
AT_ONCE = [systems.Webhook, systems.Plesk, systems.Salesforce, systems.Paddle]
"""One that is answered at once, one that waits for its ticket, one that is acknowledged and fetched, one with parts."""

TESTING = [systems.Webhook, systems.Csv, systems.Stripe, systems.FastSpring, systems.Shopify, systems.Plesk]
"""Those that mark an order that nobody paid for."""

of, part_returned, those = worlds.of, worlds.part_returned, worlds.those


@pytest.fixture
def enter(data: Path) -> Callable[..., Any]:
    """Opens a world on SQLite."""
    return lambda system, **options: worlds.opened(system, data, None, **options)


@those()
async def test_the_life_of_an_order(kind: Any, data: Path, database_url: str) -> None:
    """Placed, changed, returned in part, cancelled: what is licensed follows, by one ticket; on both databases."""
    async with worlds.opened(kind(), data, database_url) as world:
        system = world.system
        await world.tell(system.placed("1", of(system, a=3, b=1), 1))
        assert await world.licensed("1") == of(system, a=3, b=1)
        ticket = (await world.order("1")).ticket
        expected = of(system, a=3, b=1)
        if not isinstance(system, systems.MyCommerce):
            expected = of(system, a=5, b=1)
            await world.tell(system.placed("1", expected, 2))
            assert await world.licensed("1") == expected
        if hasattr(system, "returned"):
            await world.tell(part_returned(system, "1", expected))
            assert await world.licensed("1") == {"a": 3, "b": 1}
        if hasattr(system, "cancelled"):
            await world.tell(system.cancelled("1", expected, 4))
            assert await world.licensed("1") == {}
            assert (await world.order("1")).status == "cancelled"
        assert (await world.order("1")).ticket == ticket
        assert await world.parked() == []


@pytest.mark.parametrize("kind", AT_ONCE, ids=lambda kind: kind.__name__)
async def test_many_at_once_are_one(kind: Any, data: Path, database_url: str) -> None:
    """The same delivery 50 times at once, and once more later: one order; every answer is that it is kept."""
    async with worlds.opened(kind(), data, database_url) as world:
        sent = world.system.placed("1", of(world.system, a=3), 1)
        answers = await asyncio.gather(*(world.send(sent) for _ in range(50)))
        await world.work()
        answers.append(await world.send(sent))
        await world.work()
        assert {answer.status_code < 300 for answer in answers} == {True}
        assert await world.licensed("1") == of(world.system, a=3)
        assert len(await world.sql("SELECT id FROM delivery")) == 1
        if world.system.plugin == "keygen-http":
            assert {answer.text for answer in answers} == {(await world.order("1")).ticket}


@those("cancelled", versions=True)
async def test_every_order_of_arrival_comes_to_the_same(kind: Any, enter: Any) -> None:
    """Placed, changed, partly returned: in each order of arrival, and each again at the end."""
    async with enter(kind()) as world:
        system = world.system
        after = of(system, a=5, b=1)
        for place, arrival in enumerate(itertools.permutations(range(3))):
            number = str(100 + place)
            happened = [system.placed(number, of(system, a=3, b=1), 1), system.placed(number, after, 2)]
            if hasattr(system, "returned"):
                happened.append(part_returned(system, number, after))
            else:
                happened.append(system.placed(number, after, 3))
            await world.tell_anyway(*(happened[which] for which in arrival), *happened)
            left = {"a": 3, "b": 1} if hasattr(system, "returned") else after
            assert await world.licensed(number) == left, arrival
        assert await world.parked() == []


@those("all_returned")
async def test_a_whole_refund_beside_a_partial_one(kind: Any, enter: Any) -> None:
    """All is paid back after a part was: nothing is left, and nothing is counted below."""
    async with enter(kind()) as world:
        system = world.system
        await world.tell(system.placed("1", {"a": 3}, 1))
        if hasattr(system, "returned"):
            await world.tell(part_returned(system, "1", {"a": 3}))
            assert await world.licensed("1") == {"a": 1}
        await world.tell(system.all_returned("1", {"a": 3}, 4))
        assert await world.licensed("1") == {}
        assert await world.parked() == []


@those("all_returned")
async def test_a_refund_before_its_order(kind: Any, enter: Any) -> None:
    """Either way nothing is licensed: the refund waits for its order, or tells all of it."""
    async with enter(kind()) as world:
        await world.tell(world.system.all_returned("1", {"a": 3}, 3))
        assert {each.outcomes[0].code for each in await world.parked()} <= {"origin_unknown"}
        await world.tell(world.system.placed("1", {"a": 3}, 1))
        assert await world.parked() == []
        assert not await world.orders() or await world.licensed("1") == {}


@those("cancelled")
async def test_a_cancellation_after_the_activation(kind: Any, enter: Any) -> None:
    """What is in use is owed back, or withdrawn where the vendor has said so."""
    reclaim = "withdraw" if len(kind.__name__) % 2 else "ask"
    async with enter(kind(), reclaim=reclaim) as world:
        lines = of(world.system, a=2)
        await world.tell(world.system.placed("1", lines, 1))
        await world.activate("1")
        await world.tell(world.system.cancelled("1", lines, 2))
        order = await world.order("1")
        assert await world.licensed("1") == {}
        assert order.to_reclaim == lines["a"]
        assert order.status == "cancel_pending"
        (license,) = await world.licenses("1")
        assert (license["standing"] != "live") is (reclaim == "withdraw")


@those("cancelled", versions=True)
async def test_a_cancellation_before_the_order(kind: Any, enter: Any) -> None:
    """Whatever comes first, what was cancelled later is not licensed."""
    async with enter(kind()) as world:
        lines = of(world.system, a=2)
        order, end = world.system.placed("1", lines, 1), world.system.cancelled("1", lines, 2)
        await world.tell_anyway(end, order)
        assert not await world.orders() or await world.licensed("1") == {}
        assert await world.parked() == []


@those("renewed")
async def test_renewals(kind: Any, enter: Any) -> None:
    """The end moves once for each, however often it is told."""
    async with enter(kind()) as world:
        system, lines = world.system, of(world.system, a=2)
        await world.tell(system.placed("1", lines, 1))
        assert await world.days("1") == 30
        first = system.renewed("1", "501", lines, 10)
        await world.tell(first, first, system.renewed("1", "501", lines, 10))
        assert await world.days("1") == 60
        await world.tell(system.renewed("1", "502", lines, 20), first)
        assert await world.days("1") == 90
        assert await world.licensed("1") == lines
        assert len(await world.orders()) == 1
        assert await world.parked() == []


@those("renewal_returned")
async def test_a_renewal_that_is_paid_back(kind: Any, enter: Any) -> None:
    """Its time is gone; the order itself stays, also if the refund comes before the renewal."""
    async with enter(kind()) as world:
        system, lines = world.system, {"a": 2}
        await world.tell(system.placed("1", lines, 1))
        await world.tell(system.renewed("1", "501", lines, 10), system.renewal_returned("1", "501", lines, 11))
        assert await world.days("1") == 30
        early = system.renewal_returned("1", "502", lines, 21)
        await world.tell(early)
        await world.tell(system.renewed("1", "502", lines, 20))
        assert await world.parked() == []
        assert await world.days("1") == 30
        assert await world.licensed("1") == lines


@those("renewed")
async def test_a_renewal_of_what_nobody_knows_waits(kind: Any, enter: Any) -> None:
    """And goes on by itself once the order has come."""
    async with enter(kind()) as world:
        system, lines = world.system, of(world.system, a=2)
        await world.tell_anyway(system.renewed("1", "501", lines, 10))
        assert [each.outcomes[0].code for each in await world.parked()] == ["origin_unknown"]
        await world.tell(system.placed("1", lines, 1))
        assert await world.parked() == []
        assert await world.days("1") == 60


@those("renewed")
async def test_a_renewal_of_what_nobody_knows_may_be_an_order(kind: Any, enter: Any) -> None:
    """Where the vendor has said so it is one, once; the next renewal is its first."""
    async with enter(kind(), unknown_renewals="place") as world:
        system, lines = world.system, of(world.system, a=2)
        first = system.renewed("1", "501", lines, 10)
        await world.tell(first, first, system.renewed("1", "501", lines, 10))
        (order,) = await world.orders()
        number = order["order_number"]
        assert await world.licensed(number) == lines
        assert await world.days(number) == 30
        await world.tell(system.renewed("1", "502", lines, 20))
        assert await world.days(number) == 60
        assert len(await world.orders()) == 1


@those()
async def test_an_unknown_article_waits_for_its_mapping(kind: Any, enter: Any) -> None:
    """It is parked whole; a rehearsal changes nothing; once it is mapped it is tried again."""
    async with enter(kind()) as world:
        lines = {"new": 2 if world.system.counts else 1}
        await world.send(world.system.placed("1", lines, 1))
        await world.work()
        (delivery,) = await world.parked()
        assert delivery.outcomes[-1].code == "product_unknown"
        assert await world.orders() == []
        before = await world.sql("SELECT * FROM delivery")
        rehearsed = await world.call("ReplayDeliveries", dry_run=True)
        assert [each.state for each in rehearsed.deliveries[0].outcomes] == ["parked"]
        await world.call("PutMapping", article="new", sku="a", factor=3)
        rehearsed = await world.call("ReplayDeliveries", dry_run=True)
        assert [each.state for each in rehearsed.deliveries[0].outcomes] == ["applied"]
        assert await world.sql("SELECT * FROM delivery") == before
        assert await world.orders() == []
        await world.call("ReplayDeliveries")
        assert await world.licensed("1") == {"a": 3 * lines["new"]}
        assert await world.parked() == []


@those("nameless")
async def test_an_order_of_nobody_waits(kind: Any, enter: Any) -> None:
    """Who bought is not guessed; the next state that tells it places the order."""
    async with enter(kind()) as world:
        lines = of(world.system, a=2)
        await world.tell(world.system.nameless("1", lines, 1))
        assert [each.outcomes[0].code for each in await world.parked()] == ["customer_missing"]
        assert await world.orders() == []


@pytest.mark.parametrize("kind", TESTING, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("test_orders", ["ignore", "issue"])
async def test_orders_that_nobody_paid(kind: Any, enter: Any, test_orders: str) -> None:
    """They earn nothing, or something that is marked."""
    system = kind()
    system.test = True
    async with enter(system, test_orders=test_orders) as world:
        await world.send(system.placed("1", of(system, a=2), 1))
        await world.work()
        if test_orders == "ignore":
            assert await world.orders() == []
        else:
            assert (await world.order("1")).test
            assert await world.licensed("1") == of(system, a=2)


@those()
async def test_what_an_admin_withdrew_stays_withdrawn(kind: Any, enter: Any) -> None:
    """Later paid states of the order do not bring it back."""
    async with enter(kind()) as world:
        lines = of(world.system, a=2)
        await world.tell(world.system.placed("1", lines, 1))
        (license,) = await world.licenses("1")
        await world.call("WithdrawLicense", license_id=license["id"], reason="fraud", mode="at_next_contact")
        if not isinstance(world.system, systems.MyCommerce):
            await world.tell(world.system.placed("1", lines, 2))
        (license,) = await world.licenses("1")
        assert license["standing"] != "live"


@those()
async def test_forged_and_illegible_deliveries(kind: Any, enter: Any) -> None:
    """Nothing forged is kept; what is authentic and illegible is, for a person; an unknown address is none."""
    async with enter(kind()) as world:
        sent = world.system.placed("1", of(world.system, a=1), 1)
        bare = {name: "x" + value for name, value in sent.headers.items() if name != "content-type"}
        forged = base.Sent(sent.body.replace(base.SECRET.encode(), b"forged"), bare)
        answer = await world.send(forged)
        assert answer.status_code == 401
        assert answer.json()["code"] == "unauthenticated"
        assert (await world.send(sent, "nobody")).status_code == 404
        assert await world.sql("SELECT id FROM delivery") == []
        assert base.SECRET not in answer.text


@pytest.mark.parametrize(
    "kind", [systems.Webhook, systems.Stripe, systems.Shopify, systems.FastSpring], ids=lambda kind: kind.__name__
)
async def test_an_illegible_delivery_is_kept_for_a_person(kind: Any, enter: Any) -> None:
    """It is acknowledged and parked, and can be discarded."""
    async with enter(kind()) as world:
        body = b'{"this": "is signed, but nothing'
        await world.tell(base.Sent(body, world.system.sign(body)))
        (delivery,) = await world.parked()
        assert delivery.problem
        whole = await world.call("GetDelivery", delivery_id=delivery.delivery_id)
        assert base64.b64decode(whole.body) == body
        await world.call("DiscardDelivery", delivery_id=delivery.delivery_id, reason="a test of the shop")
        assert await world.parked() == []
        assert await world.orders() == []
