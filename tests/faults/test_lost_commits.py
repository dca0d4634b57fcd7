"""Connections that break around a COMMIT, at the worst moments: nothing is lost, nothing happens twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import pytest

from licentia.errors import LicensingError


class Proxy:
    """Stands between a server process and its PostgreSQL, and breaks the connection of a COMMIT.

    before   the COMMIT never arrives: the transaction is rolled back
    after    the COMMIT is done and its answer is lost
    late     the COMMIT is still on its way when the connection is gone, and is done afterwards
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._pumps: set[asyncio.Task[None]] = set()
        self.word = b"COMMIT"
        self.breaks = ""
        self.broken = 0

    async def listen(self) -> int:
        """Start; the port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop, and cut what is still connected."""
        self._server.close()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        database, to_database = await asyncio.open_connection(*self._target)
        lost = asyncio.Event()
        for pump in (self._forward(client, to_database, to_client, lost), self._answer(database, to_client, lost)):
            task = asyncio.create_task(pump)
            self._pumps.add(task)
            task.add_done_callback(self._pumps.discard)

    async def _forward(
        self, client: asyncio.StreamReader, to_database: asyncio.StreamWriter, to_client: asyncio.StreamWriter,
        lost: asyncio.Event,
    ) -> None:  # fmt: skip
        try:
            while data := await client.read(65536):
                if self.breaks and self.word in data:
                    how, self.breaks = self.breaks, ""
                    self.broken += 1
                    lost.set()
                    if how != "after":
                        to_client.transport.abort()
                    if how == "before":
                        return
                    if how == "late":
                        await asyncio.sleep(0.1)
                to_database.write(data)
                await to_database.drain()
        finally:
            with suppress(OSError):
                to_database.close()

    async def _answer(
        self, database: asyncio.StreamReader, to_client: asyncio.StreamWriter, lost: asyncio.Event
    ) -> None:
        with suppress(OSError):
            while data := await database.read(65536):
                if lost.is_set():
                    break
                to_client.write(data)
        to_client.transport.abort()


@pytest.fixture
async def proxy(postgres_url: str) -> AsyncIterator[Proxy]:
    """A proxy in front of this test's database; `url` leads through it."""
    parts = urlsplit(postgres_url)
    proxy = Proxy(parts.hostname or "", parts.port or 5432)
    port = await proxy.listen()
    proxy.url = parts._replace(netloc=f"{parts.username}@127.0.0.1:{port}").geturl()
    yield proxy
    await proxy.close()


async def story(call: Callable[..., Awaitable[Any]]) -> None:
    """One of each mutation, none of which may happen twice."""
    item = {"product_code": "cad", "quantity": 1, "units": 100}
    await call("PutProduct", sku="cad", name="CAD", items=[item])
    order = {"source": "shop", "order_number": "1", "customer": {"id": "c"}}
    placed = await call("CreateOrder", **order, lines=[{"line_id": "1", "sku": "cad", "quantity": 3}])
    await call("CreateOrder", **order, lines=[{"line_id": "1", "sku": "cad", "quantity": 4}])
    anna = {"kind": "cloud-lite", "user": "anna"}
    activation = await call("ActivateTicket", code=placed.ticket, container=anna, quantity=2)
    claim = {"product_code": "cad", "user": "anna"}
    await call("CheckoutLicense", lease_id="one", **claim)
    await call("CheckoutLicense", lease_id="one", **claim)
    await call("CheckoutLicense", lease_id="two", **claim)
    await call("CheckoutLicense", lease_id="three", **claim)
    await call("ConsumeUnits", request_id="r", units=7, **claim)
    await call("ReleaseLease", lease_id="two")
    ben = {"kind": "cloud-lite", "user": "ben"}
    moved = await call("MoveActivation", activation_id=activation.activation_id, container=ben)
    await call("ReturnActivation", activation_id=moved.activation_id)
    await call("CancelOrder", source="shop", order_number="1")
    await call("WithdrawLicense", license_id=placed.licenses[0].license_id, reason="fraud")


SALIENT = ("created", "version", "code", "seats_in_use", "remaining")
HAPPENED = [
    "product.put",
    "order.placed", "license.issued",
    "order.changed", "license.resized",
    "activation.created",
    "lease.granted", "lease.granted",
    "units.consumed",
    "lease.released",
    "lease.ended", "activation.returned", "activation.moved",
    "activation.returned",
    "order.cancelled", "license.resized",
    "license.withdrawn",
]  # fmt: skip
ANSWERS = [
    ("PutProduct", {"created": True}),
    ("CreateOrder", {"created": True, "version": 1}),
    ("CreateOrder", {"created": False, "version": 2}),
    ("ActivateTicket", {}),
    ("CheckoutLicense", {"created": True, "seats_in_use": 1}),
    ("CheckoutLicense", {"created": False, "seats_in_use": 1}),
    ("CheckoutLicense", {"created": True, "seats_in_use": 2}),
    ("CheckoutLicense", {"code": "no_free_seats"}),
    ("ConsumeUnits", {"remaining": 393}),
    ("ReleaseLease", {}),
    ("MoveActivation", {}),
    ("ReturnActivation", {}),
    ("CancelOrder", {"version": 2}),
    ("WithdrawLicense", {}),
]


@pytest.mark.parametrize("breaks", ["", "before", "after", "late"])
async def test_every_mutation_happens_once(proxy: Proxy, open_shop: Any, breaks: str) -> None:
    """Whatever becomes of the connection, the caller is told what happened, and it happened once."""
    answers = []

    async with open_shop(proxy.url) as shop:

        async def call(name: str, /, **members: Any) -> Any:
            proxy.breaks, proxy.broken = breaks, 0
            try:
                reply = await shop.call(name, **members)
            except LicensingError as refusal:
                reply = refusal
            assert proxy.broken == bool(breaks)
            proxy.breaks = ""
            facts = {member: getattr(reply, member, None) for member in SALIENT}
            answers.append((name, {member: fact for member, fact in facts.items() if fact is not None}))
            return reply

        await story(call)
        page = await shop.call("ListEvents", limit=500)
        assert answers == ANSWERS
        assert sorted(event.kind for event in page.events) == sorted(HAPPENED)
        assert await shop.faults() == []


async def test_a_transaction_that_cannot_begin_costs_no_connection(proxy: Proxy, open_shop: Any) -> None:
    """More connections break at their BEGIN than the pool has, and the server still answers."""
    async with open_shop(proxy.url) as shop:
        proxy.word = b"BEGIN"
        for turn in range(25):
            proxy.breaks = "before"
            await shop.offer(f"product-{turn}")
        assert proxy.broken == 25
        assert await shop.faults() == []
