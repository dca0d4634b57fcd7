"""Waiting for a seat: first come, first served, over all servers of one database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import pytest

from licentia.errors import LicenseWithdrawn, NoFreeSeats


@pytest.fixture
async def other(desk: Any) -> AsyncIterator[Any]:
    """A desk at a second server on the same database."""
    from licentia.services.application import Application

    opened = await Application.open(desk.application.settings)
    yield type(desk)(opened)
    await opened.close()


async def queued(desk: Any, count: int) -> None:
    """Until so many wait."""
    for _ in range(500):
        if await desk.sql("SELECT COUNT(*) AS n FROM waiter") == [{"n": count}]:
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"{count} should wait")


async def wait(desk: Any, lease_id: str, seconds: int = 20, **fields: Any) -> asyncio.Task[Any]:
    """Claim with time to wait, and be in the queue."""
    (before,) = await desk.sql("SELECT COUNT(*) AS n FROM waiter")
    task = asyncio.create_task(desk.checkout(lease_id, wait_seconds=seconds, **fields))
    await queued(desk, before["n"] + 1)
    return task


async def within(seconds: float, work: Awaitable[Any]) -> Any:
    """The outcome, which must not take longer."""
    async with asyncio.timeout(seconds):
        return await work


async def test_a_release_lets_who_waits_in_at_once(desk: Any) -> None:
    """In the same process nobody waits for a timer."""
    await desk.sold()
    await desk.checkout("holder")
    waiting = await wait(desk, "a")
    started = time.monotonic()
    await desk("ReleaseLease", lease_id="holder")
    lease = await within(2, waiting)
    assert (lease.created, lease.lease_id, lease.seats_in_use) == (True, "a", 1)
    assert time.monotonic() - started < 0.4
    assert await desk.sql("SELECT * FROM waiter") == []
    assert await desk.sql("SELECT waiters FROM seat_pool") == [{"waiters": 0}]


async def test_an_end_by_time_lets_who_waits_in(desk: Any) -> None:
    """Within the half second after which who waits looks again."""
    await desk.sold()
    await desk.checkout("holder", ttl_seconds=1)
    waiting = await wait(desk, "a")
    assert (await within(2.5, waiting)).created


async def test_who_has_waited_long_enough_is_refused(desk: Any) -> None:
    """After the time asked for, with the refusal of who does not wait; it is one denial, and the queue is left."""
    await desk.sold()
    await desk.checkout("holder")
    started = time.monotonic()
    refusal = await desk.full(NoFreeSeats, "a", wait_seconds=1)
    assert 0.9 < time.monotonic() - started < 2
    assert "ada until" in refusal.detail
    assert await desk.sql("SELECT * FROM waiter") == []
    assert (await desk("GetUsage")).products[0].denials == 1


async def test_a_free_seat_needs_no_waiting(desk: Any) -> None:
    """The time to wait is the longest, not the time that it takes; a renewal takes none."""
    await desk.sold()
    for created in (True, False):
        assert (await within(2, desk.checkout("a", wait_seconds=300))).created is created


async def test_more_seats_than_there_are_are_not_waited_for(desk: Any) -> None:
    """The refusal comes at once, and nobody is held up."""
    await desk.sold(quantity=2)
    await within(2, desk.full(NoFreeSeats, "a", seats=3, wait_seconds=300))
    assert (await desk.checkout("b", seats=2)).created


async def test_twenty_are_served_in_the_order_of_their_coming(desk: Any, other: Any) -> None:
    """Whichever server they wait at, and wherever the seat is released."""
    await desk.sold()
    await desk.checkout("holder")
    served: list[str] = []

    async def one(number: int, lease_id: str) -> None:
        here = (desk, other)[number % 2]
        await here.checkout(lease_id, wait_seconds=60)
        served.append(lease_id)
        await (desk, other)[number // 2 % 2]("ReleaseLease", lease_id=lease_id)

    names = [f"w{number:02}" for number in range(20)]
    tasks = []
    for number, name in enumerate(names):
        tasks.append(asyncio.create_task(one(number, name)))
        await queued(desk, number + 1)
    await desk("ReleaseLease", lease_id="holder")
    await within(40, asyncio.gather(*tasks))
    assert served == names
    await desk.audit()


async def test_a_newcomer_at_another_server_does_not_overtake(desk: Any, other: Any) -> None:
    """The seat that became free is for who waits, though nobody has told that server yet."""
    await desk.sold()
    await desk.checkout("holder")
    waiting = await wait(desk, "a")
    await other("ReleaseLease", lease_id="holder")
    await other.full(NoFreeSeats, "quick")
    assert (await within(2, waiting)).created


async def test_who_hangs_up_is_soon_forgotten(desk: Any, other: Any) -> None:
    """A cancelled call leaves no lease, and after three seconds no place in the queue."""
    await desk.sold()
    await desk.checkout("holder")
    gone = await wait(desk, "gone")
    waiting = await wait(other, "next")
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    await desk("ReleaseLease", lease_id="holder")
    assert (await within(5, waiting)).created
    assert await desk.leases() == ["next"]
    assert await desk.sql("SELECT * FROM waiter") == []


async def test_a_server_that_closes_sends_those_who_wait_home(desk: Any) -> None:
    """They are refused at once as if their time were over, and keep nobody at another server waiting."""
    from licentia.services.application import Application

    await desk.sold()
    await desk.checkout("holder")
    closing = type(desk)(await Application.open(desk.application.settings))
    waiting = [await wait(closing, f"w{number}") for number in range(3)]
    await within(3, closing.application.close())
    outcomes = await within(1, asyncio.gather(*waiting, return_exceptions=True))
    assert [type(outcome) for outcome in outcomes] == [NoFreeSeats] * 3
    assert await desk.sql("SELECT * FROM waiter") == []
    await desk("ReleaseLease", lease_id="holder")
    assert (await desk.checkout("b")).created


async def test_a_server_that_dies_keeps_nobody_waiting_for_long(desk: Any) -> None:
    """Its places are void after three seconds of silence."""
    await desk.sold()
    await desk.checkout("holder")
    (dead,) = await desk.sql("SELECT id FROM seat_pool")
    now = await desk.sql("SELECT granted_at FROM lease")
    row = ("dead", dead["id"], 1, now[0]["granted_at"])
    await desk.sql("INSERT INTO waiter (lease_id, pool_id, seats, seen_at) VALUES ($1, $2, $3, $4)", *row)
    await desk.sql("UPDATE seat_pool SET waiters = 1")
    await desk("ReleaseLease", lease_id="holder")
    await desk.full(NoFreeSeats, "quick")
    await desk.sql("UPDATE waiter SET seen_at = seen_at - 3000000")
    assert (await desk.checkout("quick")).created
    assert await desk.sql("SELECT * FROM waiter") == []


@pytest.mark.parametrize("mode", ["now", "at_next_contact"])
async def test_a_withdrawal_sends_the_queue_home(desk: Any, mode: str) -> None:
    """Who waits learns it within a second, and no place is left behind."""
    activation = await desk.sold()
    await desk.checkout("holder")
    waiting = await wait(desk, "a")
    license_id = activation.licenses[0].license_id
    await desk("WithdrawLicense", license_id=license_id, reason="unpaid", mode=mode)
    with pytest.raises(LicenseWithdrawn):
        await within(2, waiting)
    assert await desk.sql("SELECT * FROM waiter") == []


async def test_a_new_license_serves_who_waits_for_another(desk: Any) -> None:
    """The wait is for the product, not for one license of it."""
    await desk.sold()
    await desk.checkout("holder")
    waiting = await wait(desk, "a")
    more = await desk.activate((await desk.order("2")).ticket)
    lease = await within(2, waiting)
    assert lease.license_id == more.licenses[0].license_id
    assert await desk.sql("SELECT * FROM waiter") == []


async def test_who_waits_holds_no_connection(desk: Any) -> None:
    """Far more wait than a server has connections, and everything else goes on."""
    await desk.sold()
    await desk.checkout("holder")
    tasks = [asyncio.create_task(desk.checkout(f"w{number:02}", wait_seconds=30)) for number in range(50)]
    await queued(desk, 50)
    assert (await within(2, desk("ListLicenses", user="ada"))).licenses[0].seats_in_use == 1
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_call_repeated_while_the_first_waits(desk: Any) -> None:
    """An impatient client is one claim: both of its calls get the same lease, and it has one place."""
    await desk.sold()
    await desk.checkout("holder")
    first = await wait(desk, "a")
    second = asyncio.create_task(desk.checkout("a", wait_seconds=20))
    await asyncio.sleep(0.1)
    await queued(desk, 1)
    await desk("ReleaseLease", lease_id="holder")
    leases = await within(3, asyncio.gather(first, second))
    assert sorted(lease.created for lease in leases) == [False, True]
    assert leases[0].seats_in_use == leases[1].seats_in_use == 1
