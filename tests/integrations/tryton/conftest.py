"""A real Tryton: a server over copies of one database, somebody in the office, and whom its doorbell rings at."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import socket
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from loopback_shop import Request, Response, listening
from vendor import PATIENCE, until

from licentia.connectors import Delivery
from licentia_integrations.tryton import Tryton

FOLDER = Path(__file__).parents[3] / ".venv-interop" / "tryton"
TEMPLATE = FOLDER / "template.sqlite"
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
PASSWORD = "sells for Acme"


class Doorbell:
    """Takes what the module sends; `status` is what it answers, and `wait` is set unless it does not answer at all."""

    def __init__(self) -> None:
        self.url = ""
        self.status = 204
        self.wait = threading.Event()
        self.wait.set()
        self.requests: list[Request] = []

    @property
    def rung(self) -> list[Delivery]:
        """What came."""
        now = datetime.now(UTC)
        return [
            Delivery(body=each.body, headers=each.headers, url=each.path, received_at=now) for each in self.requests
        ]

    def answer(self, request: Request) -> Response:
        """Answer as it shall."""
        self.wait.wait(PATIENCE)
        return Response(b"", self.status, {"location": "/elsewhere"})


class Office:
    """Somebody who works with a database; each command of tryton_office.py is a method."""

    def __init__(self, url: str) -> None:
        command = [str(FOLDER / "bin" / "python"), str(Path(__file__).with_name("tryton_office.py"))]
        self._process = subprocess.Popen(
            [*command, f"{url}/rpc/", "admin", PASSWORD],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=FOLDER,
        )  # fmt: skip
        try:
            self._answer()
        except AssertionError:
            self.close()
            raise

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *given: self._do(name, *given)

    def _do(self, name: str, *given: Any) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([name, given]) + "\n")
        self._process.stdin.flush()
        return self._answer().get("result")

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the office has closed: see above"
        answer: dict[str, Any] = json.loads(line)
        assert "error" not in answer, answer
        return answer

    def close(self) -> None:
        """Go home."""
        self._process.communicate(timeout=PATIENCE)


class Server:
    """`trytond` over the databases of a folder; it can be stopped, and started again at the same address."""

    def __init__(self, folder: Path, databases: int, settings: str = "") -> None:
        self._port = port = a_port()
        self.folder, self.url = folder, f"http://127.0.0.1:{port}"
        (folder / "trytond.conf").write_text(
            f"[database]\nuri = sqlite://\npath = {folder}\n[web]\nlisten = 127.0.0.1:{port}\n{settings}", "utf-8"
        )
        self._spare = [f"copy{count}" for count in range(databases)]  # Tryton keeps in mind which there are
        for name in ("first", *self._spare):
            shutil.copy(TEMPLATE, folder / f"{name}.sqlite")
        self.start()

    def fresh(self) -> str:
        """The address of a copy of the database of the set-up that nobody has used, loaded by Tryton."""
        url = f"{self.url}/{self._spare.pop()}"
        httpx.get(f"{url}/rest/model/res.user", timeout=PATIENCE)  # a login would not load it
        return url

    def start(self) -> None:
        """Serve, and wait until it does."""
        command = [str(FOLDER / "bin" / "trytond"), "-c", "trytond.conf", "-d", "first"]
        with (self.folder / "log").open("a") as log:
            self._process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log)
        until(self._answers)

    def _answers(self) -> bool:
        assert self._process.poll() is None, self.log()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), PATIENCE):
            return True
        return False

    def stop(self) -> None:
        """Stop it."""
        self._process.terminate()
        self._process.wait(PATIENCE)

    def log(self) -> str:
        """What it has said."""
        return (self.folder / "log").read_text("utf-8")


def a_port() -> int:
    """A free port that no client gets from the system, so that it stays free while the server is stopped."""
    for port in random.sample(range(20_000, 32_000), 1_000):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    pytest.fail("there is no free port")


def key_of(url: str, office: Office, login: str = "licentia") -> str:
    """A key as the connector's page says: asked for, then let in by an administrator."""
    asked = httpx.post(f"{url}/user/application/", json={"user": login, "application": "rest"}, timeout=PATIENCE)
    office.validate(login)
    return str(asked.raise_for_status().json())


@pytest.fixture(scope="session")
def installed() -> None:
    """Skip where Tryton is not set up."""
    if not TEMPLATE.exists():
        pytest.skip("Tryton is not set up; install with: tests/integrations/tryton/setup")


@pytest.fixture(scope="session")
def _doorbell(installed: None) -> Iterator[Doorbell]:
    made = Doorbell()
    with listening(made) as address:
        made.url = f"{address}/connectors/tryton"
        yield made
        made.wait.set()


@pytest.fixture
def doorbell(_doorbell: Doorbell) -> Doorbell:
    """Whom the module of Tryton rings at, all well and nothing rung."""
    _doorbell.status, _doorbell.requests = 204, []
    _doorbell.wait.set()
    return _doorbell


@pytest.fixture(scope="session")
def tryton_server(_doorbell: Doorbell, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Tryton for all tests, whose module rings at `doorbell`."""
    settings = f"[licentia]\nurl = {_doorbell.url}\nsecret = {SECRET}\n"
    server = Server(tmp_path_factory.mktemp("tryton"), 40, settings)
    yield server
    server.stop()


@pytest.fixture
def database(tryton_server: Server) -> str:
    """The address of a database of this test's own."""
    return tryton_server.fresh()


@pytest.fixture
def office(database: str) -> Iterator[Office]:
    """Somebody who works with this database."""
    made = Office(database)
    yield made
    made.close()


@pytest.fixture
def key_for(database: str, office: Office) -> Callable[[str], str]:
    """Gets a key for a user of this database."""
    return lambda login: key_of(database, office, login)


@pytest.fixture
def own_tryton(installed: None) -> Iterator[Callable[..., tuple[Server, Office, dict[str, Any]]]]:
    """Starts a Tryton that a test may stop: the server, somebody who works with it, and how it is reached."""
    with contextlib.ExitStack() as stack:

        def started(folder: Path, doorbell: str = "") -> tuple[Server, Office, dict[str, Any]]:
            server = Server(folder, 0, f"[licentia]\nurl = {doorbell}\nsecret = {SECRET}\n")
            stack.callback(server.stop)
            url = f"{server.url}/first"  # this one Tryton loads before it serves
            office = Office(url)
            stack.callback(office.close)
            api = {"url": url, "password": key_of(url, office)}
            return server, office, {"secret": SECRET, "api": api, "revisions": True}

        yield started


@pytest.fixture
def settings(database: str, office: Office) -> dict[str, Any]:
    """The settings of a connection to this database."""
    api = {"url": database, "password": key_of(database, office)}
    return {"secret": SECRET, "api": api, "revisions": True, "subscriptions": True}


@pytest.fixture
async def tryton(settings: dict[str, Any]) -> AsyncIterator[Tryton]:
    """The connector with this database behind it."""
    connector = Tryton("tryton", settings)
    yield connector
    await connector.close()
