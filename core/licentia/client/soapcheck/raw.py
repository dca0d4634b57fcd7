"""One HTTP exchange written by hand: HTTP/1.0 and `Expect: 100-continue`, which no modern client can send."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from licentia.client.faults import Unreachable
from licentia.client.soapcheck.line import Line

PATIENCE_SECONDS = 3.0
"""How long a `100 Continue` is waited for; .NET waits 0.35 s, curl 1 s, then they send the body anyway."""

TIMEOUT_SECONDS = 30.0
LONGEST = 2**20


@dataclass(frozen=True)
class RawAnswer:
    """The status, the head and the rest of an answer, and whether a `100 Continue` came before."""

    status: int
    head: str
    rest: bytes
    continued: bool

    @property
    def is_soap(self) -> bool:
        """Whether it is a SOAP message."""
        return b"Envelope" in self.rest


def goes_by_proxy(line: Line) -> bool:
    """Whether requests to this server leave by a proxy of this computer, where nothing can be written by hand."""
    parts = urlsplit(line.url)
    host = parts.hostname or ""
    return host not in ("localhost", "127.0.0.1", "::1") and parts.scheme in getproxies() and not proxy_bypass(host)


def exchange(line: Line, body: bytes, *, http: str = "1.1", expect: bool = False) -> RawAnswer:
    """POST a message in this version of HTTP; with `expect`, send the body only when the server says so.

    Raises:
        Unreachable: no answer came.
    """
    parts = urlsplit(line.url)
    headers = [
        f"POST {parts.path} HTTP/{http}",
        f"Host: {parts.netloc.rpartition('@')[2]}",
        "Content-Type: text/xml; charset=utf-8",
        'SOAPAction: ""',
        f"Content-Length: {len(body)}",
        "Connection: close",
        *(["Expect: 100-continue"] if expect else []),
    ]
    head = "\r\n".join([*headers, "", ""]).encode("latin-1")
    try:
        with _connected(parts.scheme, parts.hostname or "", parts.port) as connection:
            connection.sendall(head if expect else head + body)
            first = _continued(connection) if expect else b""
            if expect and (not first or first.startswith((b"HTTP/1.1 100", b"HTTP/1.0 100"))):
                connection.sendall(body)
                return _answer(_all(connection, first.partition(b"\r\n\r\n")[2]), continued=bool(first))
            return _answer(_all(connection, first), continued=False)
    except OSError as error:
        told = f"{line.url} gives no answer: {error.strerror or error}."
        raise Unreachable(told, "Something on the way ends the connection.") from None


def _connected(scheme: str, host: str, port: int | None) -> socket.socket:
    connection = socket.create_connection((host, port or (443 if scheme == "https" else 80)), timeout=TIMEOUT_SECONDS)
    if scheme != "https":
        return connection
    try:
        return httpx.create_ssl_context().wrap_socket(connection, server_hostname=host)
    except OSError:
        connection.close()
        raise


def _continued(connection: socket.socket) -> bytes:
    connection.settimeout(PATIENCE_SECONDS)
    try:
        return connection.recv(65536)
    except TimeoutError:
        return b""
    finally:
        connection.settimeout(TIMEOUT_SECONDS)


def _all(connection: socket.socket, begun: bytes) -> bytes:
    content = begun
    while len(content) < LONGEST and (more := connection.recv(65536)):
        content += more
    return content


def _answer(content: bytes, *, continued: bool) -> RawAnswer:
    head, _, rest = content.partition(b"\r\n\r\n")
    words = head.split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        raise OSError("the connection ends without an answer")
    return RawAnswer(int(words[1]), head.decode("latin-1").lower(), rest, continued)
