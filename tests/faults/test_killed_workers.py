"""Server processes that are killed in the middle of their work."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from licentia.errors import NoFreeSeats

SEATS = 20


@pytest.mark.parametrize("wait_seconds", [0, 1])
@pytest.mark.parametrize("seconds", [2, pytest.param(30, marks=pytest.mark.slow)])
async def test_no_seat_is_oversold_or_lost(shop: Any, seconds: float, wait_seconds: int) -> None:
    """Four processes fight for 20 seats or queue for them, one is killed: never a seat too many, and all come back."""
    await shop.license("hot", "team", SEATS)
    claim = {"product_code": "hot", "user": "team"}
    times = {"ttl_seconds": 1, "wait_seconds": wait_seconds}
    async with shop.workers("lease", 4, clients=32, seconds=seconds, doomed=1, claim=claim | times) as workers:
        await workers.at_work(only=1)  # another may find all seats taken for as long as it works
        await asyncio.sleep(seconds / 2)
        workers.kill(1)
        told = await workers.done()
    assert await shop.faults() == []
    assert [worker["refusals"] for worker in told] == [0, 0, 0]
    assert len(shop.acknowledged("granted")) > SEATS
    await asyncio.sleep(3 if wait_seconds else 1)  # who waited at the killed server has been silent for long enough
    for seat in range(SEATS):
        await shop.call("CheckoutLicense", lease_id=f"after-{seat}", **claim)
    with pytest.raises(NoFreeSeats):
        await shop.call("CheckoutLicense", lease_id="one-more", **claim)
    assert await shop.faults() == []


async def test_no_order_is_half_there(shop: Any) -> None:
    """Orders in flight in a process that is killed are there wholly or not at all; pushed again, they are there."""
    await shop.offer("cad")
    lines = [{"line_id": str(line), "sku": "cad", "quantity": 1} for line in range(3)]
    order = {"source": "shop", "customer": {"id": "customer"}, "lines": lines}
    async with shop.workers("order", 2, clients=150, own=True, order=order) as workers:
        await workers.at_work(5)
        workers.kill(0)
        await workers.done()
    assert await shop.faults() == []
    told = {entry["number"]: entry["ticket"] for entry in shop.acknowledged("order")}
    assert sum(number.startswith("0-") for number in told) < 150
    for number in (f"{worker}-{client}" for worker in range(2) for client in range(150)):
        placed = await shop.call("CreateOrder", **order, order_number=number)
        assert placed.ticket == told.get(number, placed.ticket)
        assert len(placed.licenses) == 3
    assert await shop.faults() == []
