"""The same thing asked for many times at once, by several processes: it happens once."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg


async def test_a_client_asks_again_before_it_is_answered(postgres_url: str, open_shop: Any) -> None:
    """The last seat is claimed and, as the server is slow, claimed again under the same lease id: both get it."""
    async with open_shop(postgres_url) as shop:
        await shop.license("cad", "anna")
        slow = await asyncpg.connect(postgres_url)
        try:
            async with slow.transaction():
                await slow.execute("SELECT * FROM seat_pool FOR UPDATE")
                claim = {"lease_id": "one", "product_code": "cad", "user": "anna"}
                asked = [asyncio.create_task(shop.call("CheckoutLicense", **claim)) for _ in range(5)]
                await asyncio.sleep(0.2)
            answers = await asyncio.gather(*asked)
        finally:
            await slow.close()
        assert sorted(answer.created for answer in answers) == [False, False, False, False, True]
        assert await shop.faults() == []


async def test_one_order_makes_one_ticket(shop: Any) -> None:
    """Four processes push one order 200 times at once: one of them creates it, all are told the one ticket."""
    await shop.offer("cad")
    line = {"line_id": "1", "sku": "cad", "quantity": 5}
    order = {"source": "shop", "customer": {"id": "customer"}, "lines": [line]}
    async with shop.workers("order", 4, clients=50, own=False, order=order) as workers:
        await workers.done()
    told = shop.acknowledged("order")
    assert len(told) == 200
    assert len({entry["ticket"] for entry in told}) == 1
    assert sum(entry["created"] for entry in told) == 1
    assert await shop.faults() == []


async def test_units_are_consumed_once(shop: Any) -> None:
    """Four processes send the same 50 consumptions, each twice: every one counts once."""
    await shop.license("api", "anna", units=10_000)
    requests = {f"request-{number}": number + 1 for number in range(50)}
    claim = {"product_code": "api", "user": "anna"}
    async with shop.workers("consume", 4, claim=claim, requests=requests) as workers:
        await workers.done()
    assert len(shop.acknowledged("consumed")) == 400
    licenses = (await shop.call("ListLicenses", user="anna")).licenses
    assert [license.units_remaining for license in licenses] == [10_000 - sum(range(1, 51))]
    assert await shop.faults() == []


async def test_never_more_placed_than_sold(shop: Any) -> None:
    """Four processes activate the last seats of a ticket for 60 users: as many succeed as there are seats."""
    await shop.offer("cad")
    ticket = await shop.sell("cad", 25)
    async with shop.workers("activate", 4, clients=15, ticket=ticket) as workers:
        await workers.done()
    assert len(shop.acknowledged("activated")) == 25
    (license,) = (await shop.call("GetTicket", code=ticket)).licenses
    assert (license.quantity, license.available) == (25, 0)
    assert await shop.faults() == []
