"""What the interoperability tests share: the table of toolkits, a demo server, and an ear on what clients send it."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import toolkits

HERE = Path(__file__).parent


def marks(toolkit: Any, soap: str, auth: str) -> list[pytest.MarkDecorator]:
    """All is slow but one way of each toolkit that needs nothing generated."""
    quick = not toolkit.row.get("build") and (soap, auth) == ("1.1", "basic")
    return [] if quick else [pytest.mark.slow]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test of each way of each toolkit, of each known bug, and of each toolkit."""
    names = metafunc.fixturenames
    if "way" in names:
        cells = [
            pytest.param(name, (soap, auth), id=f"{name}-{soap}-{auth}", marks=marks(toolkit, soap, auth))
            for name, toolkit in toolkits.TOOLKITS.items()
            for soap in toolkit.row["soap"]
            for auth in toolkit.row["auth"]
        ]
        metafunc.parametrize(("toolkit", "way"), cells, indirect=["toolkit"], scope="session")
    elif "bug" in names:
        cells = [
            pytest.param(name, bug, id=f"{name}-{bug}")
            for name, toolkit in toolkits.TOOLKITS.items()
            for bug in toolkit.row.get("bug", {})
        ]
        metafunc.parametrize(("toolkit", "bug"), cells, indirect=["toolkit"], scope="session")


@pytest.fixture(scope="session")
def toolkit(request: pytest.FixtureRequest) -> Any:
    """The toolkit of a test; where it is not installed the test is skipped."""
    found = toolkits.TOOLKITS[request.param]
    if reason := found.missing():
        pytest.skip(reason)
    return found


@pytest.fixture(scope="session")
def known() -> Any:
    """The module with the table of toolkits."""
    return toolkits


class Relay:
    """Passes bytes on to the server and keeps what the clients sent, so that a test can see it."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sent: list[bytearray] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def heard(self) -> str:
        """All that clients have sent since the last time."""
        sent, self._sent = self._sent, []
        return b"\n".join(sent).decode("utf-8", "replace")

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._target)
            kept = bytearray()
            self._sent.append(kept)
            for source, sink, copy in ((client, server, kept), (server, client, bytearray())):
                threading.Thread(target=self._pass, args=(source, sink, copy), daemon=True).start()

    @staticmethod
    def _pass(source: socket.socket, sink: socket.socket, copy: bytearray) -> None:
        with source:
            try:
                while data := source.recv(65536):
                    copy += data
                    sink.sendall(data)
                sink.shutdown(socket.SHUT_WR)
            except OSError:  # one side has gone; the other is told by the end of its own thread
                return

    def close(self) -> None:
        """Take no more clients."""
        self._listener.close()


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory, start_demo: Any) -> Iterator[dict[str, str]]:
    """A demo server for all toolkits; the environment of an integrator with its address and keys in variables."""
    folder = tmp_path_factory.mktemp("demo")
    dropped = ("LICENTIA_", "KEY_", "SOAP_", "CLASSPATH")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    environment["XDG_RUNTIME_DIR"] = str(folder)
    with start_demo(folder, environment) as told:
        yield told


@pytest.fixture(scope="session")
def relay(demo: dict[str, str]) -> Iterator[Relay]:
    """The way to the demo on which one can listen."""
    made = Relay(demo["LICENTIA_URL"])
    yield made
    made.close()


@pytest.fixture(scope="session")
def results() -> Iterator[dict[str, Any]]:
    """What was seen of each toolkit; written to the file that LICENTIA_INTEROP_RESULTS names, for docs/soap.md."""
    seen: dict[str, Any] = {}
    yield seen
    if named := os.environ.get("LICENTIA_INTEROP_RESULTS"):
        Path(named).write_text(json.dumps(seen, indent=1, sort_keys=True), "utf-8")
