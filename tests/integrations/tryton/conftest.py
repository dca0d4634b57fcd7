"""A real Tryton: a server over copies of one database, somebody in the office, and whom its doorbell rings at."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from licentia.connectors import Delivery
from licentia_integrations.tryton import Tryton

FOLDER = Path(__file__).parents[3] / ".venv-interop" / "tryton"
TEMPLATE = FOLDER / "template.sqlite"
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
PASSWORD = "sells for Acme"


class Doorbell:
    """Takes what the module sends; `status` is what it answers, and `wait` is set while it does not answer at all."""

    def __init__(self) -> None:
        self.status = 204
        self.wait = threading.Event()
        self.wait.set()
        self.rung: list[Delivery] = []
        doorbell = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                """Keep what came, and answer."""
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                now = datetime.now(UTC)
                doorbell.rung.append(Delivery(body=body, headers=headers, url=self.path, received_at=now))
                doorbell.wait.wait(30)
                with contextlib.suppress(OSError):  # who rang may have gone
                    self.send_response_only(doorbell.status)
                    self.send_header("Location", "/elsewhere")
                    self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Keep the output of the tests clean."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/connectors/tryton"

    def close(self) -> None:
        """Be gone."""
        self.wait.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


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
        self._process.communicate(timeout=30)


class Server:
    """`trytond` over the databases of a folder; it can be stopped, and started again at the same address."""

    def __init__(self, folder: Path, databases: int, settings: str = "") -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.folder, self.url, self._port = folder, f"http://127.0.0.1:{port}", port
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
        httpx.get(f"{url}/rest/model/res.user", timeout=60)  # a login would not load it
        return url

    def start(self) -> None:
        """Serve, and wait until it does."""
        command = [str(FOLDER / "bin" / "trytond"), "-c", "trytond.conf", "-d", "first"]
        with (self.folder / "log").open("a") as log:
            self._process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while True:
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 1):
                return
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it."""
        self._process.terminate()
        self._process.wait(30)

    def log(self) -> str:
        """What it has said."""
        return (self.folder / "log").read_text("utf-8")


def key_of(url: str, office: Office, login: str = "licentia") -> str:
    """A key as the connector's page says: asked for, then let in by an administrator."""
    asked = httpx.post(f"{url}/user/application/", json={"user": login, "application": "rest"}, timeout=30)
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
    yield made
    made.close()


@pytest.fixture
def doorbell(_doorbell: Doorbell) -> Doorbell:
    """Whom the module of Tryton rings at, all well and nothing rung."""
    _doorbell.status, _doorbell.rung = 204, []
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
