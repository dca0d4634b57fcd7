"""Servers that are killed while a shop delivers orders, and a shop that is down, slow, or fails after its work."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import business_systems as systems
import httpx
import loopback_shop as loopback
import pytest

HERE = Path(__file__).parent
ORDERED, CHANGED, BACK = {"a": 3}, {"a": 5}, {"a": 2}


class Shop(systems.WooCommerce):
    """A WooCommerce shop that keeps what is written into its orders; some of its answers are lost.

    Attributes:
        down: it answers nobody.
        odd: every so many requests it fails after it has done its work; every other so many it is slow.
    """

    def __init__(self) -> None:
        super().__init__()
        self.down = False
        self.odd = 7
        self.fields: dict[str, dict[str, str]] = {}
        self.notes: dict[str, list[Any]] = {}
        self.deliveries: dict[str, list[Any]] = {}

    def sell(self, number: str) -> None:
        """An order is placed, changed, and partly paid back; what the shop sends of it is to be delivered."""
        self.fields[number], self.notes[number] = {}, []
        self.deliveries[number] = [
            self.placed(number, ORDERED, 1),
            self.returned(number, f"9{number}", BACK, 2, CHANGED),
        ]

    def answer(self, request: Any) -> Any:
        """What it answers, if it does."""
        count = len(self.requests)
        if self.down:
            return loopback.Response({}, 503)
        done = self.do(request)
        if count % self.odd == 0:
            return loopback.Response({}, 500)
        if count % self.odd == 3:
            time.sleep(0.1)
        return done

    def do(self, request: Any) -> Any:
        """Do what is asked for."""
        path = urlsplit(request.path).path
        if found := re.fullmatch(r".*/orders/(\d+)/notes", path):
            notes = self.notes[found[1]]
            if request.method == "POST":
                notes.append(request.json())
            return loopback.Response(notes)
        if found := re.fullmatch(r".*/orders/(\d+)", path):
            fields = self.fields[found[1]]
            if request.method == "PUT":
                fields |= {each["key"]: each["value"] for each in request.json()["meta_data"]}
            meta = [{"key": key, "value": value} for key, value in fields.items()]
            return loopback.Response({"id": int(found[1]), "meta_data": meta})
        return super().answer(request)


class Salesroom:
    """Servers, one after the other, on one database."""

    def __init__(self, process: Any, job: dict[str, Any]) -> None:
        self._process, self._job = process, job
        self.pid, self.url = 0, ""

    async def start(self, dies: str = "", transaction: int = 0) -> None:
        """Start a server, perhaps one that ends before or after the commit of a transaction, and wait for it."""
        self.forget()
        job = self._job | {"dies": dies, "transaction": transaction}
        self._process.stdin.write(json.dumps(job).encode() + b"\n")
        self.pid = int(await asyncio.wait_for(self._process.stdout.readline(), 30))
        await until(lambda: self.told() or not self.alive())
        self.url = self.told()

    def forget(self) -> None:
        """Forget where the last server was."""
        Path(self._job["ready"]).unlink(missing_ok=True)

    def told(self) -> str:
        """Where the server is; empty while it is not up."""
        ready = Path(self._job["ready"])
        return ready.read_text() if ready.exists() else ""

    def alive(self) -> bool:
        """Whether the server has not ended yet."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    async def kill(self) -> None:
        """End it at once."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        await until(lambda: not self.alive())

    async def deliver(self, sent: Any) -> bool:
        """Deliver something; whether it was acknowledged."""
        if not self.url:
            return False
        try:
            async with httpx.AsyncClient(timeout=5) as http:
                address = f"{self.url}/connectors/woocommerce"
                return (await http.post(address, content=sent.body, headers=sent.headers)).status_code == 204
        except httpx.HTTPError:
            return False


@contextlib.asynccontextmanager
async def salesroom(shop: Shop, data: Path, url: str, folder: Path) -> AsyncIterator[Salesroom]:
    """A salesroom of a shop, with its product."""
    job = {"data": str(data), "database": url, "connector": {"woocommerce": shop.settings}, "ready": str(folder / "up")}
    from licentia.contract import BY_NAME, parse
    from licentia.services.application import Application
    from licentia.services.identity import OPERATOR
    from licentia.settings import Settings

    application = await Application.open(Settings(data=data, database=url))
    try:
        members = {"sku": "a", "name": "a", "items": [{"product_code": "a"}]}
        await application.call(BY_NAME["PutProduct"], parse(BY_NAME["PutProduct"], members), OPERATOR)
    finally:
        await application.close()
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(HERE / "salesrooms.py"),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        yield Salesroom(process, job)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def until(condition: Any, seconds: float = 60) -> None:
    """Wait for it."""
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it did not happen in time"
        await asyncio.sleep(0.01)


async def settled(shop: Shop, data: Path, url: str) -> None:
    """Each order has one ticket, the right quantity, and the shop has that ticket; the trail is whole."""
    from licentia.domain.events import verify_chain
    from licentia.services.application import Application
    from licentia.settings import Settings
    from licentia.storage import eventlog

    application = await Application.open(Settings(data=data, database=url))
    try:
        async with application.database.write() as tx:
            orders = await tx.rows("SELECT id, order_number FROM purchase_order")
            tickets = await tx.rows("SELECT code, order_id FROM ticket")
            licenses = await tx.rows("SELECT order_id, quantity FROM license")
            left = await tx.rows("SELECT state FROM delivery WHERE state <> 'done'")
            events, cursor = [], ""
            while (page := await eventlog.page(tx, cursor, 1000))[0]:
                events += page[0]
                cursor = page[1]
    finally:
        await application.close()
    assert Counter(row["order_number"] for row in orders) == Counter(shop.deliveries.keys())
    assert Counter(row["order_id"] for row in tickets) == Counter(row["id"] for row in orders)
    assert {(row["order_id"], row["quantity"]) for row in licenses} == {(row["id"], 3) for row in orders}
    assert len(licenses) == len(orders)
    assert left == []
    codes = {row["order_id"]: row["code"] for row in tickets}
    for row in orders:
        number, code = row["order_number"], codes[row["id"]]
        assert shop.fields[number] == {"licentia_ticket": code}, number
        assert [note["note"] for note in shop.notes[number]] == [f"Your license ticket: {code}"]
    assert verify_chain(events) == []
    applied = Counter(event.data["delivery_id"] for event in events if event.kind == "delivery.received")
    assert set(applied.values()) == {1}


@pytest.fixture
def shop() -> Iterator[Shop]:
    """A shop that can be asked."""
    shop = Shop()
    with shop.running():
        yield shop


async def written(shop: Shop) -> None:
    """Wait until every order of the shop has a ticket, and nothing more happens."""
    await until(lambda: all(shop.fields.values()) and all(shop.notes.values()))
    count = -1
    while count != len(shop.requests):
        count = len(shop.requests)
        await asyncio.sleep(1.5)


@pytest.mark.parametrize("when", ["before", pytest.param("after", marks=pytest.mark.slow)])
async def test_killed_between_any_two_steps(
    shop: Shop, data: Path, database_url: str, tmp_path: Path, when: str
) -> None:
    """Server after server ends at the next commit; what was acknowledged goes on, the rest is sent again."""
    shop.odd = 10**6
    async with salesroom(shop, data, database_url, tmp_path) as room:
        for transaction in range(9):
            shop.sell(number := str(100 + transaction))
            await room.start(when, transaction)
            for sent in shop.deliveries[number]:
                await room.deliver(sent)
            with contextlib.suppress(AssertionError):
                await until(lambda: not room.alive(), 0.5)
            await room.kill()
        await room.start()
        for sent in [sent for sents in shop.deliveries.values() for sent in sents]:
            assert await room.deliver(sent)
        await written(shop)
        await room.kill()
    await settled(shop, data, database_url)


async def run_down(shop: Shop, room: Salesroom, orders: int, seed: int) -> None:
    """Deliver orders, each again until it is acknowledged, while servers are killed and the shop is ill."""
    chance = random.Random(seed)
    for number in range(orders):
        shop.sell(str(1000 + number))
    waiting = [sent for sents in shop.deliveries.values() for sent in sents]
    chance.shuffle(waiting)
    await room.start()

    async def deliver() -> None:
        while waiting:
            sent = waiting.pop()
            if not await room.deliver(sent):
                waiting.append(sent)
                await asyncio.sleep(0.02)
            elif chance.random() < 0.2:
                await room.deliver(sent)

    async def harass() -> None:
        while waiting or chance.random() < 0.5:
            await asyncio.sleep(chance.random() * 0.8)
            shop.down = chance.random() < 0.3
            await room.kill()
            await room.start()

    await asyncio.gather(harass(), *(deliver() for _ in range(8)))
    shop.down = False
    await written(shop)
    await room.kill()


async def test_every_order_arrives_once(shop: Shop, data: Path, database_url: str, tmp_path: Path) -> None:
    """15 orders while servers are killed, and the shop is down, slow, or fails after it has done its work."""
    async with salesroom(shop, data, database_url, tmp_path) as room:
        await run_down(shop, room, 15, 1)
    await settled(shop, data, database_url)


@pytest.mark.slow
async def test_many_orders(shop: Shop, data: Path, database_url: str, tmp_path: Path) -> None:
    """300 orders, the same."""
    async with salesroom(shop, data, database_url, tmp_path) as room:
        await run_down(shop, room, 300, 0)
    await settled(shop, data, database_url)
