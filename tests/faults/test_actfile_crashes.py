"""Act-files whose machine or whose server dies between two writes, and act-files that are copied or set back."""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from licentia.client.actfile import ActFile
from licentia.client.actfile.contact import by_http
from licentia.client.remote import RemoteLicentia
from licentia.contract import BY_NAME, parse
from licentia.errors import ForkDetected, LicensingError
from licentia.services.hosting import CoreHost
from licentia.services.identity import OPERATOR
from licentia.settings import Settings

KILLED = -signal.SIGKILL
NONE = {"act-file": {"bindings": ["none"]}}


class Mortals:
    """Processes that end when they are told to; see `mortals.py`."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("mortals.py"))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def do(self, what: str, **job: Any) -> int:
        """Do a job; how it ended, or the id of a server."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": what, **job}) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """End all of them."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()


@pytest.fixture(scope="module")
def mortals() -> Iterator[Mortals]:
    """Clients and servers that may be killed at any step."""
    mortals = Mortals()
    yield mortals
    mortals.close()


class Shop:
    """A vendor's server, and the machines of its customers."""

    def __init__(self, server: Any, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.remote = RemoteLicentia(server.url, server.keys["depot"])
        self.trust = base64.b64decode(self.call("GetKeyManifest").content)
        item = {"product_code": "cad", "units": 100, "expires_after_days": 365, "checkpoint_days": 7}
        self.call("PutProduct", sku="cad", name="CAD", items=[item])

    def call(self, name: str, /, **members: Any) -> Any:
        """Run an operation as the operator, in the server."""
        operation = BY_NAME[name]
        return self.server.run(self.server.application.call(operation, parse(operation, members), OPERATOR))

    def ticket(self, number: int) -> str:
        """A ticket with one license."""
        line = {"line_id": "1", "sku": "cad", "quantity": 1}
        customer = {"id": "c"}
        return str(
            self.call("CreateOrder", source="s", order_number=f"{number}", customer=customer, lines=[line]).ticket
        )

    def file(self, path: Path) -> ActFile:
        """The act-file at this path."""
        return ActFile(path, trust=self.trust)

    def activated(self, name: str) -> ActFile:
        """A machine with a license."""
        (self.folder / name).mkdir()
        file = self.file(self.folder / name / "cad.act")
        file.create(["none"])
        container = {"kind": "act-file", "request": base64.b64encode(file.request()).decode()}
        placed = self.call("ActivateTicket", code=self.ticket(len(name)), container=container)
        file.apply(base64.b64decode(placed.delivery.content))
        return file

    def contact(self, file: ActFile) -> bool:
        """Contact the server over HTTP, as a machine does."""
        return file.contact(by_http(self.remote))

    def facts(self, file: ActFile) -> dict[str, str]:
        """What the vendor sees of it."""
        known = {each.binding: each for each in self.call("ListContainers").containers}
        return {fact.name: fact.value for fact in known[file.id].facts}

    def happened(self, kind: str) -> list[dict[str, Any]]:
        """What the audit trail has of this kind."""
        return events(self.call, kind)


def events(call: Callable[..., Any], kind: str) -> list[dict[str, Any]]:
    """What the audit trail has of this kind."""
    found, cursor = [], ""
    while (page := call("ListEvents", limit=500, cursor=cursor)).events:
        found += [dict(event.data) for event in page.events if event.kind == kind]
        cursor = page.next_cursor
    return found


@contextmanager
def shop_at(request: pytest.FixtureRequest, data: Path, database: str, **settings: Any) -> Iterator[Shop]:
    """A shop with settings of the test's own."""
    shared: Any = request.config.pluginmanager.get_plugin(str(Path(__file__).parents[1] / "conftest.py"))
    container = {"act-file": {"bindings": ["none"], **settings}}
    given = Settings(data=data, database=database, port=0, bindings=("none",), container=container)
    folder = data / "machines"
    folder.mkdir(exist_ok=True)
    with shared.Server(given).running() as server:
        shop = Shop(server, folder)
        try:
            yield shop
        finally:
            shop.remote.close()


@pytest.fixture
def shop(request: pytest.FixtureRequest, data: Path, database_url: str) -> Iterator[Shop]:
    """A shop on SQLite, then on PostgreSQL."""
    with shop_at(request, data, database_url) as shop:
        yield shop


@pytest.mark.parametrize("every", [11, pytest.param(1, marks=pytest.mark.slow)])
def test_a_client_may_die_at_any_step(shop: Shop, mortals: Mortals, every: int) -> None:
    """Killed before or after any write or message, and run again, it has one activation and is taken for no copy."""
    job = {"url": shop.server.url, "key": shop.server.keys["depot"], "trust": base64.b64encode(shop.trust).decode()}
    steps = 0
    for step in itertools.count(0, every):
        path = shop.folder / f"{step}.act"
        job |= {"path": str(path), "ticket": shop.ticket(step)}
        ended = mortals.do("client", dies_at=step, **job)
        steps += 1
        assert ended in (KILLED, 0)
        assert mortals.do("client", dies_at=-1, **job) == 0
        file = shop.file(path)
        assert [(each.product_code, each.units) for each in file.licenses()] == [("cad", {"": 99})]
        facts = shop.facts(file)
        assert (facts["copies_found"], facts["updates_pending"]) == ("0", "0")
        assert shop.call("GetTicket", code=job["ticket"]).licenses[0].available == 0
        if ended == 0:
            break
    assert step > 40, "it was killed too seldom to prove anything"
    assert len(shop.happened("activation.created")) == steps
    assert len(shop.happened("activation.confirmed")) == steps
    assert {each["used"] for each in shop.happened("units.used_away")} == {1}
    assert shop.happened("container.forked") == []
    assert {path.suffix for path in shop.folder.iterdir()} <= {".act", ".lock"}, "a draft was left behind"


@pytest.mark.parametrize("dies", ["before", "after"])
def test_a_server_may_die_at_every_commit(
    data: Path, database_url: str, mortals: Mortals, dies: str, request: pytest.FixtureRequest
) -> None:
    """A server that dies before or after a commit has lost nothing once it is back and the client has asked again."""
    with shop_at(request, data, database_url) as shop:
        tickets = [shop.ticket(number) for number in range(4)]
        job = {"key": shop.server.keys["depot"], "trust": base64.b64encode(shop.trust).decode()}
    server = {"data": str(data), "database": database_url, "container": NONE, "ready": str(data / "ready")}
    for number, ticket in enumerate(tickets):  # activation, confirmation, request, receipt
        client = job | {"path": str(data / f"{number}.act"), "ticket": ticket, "dies_at": -1}
        with serving(mortals, **server, dies=dies, transaction=number) as url:
            assert mortals.do("client", url=url, **client) == (0 if number == 3 else 1)
        with serving(mortals, **server, dies="", transaction=0) as url:
            assert mortals.do("client", url=url, **client) == 0
    with shop_at(request, data, database_url) as shop:
        for number in range(4):
            file = shop.file(data / f"{number}.act")
            assert len(file.licenses()) == 1
            assert shop.facts(file)["copies_found"] == "0"
        assert len(shop.happened("activation.created")) == 4
        assert len(shop.happened("activation.confirmed")) == 4
        assert shop.happened("container.forked") == []


@contextmanager
def serving(mortals: Mortals, ready: str, **job: Any) -> Iterator[str]:
    """A server in a process of its own; its URL."""
    file = Path(ready)
    file.unlink(missing_ok=True)
    pid = mortals.do("serve", ready=ready, **job)
    ends = time.monotonic() + 30
    while not file.exists():
        assert time.monotonic() < ends, "the server did not start"
        time.sleep(0.02)
    try:
        yield file.read_text()
    finally:
        os.kill(pid, signal.SIGKILL)


# --- copies ---------------------------------------------------------------------------------------


def clone(shop: Shop, name: str, of: str) -> ActFile:
    """The folder of a machine, copied."""
    shutil.copytree(shop.folder / of, shop.folder / name)
    return shop.file(shop.folder / name / "cad.act")


def test_a_clone_is_flagged_and_served(shop: Shop) -> None:
    """Under the policy `flag` both copies go on, and the vendor sees that there are two."""
    file = shop.activated("first")
    copy = clone(shop, "second", "first")
    assert shop.contact(file)
    assert shop.facts(file)["state"] != "copied"
    assert shop.contact(copy)
    assert (shop.facts(file)["state"], shop.facts(file)["copies_found"]) == ("copied", "1")
    assert shop.contact(file)
    assert shop.contact(copy)
    assert [each["refused"] for each in shop.happened("container.forked")] == [False] * 3
    assert file.require("cad")
    assert copy.require("cad")


def test_a_snapshot_that_was_set_back_is_found(shop: Shop) -> None:
    """A machine that was set back is found at the next contact if there was one between, and else does no harm."""
    file = shop.activated("first")
    shop.contact(file)
    shutil.copytree(shop.folder / "first", shop.folder / "snapshot")
    file.require("cad")

    def set_back() -> None:
        shutil.rmtree(shop.folder / "first")
        shutil.copytree(shop.folder / "snapshot", shop.folder / "first")

    set_back()
    assert shop.contact(file)
    assert shop.facts(file)["copies_found"] == "0"
    set_back()
    assert shop.contact(file)
    assert shop.facts(file)["copies_found"] == "1"


def test_a_copy_is_served_in_grace_and_then_refused(
    request: pytest.FixtureRequest, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under the policy `grace` copies are served for some days; then the first one found ends the container."""
    url = f"sqlite:///{data / 'licentia.db'}"
    with shop_at(request, data, url, on_fork="grace", grace_days=3) as shop:
        file = shop.activated("first")
        copy = clone(shop, "second", "first")
        assert shop.contact(file)
        assert shop.contact(copy)
        later(monkeypatch, days=2)
        assert shop.contact(file)
        later(monkeypatch, days=2)
        with pytest.raises(ForkDetected):
            shop.contact(copy)
        with pytest.raises(ForkDetected, match="for good"):
            shop.contact(file)
        assert shop.facts(file)["state"] == "refused"
        assert file.require("cad"), "what a machine holds ends with its checkpoint, not by the refusal"


def test_a_copy_ends_the_container_until_the_vendor_forgives(
    request: pytest.FixtureRequest, data: Path, database_url: str
) -> None:
    """Under the policy `invalidate` the first copy ends it for all; the refusal outlives the rolled-back call."""
    with shop_at(request, data, database_url, on_fork="invalidate") as shop:
        file = shop.activated("first")
        copy = clone(shop, "second", "first")
        assert shop.contact(file)
        for _ in range(2):
            for each in (copy, file):
                with pytest.raises(ForkDetected):
                    shop.contact(each)
        assert shop.facts(file)["state"] == "refused"
        assert len(shop.happened("container.forked")) == 1
        known = shop.call("ListContainers").containers[0]
        shop.call("ReinstateContainer", container_id=known.container_id, reason="restored from a backup")
        assert shop.contact(file)
        assert len(shop.happened("container.reinstated")) == 1


def later(monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    """Let days pass for the containers of the server."""
    now = CoreHost.now

    async def moved(self: CoreHost) -> datetime:
        return await now(self) + timedelta(days=days)

    monkeypatch.setattr(CoreHost, "now", moved)


def test_several_processes_share_a_file(shop: Shop) -> None:
    """Applications that contact the server at the same time with one file disturb neither each other nor the server."""
    path = shop.activated("first")._store.path
    failures: list[LicensingError] = []

    def work() -> None:
        file = shop.file(path)
        with RemoteLicentia(shop.server.url) as remote:
            for _ in range(4):
                try:
                    file.contact(by_http(remote))
                    file.require("cad")
                except LicensingError as error:
                    failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert shop.facts(shop.file(path))["copies_found"] == "0"
