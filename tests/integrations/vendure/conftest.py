"""A catalogue that is made once, a shop on a copy of it, and somebody whom its plugin tells its orders."""

from __future__ import annotations

import contextlib
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import vendure_shop
from loopback_shop import Request, Response, listening
from standardwebhooks import Webhook
from vendor import until
from vendure_shop import SECRET

from licentia.connectors import Delivery
from licentia_integrations.calls import delivered


class Receiver:
    """Takes what the plugin sends, if it is signed; `status` is what it answers."""

    def __init__(self) -> None:
        self.url = ""
        self.status = 204
        self.requests: list[Request] = []
        self.taken: list[Delivery] = []
        self.refused: list[str] = []

    def answer(self, request: Request) -> Response:
        """Take it, or refuse it."""
        Webhook(SECRET).verify(request.body, dict(request.headers))
        status = self.status
        if status == 204:
            delivery = delivered(request.body, request.path)
            self.taken.append(msgspec.structs.replace(delivery, headers=request.headers))
        else:
            self.refused.append(request.headers["webhook-id"])
        return Response(b"", status, {"location": "/elsewhere"})

    def events(self, code: str) -> list[tuple[str, Delivery]]:
        """What was told of an order."""
        told = [(msgspec.json.decode(each.body), each) for each in list(self.taken)]
        return [(event["type"], each) for event, each in told if event["data"]["code"] == code]

    def wait_for(self, code: str, *types: str) -> Delivery:
        """The last delivery about an order, once these events have come, in this order and no other."""
        until(lambda: len(self.events(code)) >= len(types))
        told = self.events(code)
        assert [kind for kind, _ in told] == list(types)
        return told[-1][1]


@pytest.fixture(scope="session")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a shop that sells two articles."""
    vendure_shop.needed()
    folder = tmp_path_factory.mktemp("vendure")
    with vendure_shop.running(folder, "http://127.0.0.1:9/", SECRET) as shop:
        shop.add_article("acme-cad", "201001")
        shop.add_article("acme-doc")
    return folder


@pytest.fixture
def folder(catalogue: Path, tmp_path: Path) -> Path:
    """A copy of it, for a test's own shop."""
    return Path(shutil.copytree(catalogue, tmp_path / "shop"))


@contextlib.contextmanager
def receiving() -> Iterator[Receiver]:
    """Somebody who receives."""
    made = Receiver()
    with listening(made) as address:
        made.url = f"{address}/connectors/shop"
        yield made


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    """Whom the plugin of `shop` tells."""
    with receiving() as made:
        yield made


@pytest.fixture
def own_receiver() -> Iterator[Receiver]:
    """Whom the plugin of a test's own shop tells; no other shop does."""
    with receiving() as made:
        yield made


@pytest.fixture(scope="module")
def shop(catalogue: Path, receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A shop for all tests of a file."""
    folder = shutil.copytree(catalogue, tmp_path_factory.mktemp("shop") / "shop")
    with vendure_shop.running(folder, receiver.url, SECRET) as running:
        yield running


class Relay:
    """An address that stays while the server behind it goes and comes: passes bytes on, and keeps what came."""

    def __init__(self) -> None:
        self.target: tuple[str, int] | None = None
        self.sent: list[bytearray] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/connectors/shop"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            if self.target is not None:
                with socket.create_connection(self.target) as server:
                    kept = bytearray()
                    self.sent.append(kept)
                    back = threading.Thread(target=self._pass, args=(server, client, bytearray()), daemon=True)
                    back.start()
                    self._pass(client, server, kept)
                    back.join()

    @staticmethod
    def _pass(source: socket.socket, sink: socket.socket, copy: bytearray) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                copy += data
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Take no more clients."""
        self._listener.close()


@pytest.fixture
def relay() -> Iterator[Relay]:
    """Where the plugin of a test's own shop sends."""
    made = Relay()
    yield made
    made.close()
