"""What the stand-ins of shops share: a server on loopback that hands each request to a method of the stand-in."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

import msgspec


class Request(msgspec.Struct):
    """What a client asks for; `path` is with its query."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, which has to say that it is JSON."""
        assert self.headers["content-type"] == "application/json"
        return msgspec.json.decode(self.body)


class Response(msgspec.Struct):
    """What the stand-in answers."""

    value: Any
    status: int = 200
    headers: Mapping[str, str] = {}


class StandIn(Protocol):
    """A shop; `requests` are those that it was asked."""

    requests: list[Request]

    def answer(self, request: Request) -> Response:
        """The response to a request."""


@contextlib.contextmanager
def listening(shop: StandIn) -> Iterator[str]:
    """The address under which a stand-in can be reached."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            named = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, self.path, named, body)
            shop.requests.append(request)
            response = shop.answer(request)
            told = msgspec.json.encode(response.value)
            self.send_response_only(response.status)
            for name, value in {"date": formatdate(usegmt=True), **response.headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        do_GET = do_POST = do_PUT = _serve  # noqa: N815

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
