"""All use cases take their locks in one order."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import asyncpg

from licentia.errors import LicensingError


async def test_mixed_work_never_deadlocks(postgres_url: str, open_shop: Any) -> None:
    """Orders, activations, moves, leases and units of the same licenses, all at once, and hardly ever a deadlock."""
    items = [
        {"product_code": "cad", "units": 1000, "usage_period_days": 30, "overdraft": 1},
        {"product_code": "cam", "license_model": "station_share"},
    ]
    customer = {"id": "customer"}
    activations: list[str] = []
    refusals: set[str] = set()
    ends = time.monotonic() + 2.5
    async with open_shop(postgres_url) as shop:
        await shop.call("PutProduct", sku="suite", name="Suite", items=items)

        async def order(number: int, quantity: int) -> str:
            lines = [{"line_id": str(line), "sku": "suite", "quantity": quantity} for line in range(2)]
            placed = await shop.call(
                "CreateOrder", source="shop", order_number=str(number), customer=customer, lines=lines
            )
            return str(placed.ticket)

        tickets = [await order(number, 12) for number in range(2)]

        async def act() -> None:
            user = random.choice(("anna", "ben", "cleo"))
            container = {"kind": "cloud-lite", "user": user}
            code = random.choice(("cad", "cam"))
            lease = f"{user}-{code}-{random.randrange(12)}"
            ticket = random.randrange(2)
            match random.choice((1, 2, 3, 4, 4, 4, 5, 5, 6, 7)):
                case 1:
                    placed = await shop.call("ActivateTicket", code=tickets[ticket], container=container, quantity=1)
                    activations.append(placed.activation_id)
                case 2 if activations:
                    await shop.call("ReturnActivation", activation_id=activations.pop())
                case 3 if activations:
                    moved = await shop.call("MoveActivation", activation_id=activations.pop(0), container=container)
                    activations.append(moved.activation_id)
                case 4:
                    await shop.call(
                        "CheckoutLicense", lease_id=lease, product_code=code, user=user, station="pc", ttl_seconds=1
                    )
                case 5:
                    await shop.call("ReleaseLease", lease_id=lease)
                case 6:
                    request = f"{random.random()}"
                    await shop.call("ConsumeUnits", request_id=request, product_code="cad", user=user, units=1)
                case 7:
                    await order(ticket, random.randrange(10, 14))

        async def client() -> None:
            while time.monotonic() < ends:
                try:
                    await act()
                except LicensingError as refusal:
                    refusals.add(refusal.code)

        await asyncio.gather(*(client() for _ in range(16)))
        assert refusals <= {"not_licensed", "no_free_seats", "ticket_exhausted"}
        assert await shop.faults() == []
    connection = await asyncpg.connect(postgres_url)
    try:
        count = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        # A lease that ends between the look and the lock may cost one, which is retried; a wrong order costs dozens.
        assert await connection.fetchval(count) <= 2
    finally:
        await connection.close()
