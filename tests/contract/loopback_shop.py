"""What the stand-ins of business systems share: a server on loopback that hands each request to the stand-in."""

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
    """What the stand-in answers: `value` as JSON, or as it is if it is bytes."""

    value: Any
    status: int = 200
    headers: Mapping[str, str] = {}


class StandIn(Protocol):
    """A business system; `requests` are those that it was asked."""

    requests: list[Request]

    def answer(self, request: Request) -> Response:
        """The response to a request."""


@contextlib.contextmanager
def listening(system: StandIn) -> Iterator[str]:
    """The address under which a stand-in can be reached."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            named = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, self.path, named, body)
            system.requests.append(request)
            response = system.answer(request)
            told = response.value if isinstance(response.value, bytes) else msgspec.json.encode(response.value)
            with contextlib.suppress(ConnectionError):  # who asked may have gone meanwhile
                self.send_response_only(response.status)
                for name, value in {"date": formatdate(usegmt=True), **response.headers}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(told)))
                self.end_headers()
                self.wfile.write(told)

        do_GET = do_POST = do_PUT = do_PATCH = _serve  # noqa: N815

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
