"""The server from start to stop: what opens, what closes, and what health tells meanwhile."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from licentia.contract import BY_NAME
from licentia.contract.products import GetProduct, Product
from licentia.services.application import Application
from licentia.services.identity import OPERATOR
from licentia.settings import SettingsError, load
from licentia_gateways.app import create_app


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """A lifespan sets up the logging of the whole process; here it is not ours alone."""
    root, access = logging.getLogger(), logging.getLogger("uvicorn.access")
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers, root.level, access.disabled, access.propagate = handlers, level, False, True


def client(app: object) -> httpx.AsyncClient:
    """A client of an application in this process."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")  # type: ignore[arg-type]


async def test_a_ready_server_says_so(application: Application) -> None:
    """Alive and ready, with each check by its name, and for anyone."""
    app = create_app(application)
    alive, ready = await client(app).get("/livez"), await client(app).get("/readyz")
    assert (alive.status_code, alive.json()) == (200, {"status": "ok"})
    assert (ready.status_code, ready.json()["status"]) == (200, "ok")
    assert ready.json()["checks"] == {"server": "ok", **await application.checks()}


async def test_a_fault_makes_it_unready_but_not_dead(application: Application) -> None:
    """Without its database the server is not ready, yet alive: a restart would not help."""
    app = create_app(application)
    await application.close()
    ready = await client(app).get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (503, "unfit")
    assert ready.json()["checks"]["database"] != "ok"
    assert (await client(app).get("/livez")).status_code == 200


async def test_a_stopping_server_is_not_ready(application: Application) -> None:
    """On SIGTERM the load balancer is told at once, and the handler that was there still runs."""
    seen: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: seen.append(number))
    try:
        app = create_app(application)
        async with app.router.lifespan_context(app):
            assert (await client(app).get("/readyz")).status_code == 200
            signal.raise_signal(signal.SIGTERM)
            ready = await client(app).get("/readyz")
            assert (ready.status_code, ready.json()["checks"]["server"]) == (503, "stopping")
        assert seen == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


async def test_a_given_application_stays_open(application: Application) -> None:
    """Who opened it closes it."""
    app = create_app(application)
    async with app.router.lifespan_context(app):
        pass
    assert (await application.checks())["database"] == "ok"


def test_a_wrong_setting_stops_the_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A worker with a wrong settings file does not come up with defaults instead."""
    file = tmp_path / "licentia.toml"
    file.write_text("prot = 8400\n")
    monkeypatch.setenv("LICENTIA_CONFIG", str(file))
    with pytest.raises(SettingsError, match="prot"):
        create_app()


SERVE = """
import sys, uvicorn
uvicorn.run("licentia_gateways.app:create_app", factory=True, fd=int(sys.argv[1]), log_config=None)
"""


async def test_accepted_requests_are_finished_before_the_end(tmp_path: Path) -> None:
    """SIGTERM in the middle of a request: it is still answered and durable, then the process ends."""
    file = tmp_path / "licentia.toml"
    file.write_text('data = "."\nlog_level = "debug"\n')
    application = await Application.open(load(file, {}))
    _, key = await application.create_key(frozenset({"admin"}))
    await application.close()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", SERVE, str(listener.fileno()),
            pass_fds=[listener.fileno()], env={**os.environ, "LICENTIA_CONFIG": str(file)}, stderr=subprocess.PIPE,
        )  # fmt: skip
        reader, writer = await asyncio.open_connection(*listener.getsockname())
    assert process.stderr is not None
    body = b'{"name": "CAD", "items": [{"product_code": "1"}]}'
    head = f"PUT /v1/products/cad HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
    writer.write(head.encode())
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"  # it waits for the body
    process.send_signal(signal.SIGTERM)
    logged = await _until(process.stderr, "Shutting down")
    writer.write(body)
    answer = await reader.read()
    logged += (await process.stderr.read()).decode()
    await process.wait()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 201 ")
    lines = [json.loads(line) for line in logged.splitlines()]
    assert [line["operation"] for line in lines if line["event"] == "request"] == ["PutProduct"]
    assert key not in logged
    application = await Application.open(load(file, {}))
    found = await application.call(BY_NAME["GetProduct"], GetProduct(sku="cad"), OPERATOR)
    await application.close()
    assert isinstance(found, Product)


async def _until(stream: asyncio.StreamReader, word: str) -> str:
    """What the process logs until a line with this word."""
    lines: list[str] = []
    while not lines or word not in lines[-1]:
        line = await asyncio.wait_for(stream.readline(), timeout=20)
        assert line, "".join(lines)
        lines.append(line.decode())
    return "".join(lines)
