"""A cheap HTTP client that puts a server under load: one request after the other on each of many connections.

Run as a program, so that it does not share the interpreter with what is measured:

    python http_client.py HOST PORT rest|soap KEY USER SECONDS CONNECTIONS

It prints one JSON object: all requests, and the times of those that count. It understands answers with a
Content-Length only, and takes any status but 2xx for a failure.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
import time
from typing import cast

import uvloop

from licentia.cli.measuring.stock import HOT

WARM_UP_SECONDS = 0.5
PATIENCE_SECONDS = 20
PLACE = "%LEASE%"
ID = "load-{:07d}-{}"
"""Of one length, so that the Content-Length never changes."""

ENVELOPE = (
    '<?xml version="1.0" encoding="utf-8"?>'
    '<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/" xmlns:n="urn:licentia:licensing:1">'
    "<soap:Body><n:CheckoutLicense><n:leaseId>{lease}</n:leaseId><n:productCode>{code}</n:productCode>"
    "<n:user>{user}</n:user><n:seats>1</n:seats><n:station>desk 7</n:station><n:ttlSeconds>3600</n:ttlSeconds>"
    "</n:CheckoutLicense></soap:Body></soap:Envelope>"
)


def request(kind: str, host: str, key: str, user: str) -> bytes:
    """A checkout, with a mark where the lease's id belongs."""
    if kind == "rest":
        body = json.dumps({"product_code": HOT.product_code, "user": user, "station": "desk 7", "ttl_seconds": 3600})
        first, more, size = f"PUT /v1/leases/{PLACE}", "Content-Type: application/json", len(body)
    else:
        body = ENVELOPE.format(lease=PLACE, code=HOT.product_code, user=user)
        first, size = "POST /soap/licensing", len(body) - len(PLACE) + len(ID.format(0, "0" * 8))
        more = 'Content-Type: text/xml; charset=utf-8\r\nSOAPAction: "urn:licentia:licensing:1/CheckoutLicense"'
    head = f"{first} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n{more}\r\nContent-Length: {size}"
    return f"{head}\r\n\r\n{body}".encode()


class Client(asyncio.Protocol):
    """One connection; it asks again as soon as it is answered."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = cast("asyncio.WriteTransport", transport)  # uvloop's is no subclass
        self.ask()

    def ask(self) -> None:
        """Send the next request."""
        self.asked = time.perf_counter()
        self.transport.write(self.load.next_request())

    def data_received(self, data: bytes) -> None:
        """Take an answer, or a part of one."""
        self.answer = answer = self.answer + data if self.answer else data
        end = answer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = answer[:end].lower()
        at = head.index(b"content-length:") + 15
        if len(answer) < end + 4 + int(head[at:].split(b"\r\n", 1)[0]):
            return
        if head[9:10] != b"2":
            self.load.fail(answer.decode(errors="replace"))
        self.answer = b""
        if self.load.note(self.asked):
            self.ask()
        else:
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        """The server hung up, or all is done."""
        self.load.closed(error)


class Load:
    """All connections together, and the times of their requests."""

    def __init__(self, parts: tuple[bytes, bytes], seconds: float, connections: int) -> None:
        self.parts = parts
        self.seconds: list[float] = []
        self.all = 0
        self.run = secrets.token_hex(4)
        self.left = connections
        self.counts_from = time.perf_counter() + WARM_UP_SECONDS
        self.ends = self.counts_from + seconds
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def next_request(self) -> bytes:
        """A checkout of a lease that is new."""
        self.all += 1
        return ID.format(self.all, self.run).encode().join(self.parts)

    def note(self, asked: float) -> bool:
        """A request was answered; whether to go on."""
        now = time.perf_counter()
        if asked >= self.counts_from and now <= self.ends:
            self.seconds.append(now - asked)
        return now < self.ends and not self.done.done()

    def fail(self, why: str) -> None:
        """Stop all."""
        if not self.done.done():
            self.done.set_exception(RuntimeError(why))

    def closed(self, error: Exception | None) -> None:
        """A connection is gone."""
        self.left -= 1
        if time.perf_counter() < self.ends:
            self.fail(f"the server closed a connection: {error}")
        elif self.left == 0 and not self.done.done():
            self.done.set_result(None)


async def main(host: str, port: str, kind: str, key: str, user: str, seconds: str, connections: str) -> None:
    """Put the load on, and print what was seen."""
    before, after = request(kind, host, key, user).split(PLACE.encode())
    load = Load((before, after), float(seconds), int(connections))
    loop = asyncio.get_running_loop()
    for _ in range(int(connections)):
        await loop.create_connection(lambda: Client(load), host, int(port))
    async with asyncio.timeout(float(seconds) + PATIENCE_SECONDS):
        await load.done
    json.dump({"all": load.all, "elapsed": float(seconds), "seconds": load.seconds}, sys.stdout)


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
