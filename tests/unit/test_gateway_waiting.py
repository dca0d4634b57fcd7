"""A call that waits is given up when its caller hangs up, and only then."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.routing import Route
from starlette.types import ASGIApp, Message

from licentia.contract import BY_NAME, Operation
from licentia.contract.leases import CheckoutLicense
from licentia.errors import NoFreeSeats
from licentia.services.identity import SCOPES, Caller
from licentia.settings import Settings
from licentia_gateways.middleware import Observed
from licentia_gateways.rest.endpoint import Endpoint
from licentia_gateways.soap.service import SoapService
from licentia_gateways.waiting import answered


class Patient(CheckoutLicense):
    """A checkout that waits a minute, unless it says otherwise."""

    wait_seconds: int = 60


WAITING = replace(BY_NAME["CheckoutLicense"], request=Patient, waits=True)
REQUEST = Patient(lease_id="a", product_code="1", user="ada")


class SlowLicensing:
    """Stands where the application stands: everyone is let in, nobody ever gets a seat."""

    settings = Settings(data=Path("unused"))

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.given_up = asyncio.Event()

    async def authenticate(self, credentials: object, address: str) -> Caller:
        """Let everyone in."""
        return Caller(actor="key-7", scopes=SCOPES)

    async def call(self, *request: object, **more: object) -> None:
        """Wait for ever."""
        self.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.given_up.set()


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[asyncio.StreamWriter]:
    """A connection to a real server with this application."""
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=5))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        running = asyncio.create_task(server.serve([listener]))
        _, writer = await asyncio.open_connection(*listener.getsockname())
        try:
            yield writer
        finally:
            writer.close()
            server.should_exit = True
            await running


def rest_request() -> bytes:
    """A checkout by REST."""
    return _http("PUT /v1/leases/a", "application/json", '{"product_code": "1", "user": "ada"}')


def soap_request() -> bytes:
    """A checkout by SOAP."""
    fields = "<leaseId>a</leaseId><productCode>1</productCode><user>ada</user>"
    call = f'<CheckoutLicense xmlns="urn:licentia:licensing:1">{fields}</CheckoutLicense>'
    envelope = f'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>{call}</s:Body></s:Envelope>'
    return _http("POST /soap/licensing", "text/xml", envelope)


def _http(line: str, kind: str, body: str) -> bytes:
    head = f"{line} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return (head + body).encode()


@pytest.mark.parametrize("request_", [rest_request, soap_request])
async def test_who_hangs_up_gives_its_place_away(
    request_: Callable[[], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A closed socket ends the waiting call at once, and the log says that the caller left."""
    monkeypatch.setattr("licentia_gateways.soap.service.OPERATIONS", (WAITING,))
    routes = [Route(WAITING.path, Endpoint([WAITING])), Route("/soap/licensing", SoapService("licensing"))]
    app = Starlette(routes=routes, middleware=[Middleware(Observed)])
    app.state.application = licensing = SlowLicensing()
    app.state.settings = licensing.settings
    with structlog.testing.capture_logs() as lines:
        async with serving(app) as writer:
            writer.write(request_())
            await asyncio.wait_for(licensing.begun.wait(), timeout=10)
            assert not licensing.given_up.is_set()
            writer.close()
            await asyncio.wait_for(licensing.given_up.wait(), timeout=10)
    assert [(line["operation"], line["status"]) for line in lines] == [("CheckoutLicense", 499)]


async def _never() -> Message:
    await asyncio.Event().wait()
    raise AssertionError


async def _at_once() -> Message:
    return {"type": "http.disconnect"}


async def _granted() -> str:
    await asyncio.sleep(0)
    return "granted"


async def test_what_comes_in_time_is_the_answer() -> None:
    """A waiting call gives its reply, and its refusal, as any other."""

    async def refused() -> None:
        await asyncio.sleep(0)
        raise NoFreeSeats("None is free.")

    assert await answered(WAITING, REQUEST, _granted(), _never) == "granted"
    with pytest.raises(NoFreeSeats):
        await answered(WAITING, REQUEST, refused(), _never)


@pytest.mark.parametrize(
    ("operation", "request_"),
    [(WAITING, Patient(lease_id="a", product_code="1", user="ada", wait_seconds=0)),
     (replace(WAITING, waits=False), REQUEST)],
)  # fmt: skip
async def test_who_does_not_wait_is_not_watched(operation: Operation, request_: Patient) -> None:
    """A call that does not wait runs to its end although the caller is gone: it is committed already."""
    assert await answered(operation, request_, _granted(), _at_once) == "granted"


async def test_the_end_of_the_server_ends_the_call() -> None:
    """When the request itself is cancelled, nothing of it goes on."""
    licensing = SlowLicensing()
    waiting = asyncio.create_task(answered(WAITING, REQUEST, licensing.call(), _never))
    await licensing.begun.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert licensing.given_up.is_set()


async def test_who_is_gone_already_is_not_waited_for() -> None:
    """A caller that left before the call began does not keep a place."""
    with pytest.raises(ClientDisconnect):
        await answered(WAITING, REQUEST, SlowLicensing().call(), _at_once)
