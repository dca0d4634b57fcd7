"""A server with one connection and the business system at its other end, for scenarios of connectors."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import business_systems as systems
import httpx
import pytest

from licentia.domain.events import verify_chain
from licentia.domain.naturalkeys import natural


class World:
    """A server with one connection, the system at its other end, and a person who looks after both."""

    def __init__(self, application: Any, http: httpx.AsyncClient, system: Any) -> None:
        self.application = application
        self.http = http
        self.system = system

    async def call(self, name: str, /, **fields: Any) -> Any:
        """Run an operation as the operator."""
        from licentia.contract import BY_NAME, parse
        from licentia.services.identity import OPERATOR

        operation = BY_NAME[name]
        return await self.application.call(operation, parse(operation, fields), OPERATOR)

    async def send(self, sent: Any, name: str = "") -> httpx.Response:
        """Let the system send something; what it is answered."""
        address = f"/connectors/{name or self.system.plugin}{sent.query}"
        return await self.http.post(address, content=sent.body, headers=sent.headers)

    async def work(self) -> None:
        """Do all that is due."""
        while await self.application.chain.inbox.work(8):
            pass

    async def tell(self, *sents: Any) -> None:
        """Let the system send these, one after the other, each of which has to be kept, and do what is to do."""
        for sent in sents:
            answer = await self.send(sent)
            assert answer.status_code < 300, (answer.status_code, answer.text)
            await self.work()

    async def tell_anyway(self, *sents: Any) -> None:
        """The same, also if the system is told that there is no ticket yet."""
        for sent in sents:
            await self.send(sent)
            await self.work()

    async def order(self, number: str) -> Any:
        """The order, as the server has it."""
        (order,) = [each for each in await self.orders() if each["order_number"].endswith(natural(number))]
        return await self.call("GetOrder", source=self.system.plugin, order_number=order["order_number"])

    async def orders(self) -> list[dict[str, Any]]:
        """All orders."""
        return await self.sql("SELECT order_number FROM purchase_order")

    async def licenses(self, number: str) -> list[Any]:
        """The licenses of an order, with what is owed back of them."""
        order = await self.order(number)
        return await self.sql("SELECT * FROM license WHERE order_id = $1", order.order_id)

    async def licensed(self, number: str) -> dict[str, int]:
        """What is licensed of each product, without what is owed back."""
        found = {each["product_code"]: each["quantity"] - each["to_reclaim"] for each in await self.licenses(number)}
        return {code: count for code, count in found.items() if count}

    async def sql(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """Look into the database."""
        async with self.application.database.write() as tx:
            return await tx.rows(statement, *values)

    async def parked(self) -> list[Any]:
        """The deliveries that wait for somebody."""
        return list((await self.call("ListDeliveries", state="parked")).deliveries)

    async def days(self, number: str) -> int:
        """For how many days the license of the only line is, from its activation on."""
        (license,) = await self.licenses(number)
        return int(json.loads(license["terms"])["expires_after_days"])

    async def activate(self, number: str) -> Any:
        """Put all of an order into somebody's container."""
        ticket = (await self.order(number)).ticket
        return await self.call("ActivateTicket", code=ticket, container={"kind": "cloud-lite", "user": "ada"})

    async def audit(self) -> None:
        """Nothing is half done: each order has one ticket, its deliveries are told, the trail is whole."""
        for order in await self.orders():
            trace = await self.call("TraceOrder", order_number=order["order_number"])
            (traced,) = trace.orders
            assert traced.ticket
            assert {step.kind for step in traced.steps} >= {"order.placed", "delivery.arrived", "delivery.applied"}
        tickets = await self.sql("SELECT order_id FROM ticket")
        assert len(tickets) == len({each["order_id"] for each in tickets}) == len(await self.orders())
        events, cursor = [], ""
        while (page := await self.call("ListEvents", cursor=cursor, limit=500)).events:
            events += page.events
            cursor = page.next_cursor
        assert verify_chain(events) == []


@asynccontextmanager
async def opened(system: Any, data: Path, url: str | None, **options: Any) -> AsyncIterator[World]:
    """A world with the products `a` and `b`."""
    from licentia.services.application import Application
    from licentia.settings import Settings
    from licentia_gateways.app import create_app

    async with AsyncExitStack() as stack:
        stack.enter_context(system.running())
        connector = {system.plugin: system.settings | options}
        database = {} if url is None else {"database": url}
        application = await Application.open(Settings(data=data, connector=connector, **database))
        stack.push_async_callback(application.close)
        transport = httpx.ASGITransport(create_app(application), client=("192.0.2.7", 4711))
        http = await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://licentia"))
        world = World(application, http, system)
        for code in "ab":
            await world.call(
                "PutProduct", sku=code, name=code, items=[{"product_code": code, "expires_after_days": 30}]
            )
        yield world
        await world.audit()


def those(*members: str, **wanted: bool) -> Any:
    """Each system that can tell this."""
    found = [
        system
        for system in systems.SYSTEMS
        if all(hasattr(system, member) for member in members)
        and all(getattr(system, name) is value for name, value in wanted.items())
    ]
    return pytest.mark.parametrize("kind", found, ids=lambda kind: kind.__name__)


def of(system: Any, **quantities: int) -> dict[str, int]:
    """Lines, as far as the system tells them."""
    lines = {line: count if system.counts else 1 for line, count in quantities.items()}
    return lines if system.several else {"a": lines["a"]}


def part_returned(system: Any, number: str, ordered: dict[str, int]) -> Any:
    """Two of the line `a` come back, of what was ordered."""
    more = {"ordered": ordered} if isinstance(system, systems.WooCommerce) else {}
    return system.returned(number, f"90{number}", {"a": 2}, 3, **more)
