"""Clients and servers that end between two steps of their work: `python mortals.py`, one job a line of input.

A job is a JSON object; the process forks for each, so that hundreds of them cost no start of Python.
`serve` answers with the process id at once, the client with how it ended: 0, or -9 if it was killed.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
import os
import signal
import socket
import sys
import traceback
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import structlog
import uvicorn

from licentia.client.actfile import ActFile
from licentia.client.actfile.contact import by_http
from licentia.client.remote import RemoteLicentia
from licentia.contract import BY_NAME, parse
from licentia.services.application import Application
from licentia.settings import Settings
from licentia.storage.database import Database, Transaction
from licentia_gateways.app import create_app

STEPS = ("open", "unlink", "fsync", "replace")
"""What a write of the client consists of."""


class Life:
    """Ends before the step of this number; -1: never."""

    def __init__(self, dies_at: int) -> None:
        self._left = dies_at

    def step(self) -> None:
        """Count a step."""
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1

    def counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """The call, as a step."""

        def step(*given: Any, **named: Any) -> Any:
            self.step()
            return call(*given, **named)

        return step


def client(job: dict[str, Any]) -> None:
    """Make a container, activate a ticket into it, contact the server: what was done before is not done again."""
    life = Life(job["dies_at"])
    for name in STEPS:
        setattr(os, name, life.counted(getattr(os, name)))
    with RemoteLicentia(job["url"], job["key"]) as server:

        def call(name: str, /, **members: Any) -> Any:
            operation = BY_NAME[name]
            return life.counted(server.call)(operation, parse(operation, members))

        file = ActFile(job["path"], trust=base64.b64decode(job["trust"]))
        file.create(["none"])
        if not file.licenses() and job["ticket"]:
            container = {"kind": "act-file", "request": base64.b64encode(file.request()).decode()}
            activation = call("ActivateTicket", code=job["ticket"], container=container)
            receipt = file.apply(base64.b64decode(activation.delivery.content))
            call(
                "ConfirmActivation", activation_id=activation.activation_id, receipt=base64.b64encode(receipt).decode()
            )
        file.require("cad")
        file.consume("cad", 1, request_id="once")
        file.contact(life.counted(by_http(server)))


def serve(job: dict[str, Any]) -> None:
    """Serve; end before or after the commit of one of the transactions."""
    asyncio.run(_serve(job))


async def _serve(job: dict[str, Any]) -> None:
    settings = Settings(
        data=Path(job["data"]), database=job["database"], bindings=("none",), container=job["container"]
    )
    application = await Application.open(settings)
    if job["dies"]:
        _doom(job["transaction"], job["dies"])
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(application), log_config=None, lifespan="off"))
    ready = Path(job["ready"])
    ready.with_suffix(".new").write_text(f"http://127.0.0.1:{listener.getsockname()[1]}")
    ready.with_suffix(".new").rename(ready)
    await server.serve([listener])


def _doom(number: int, when: str) -> None:
    write, life = Database.write, Life(number)

    @contextlib.asynccontextmanager
    async def mortal(self: Database) -> AsyncIterator[Transaction]:
        async with write(self) as tx:
            yield tx
            if when == "before":
                life.step()
        if when == "after":
            life.step()

    Database.write = mortal  # type: ignore[method-assign]


def main() -> None:
    """Do the jobs."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if not child:
            try:
                {"client": client, "serve": serve}[job["do"]](job)
            except BaseException:
                traceback.print_exc()
                sys.stderr.flush()
                os._exit(1)
            os._exit(0)
        ended = child if job["do"] == "serve" else os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(json.dumps(ended), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
