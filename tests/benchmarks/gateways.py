"""What the gateways cost: CPU per checkout by REST and by SOAP, without an HTTP server and without a database.

Each request runs through the whole ASGI application of the server, its log and its metrics included, but the
licensing behind it is a fake: `FakeLicensing` lets everyone in and grants every checkout at once.

    python tests/benchmarks/gateways.py
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Scope

from licentia.contract.leases import GrantedLease
from licentia.services.application import Application
from licentia.services.identity import SCOPES, Caller
from licentia.settings import Settings
from licentia_gateways import logging
from licentia_gateways.app import create_app

ROUND = 500
"""Requests that are timed together."""

LEASE = GrantedLease(
    lease_id="4f0c2f5c-9b1e-4c39-8f53-6f2b2a5e3f11", license_id="lic_281648389449ea652e56c558f", product_code="201001",
    user="ada@example.com", station="desk 7", feature="pro", seats=1, granted_at=datetime(2026, 11, 24, 2, tzinfo=UTC),
    expires_at=datetime(2026, 11, 24, 2, 10, tzinfo=UTC), seats_in_use=2, seats_total=3, renew_after_seconds=200,
    token="e30." + "x" * 380 + "." + "y" * 86, created=True,
)  # fmt: skip

JSON = (
    b'{"product_code":"201001","user":"ada@example.com","feature":"pro","seats":1,"station":"desk 7","ttl_seconds":600}'
)
ENVELOPE = (
    b'<?xml version="1.0" encoding="utf-8"?>'
    b'<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/" xmlns:n="urn:licentia:licensing:1">'
    b"<soap:Body><n:CheckoutLicense><n:leaseId>4f0c2f5c-9b1e-4c39-8f53-6f2b2a5e3f11</n:leaseId>"
    b"<n:productCode>201001</n:productCode><n:user>ada@example.com</n:user><n:feature>pro</n:feature>"
    b"<n:seats>1</n:seats><n:station>desk 7</n:station><n:ttlSeconds>600</n:ttlSeconds>"
    b"</n:CheckoutLicense></soap:Body></soap:Envelope>"
)
ACTION = b'"urn:licentia:licensing:1/CheckoutLicense"'


class FakeLicensing:
    """Stands where the application stands: one caller, one lease, no work."""

    settings = Settings(data=Path("unused"))
    _caller = Caller(actor="key-7", scopes=SCOPES)

    async def authenticate(self, credentials: object, address: str) -> Caller:
        """Let everyone in."""
        return self._caller

    async def call(self, *request: object, **more: object) -> GrantedLease:
        """Grant everything."""
        return LEASE


ANSWER: dict[str, Any] = msgspec.to_builtins(LEASE)


async def bare(request: Request) -> JSONResponse:
    """The least that Starlette does for the same request and the same answer."""
    await request.json()
    return JSONResponse(ANSWER, 201)


def rest_scope() -> Scope:
    """A checkout by REST, as uvicorn hands it over."""
    return _scope("PUT", f"/v1/leases/{LEASE.lease_id}", JSON, (b"content-type", b"application/json"))


def soap_scope() -> Scope:
    """A checkout by SOAP 1.1."""
    kind = (b"content-type", b"text/xml; charset=utf-8")
    return _scope("POST", "/soap/licensing", ENVELOPE, kind, (b"soapaction", ACTION))


def _scope(method: str, path: str, body: bytes, *headers: tuple[bytes, bytes]) -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 8400),
        "client": ("127.0.0.1", 50000),
        "scheme": "http",
        "method": method,
        "root_path": "",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [
            (b"host", b"127.0.0.1:8400"),
            (b"user-agent", b"acme-cad/4.1"),
            (b"accept", b"*/*"),
            (b"accept-encoding", b"gzip, deflate"),
            (b"authorization", b"Bearer lic_" + b"A" * 12 + b"_" + b"b" * 40),
            (b"content-length", str(len(body)).encode()),
            *headers,
        ],
        "state": {},
    }


async def ask(app: ASGIApp, scope: Scope, body: bytes) -> tuple[int, bytes]:
    """Send one request; the status and the body of the answer."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"], sent[1]["body"]


async def _per_request(app: ASGIApp, scope: Callable[[], Scope], body: bytes) -> float:
    """Microseconds of CPU per request, of one round; making the scope is not counted."""
    scopes = [scope() for _ in range(ROUND)]
    started = time.process_time()
    for one in scopes:
        await ask(app, one, body)
    return (time.process_time() - started) / ROUND * 1e6


async def _measure(seconds: float) -> dict[str, float]:
    app = create_app(cast("Application", FakeLicensing()))
    bare_app = Starlette(routes=[Route("/v1/leases/{lease_id}", bare, methods=["PUT"])])
    rounds: dict[str, Callable[[], Awaitable[float]]] = {
        "rest": lambda: _per_request(app, rest_scope, JSON),
        "soap": lambda: _per_request(app, soap_scope, ENVELOPE),
        "bare": lambda: _per_request(bare_app, rest_scope, JSON),
    }
    assert (await ask(app, rest_scope(), JSON))[0] == 201
    assert (await ask(app, soap_scope(), ENVELOPE))[0] == 200
    least = dict.fromkeys(rounds, float("inf"))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for name, one in rounds.items():  # in turns, so that a disturbance hits all alike
            least[name] = min(least[name], await one())
    return {
        "rest_us": least["rest"],
        "soap_us": least["soap"],
        "bare_us": least["bare"],
        "soap_to_rest": least["soap"] / least["rest"],
    }


def measure(seconds: float = 3) -> dict[str, float]:
    """Microseconds of CPU per request, the least of many rounds, and how much dearer SOAP is.

    `rest_us` and `soap_us` are checkouts with `FakeLicensing` behind them, their log lines written to the
    null device; `bare_us` is a Starlette route that answers the same without anything of ours;
    `soap_to_rest` is a ratio.
    """
    with Path(os.devnull).open("w", buffering=1) as nowhere, contextlib.redirect_stderr(nowhere):
        logging.configure(FakeLicensing.settings)
        return asyncio.run(_measure(seconds))


def table(measured: dict[str, float]) -> str:
    """What was measured, for a person to read."""
    labels = {"REST checkout": "rest_us", "SOAP checkout": "soap_us", "bare Starlette route": "bare_us"}
    lines = [f"{label:<22}{measured[name]:6.1f} us of CPU per request\n" for label, name in labels.items()]
    return "".join([*lines, f"{'SOAP to REST':<22}{measured['soap_to_rest']:6.2f}\n"])


if __name__ == "__main__":
    sys.stdout.write(table(measure()))
