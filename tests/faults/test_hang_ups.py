"""Callers that hang up in the middle of a call."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from licentia.services.identity import KeyPair

SEATS = 20


async def test_hanging_up_leaks_nothing(shop: Any) -> None:
    """300 callers hang up at random moments: no seat is gone beyond its time, no connection, and all is consistent."""
    await shop.license("cad", "anna", SEATS)
    key_id, key = await shop.application.create_key(frozenset({"licensing"}))
    claim = {"product_code": "cad", "user": "anna"}
    line = {"line_id": "1", "sku": "cad", "quantity": 1}

    async def ask(turn: int) -> None:
        match turn % 6:
            case 0 | 1:
                await shop.call("CheckoutLicense", lease_id=f"lease-{turn}", ttl_seconds=1, **claim)
            case 2:
                await shop.call("ReleaseLease", lease_id=f"lease-{turn - 2}")
            case 3:
                await shop.call("ListEvents")
            case 4:
                await shop.call("CreateOrder", source="erp", order_number=str(turn), customer={"id": "c"}, lines=[line])
            case 5:
                await shop.application.authenticate(KeyPair(key_id, key), "")

    for start in range(0, 300, 10):
        tasks = [asyncio.create_task(ask(turn)) for turn in range(start, start + 10)]
        for task in tasks:
            await asyncio.sleep(random.uniform(0, 0.004))
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    async with asyncio.timeout(10):
        await asyncio.gather(*(shop.call("ListLeases") for _ in range(30)))
    await asyncio.sleep(1.1)
    assert await shop.faults() == []
    async with asyncio.timeout(10):
        for seat in range(SEATS):
            await shop.call("CheckoutLicense", lease_id=f"after-{seat}", **claim)
    assert await shop.faults() == []
