"""What the tests of faults share: a shop with an open application, worker processes, the judge."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from licentia.services.application import Application

HERE = Path(__file__).parent


@dataclass
class Workers:
    """Processes that work; see `workers.py`."""

    process: asyncio.subprocess.Process
    pids: list[int]
    journals: list[Path]

    def kill(self, index: int) -> None:
        """End one of them at once, in the middle of whatever it does."""
        os.kill(self.pids[index], signal.SIGKILL)

    async def at_work(self, lines: int = 1, *, only: int | None = None) -> None:
        """Wait until each of them, or only this one, has written so many lines into its journal."""
        async with asyncio.timeout(30):
            for journal in self.journals if only is None else [self.journals[only]]:
                while not journal.exists() or journal.read_bytes().count(b"\n") < lines:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)

    async def done(self) -> list[dict[str, Any]]:
        """Wait until all have ended; what those that were not killed say of themselves."""
        output, errors = await asyncio.wait_for(self.process.communicate(), timeout=60)
        assert self.process.returncode == 0, errors.decode()[-5000:]
        return [json.loads(line) for line in output.splitlines()]


@dataclass
class Shop:
    """A vendor's server with its database, in which one product after the other is sold and activated."""

    application: Application
    database: str
    folder: Path
    journals: list[Path] = field(default_factory=list)

    async def call(self, name: str, /, **members: Any) -> Any:
        """Run an operation as the operator."""
        from licentia.contract import BY_NAME, parse
        from licentia.services.identity import OPERATOR

        operation = BY_NAME[name]
        return await self.application.call(operation, parse(operation, members), OPERATOR)

    async def offer(self, code: str, **item: Any) -> None:
        """Put a product whose SKU and product code are `code`."""
        await self.call("PutProduct", sku=code, name=code, items=[{"product_code": code, **item}])

    async def sell(self, code: str, quantity: int = 1) -> str:
        """Order so many; the ticket."""
        line = {"line_id": "1", "sku": code, "quantity": quantity}
        order = await self.call(
            "CreateOrder", source="shop", order_number=f"for-{code}", customer={"id": "customer"}, lines=[line]
        )
        return str(order.ticket)

    async def license(self, code: str, user: str, quantity: int = 1, **item: Any) -> str:
        """Offer, sell and activate for a user; the id of the activation."""
        await self.offer(code, **item)
        ticket = await self.sell(code, quantity)
        activation = await self.call("ActivateTicket", code=ticket, container={"kind": "cloud-lite", "user": user})
        return str(activation.activation_id)

    @asynccontextmanager
    async def workers(
        self, work: str, processes: int, *, environment: dict[str, str] | None = None, **job: Any
    ) -> AsyncIterator[Workers]:
        """So many processes that do this work on the shop's database, with some variables of their own."""
        folder = self.folder / f"work-{len(self.journals)}"
        folder.mkdir()
        journals = [folder / f"{number}.journal" for number in range(processes)]
        self.journals += journals
        job |= {"work": work, "processes": processes, "folder": str(folder), "database": self.database}
        path = folder / "job.json"
        path.write_text(json.dumps(job | {"data": str(self.application.settings.data)}))
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(HERE / "workers.py"), str(path),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, start_new_session=True,
            env={**os.environ, **(environment or {})},
        )  # fmt: skip
        try:
            assert process.stdout is not None
            yield Workers(process, json.loads(await process.stdout.readline() or b"[]"), journals)
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()

    async def faults(self) -> list[str]:
        """What the judge finds wrong; see `checker.py`."""
        journals = [path for path in self.journals if path.exists()]
        judge = await asyncio.create_subprocess_exec(
            sys.executable, str(HERE / "checker.py"), self.database, *map(str, journals),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        output, errors = await judge.communicate()
        assert not errors, errors.decode()
        return output.decode().splitlines()

    def acknowledged(self, op: str) -> list[dict[str, Any]]:
        """The journal lines of one kind."""
        lines = [line for path in self.journals if path.exists() for line in path.read_text().splitlines()]
        return [entry for entry in map(json.loads, lines) if entry["op"] == op]


@asynccontextmanager
async def _open(data: Path, database: str) -> AsyncIterator[Shop]:
    from licentia.services.application import Application
    from licentia.settings import Settings

    application = await Application.open(Settings(data=data, database=database))
    try:
        yield Shop(application, application.settings.database_url, data)
    finally:
        await application.close()


@pytest.fixture
def cluster(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A PostgreSQL of this test's own, which it may stop and start."""
    shared: Any = request.config.pluginmanager.get_plugin(str(HERE.parent / "conftest.py"))
    binaries = shared._binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL on this machine")
    cluster = shared._Cluster(binaries)
    try:
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def open_shop(data: Path) -> Callable[[str], AbstractAsyncContextManager[Shop]]:
    """Open a shop on the database of a URL."""
    return lambda database: _open(data, database)


@pytest.fixture
async def shop(data: Path, database_url: str) -> AsyncIterator[Shop]:
    """A shop on SQLite, then on PostgreSQL."""
    async with _open(data, database_url) as opened:
        yield opened
