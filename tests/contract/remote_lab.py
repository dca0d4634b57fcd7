"""What the tests of connectors that fetch share: golden deliveries out of shared samples, and a system that answers."""

from __future__ import annotations

import atexit
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import msgspec
import pytest

from licentia.connectors import Change, Connector, Delivery

CHECKOUT = Path(__file__).parents[2]
SHARED = CHECKOUT.parent / "shared" / "data" / "orders"
GOLDEN = CHECKOUT / "tests" / "golden" / "connectors"
AT = datetime(2026, 1, 1, tzinfo=UTC)


def unsigned(body: bytes) -> Mapping[str, str]:
    """The headers of a system that signs nothing."""
    return {}


def deliveries(system: str, sign: Callable[[bytes], Mapping[str, str]] = unsigned) -> Path:
    """A folder with the golden deliveries of a system: ours, and the shared samples that are there."""
    folder = Path(tempfile.mkdtemp(prefix="licentia-golden-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for expected in sorted((GOLDEN / system).glob("*.changes.json")):
        name = expected.name.removesuffix(".changes.json")
        bodies = [
            place / f"{name}{ending}" for place in (GOLDEN / system, SHARED / system) for ending in (".json", ".xml")
        ]
        body = next((each for each in bodies if each.exists()), None)
        if body is not None:
            shutil.copy(body, folder / body.name)
            shutil.copy(expected, folder / expected.name)
            headers = "".join(f"{key}: {value}\n" for key, value in sign(body.read_bytes()).items())
            (folder / f"{name}.headers").write_text(headers, "utf-8")
    return folder


def sample(system: str, name: str) -> bytes:
    """A real document of a system; skips the test where it is missing."""
    path = SHARED / system / name
    if not path.exists():
        pytest.skip(f"the shared sample {system}/{name} is not here")
    return path.read_bytes()


def delivery(document: Any, **given: Any) -> Delivery:
    """A delivery of a document, given as bytes or as what JSON is made of."""
    body = document if isinstance(document, bytes) else msgspec.json.encode(document)
    return Delivery(body=body, **{"received_at": AT, **given})


def means(connector: Connector, document: Any, **given: Any) -> tuple[Change, ...]:
    """What a document means."""
    return connector.normalise(delivery(document, **given))


class System:
    """A business system on this machine: `answers` by what an address has in it, and what was `asked`."""

    def __init__(self) -> None:
        self.url = ""
        self.answers: dict[str, bytes | int] = {}
        self.asked: list[tuple[str, str, str]] = []

    def answer(self, address: str) -> bytes | int:
        """The body of an answer, or its status."""
        return next((answer for part, answer in self.answers.items() if part in address), 404)


@contextmanager
def running() -> Iterator[System]:
    """The system, while it runs."""
    system = System()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("content-length", 0))
            told = self.rfile.read(length).decode()
            system.asked.append((unquote_plus(self.path), self.headers.get("authorization", ""), told))
            answer = system.answer(self.path)
            body = answer if isinstance(answer, bytes) else b"{}"
            self.send_response(200 if isinstance(answer, bytes) else answer)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        system.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield system
        server.shutdown()
        thread.join()
