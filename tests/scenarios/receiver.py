"""Somebody who receives webhooks: a real HTTP server on the loopback interface that notes all it gets."""

from __future__ import annotations

import contextlib
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec


@dataclass(frozen=True)
class Got:
    """One request, when it came, and how it is answered."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def id(self) -> str:
        """The id of the message."""
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        """What the body says."""
        told: dict[str, Any] = msgspec.json.decode(self.body)
        return told


@dataclass(frozen=True)
class Say:
    """An answer, after some seconds."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    after: float = 0


class Receiver:
    """The server: `answer` is given each request, with the number of those that came to its path before."""

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.answer: Callable[[Got, int], Say] = lambda got, before: Say()
        self.tls: ssl.SSLContext | None = None
        self.stopping = threading.Event()
        self._lock = threading.Lock()

    def of(self, path: str) -> list[Got]:
        """The requests to a path."""
        with self._lock:
            return [got for got in self.got if got.path == path]

    def ids(self, path: str) -> list[str]:
        """The ids of the messages to a path, in the order in which they came."""
        return [got.id for got in self.of(path)]

    def kinds(self, path: str) -> list[str]:
        """What the messages to a path are about."""
        return sorted(got.event["type"] for got in self.of(path))

    def take(self, got: Got) -> Say:
        """Note a request."""
        with self._lock:
            before = sum(each.path == got.path for each in self.got)
            self.got.append(got)
        return self.answer(got, before)

    @contextlib.contextmanager
    def running(self, port: int = 0) -> Iterator[Receiver]:
        """Listening."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if len(body) < int(self.headers["content-length"]):
                    return  # the sender was killed before its last word
                headers = {name.lower(): value for name, value in self.headers.items()}
                said = receiver.take(Got(self.path, headers, body, time.time()))
                receiver.stopping.wait(said.after)
                with contextlib.suppress(OSError):
                    self.send_response(said.status)
                    for name, value in said.headers.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(said.body)

            def log_message(self, format: str, *args: Any) -> None:
                return

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                return  # a client that hangs up, or refuses our certificate

        with Server(("127.0.0.1", port), Handler) as server:
            self.port = server.server_port
            if self.tls is not None:
                server.socket = self.tls.wrap_socket(server.socket, server_side=True)
            self.url = f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            try:
                yield self
            finally:
                self.stopping.set()
                server.shutdown()
                thread.join()
