"""Servers with a connection to a shop, which end when they are told to: `python salesrooms.py`, a job a line.

A job is a JSON object; the process forks for each, so that a server costs no start of Python, and answers with
the new process's id. The server writes its address into the file `ready`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
import traceback
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
import uvicorn

from licentia.services import chain, inbox, outbox
from licentia.services.application import Application
from licentia.settings import Settings
from licentia.storage.database import Database, Transaction
from licentia_gateways.app import create_app


async def serve(job: dict[str, Any]) -> None:
    """Serve until the end, which may come before or after the commit of a transaction."""
    settings = Settings(data=Path(job["data"]), database=job["database"], connector=job["connector"])
    application = await Application.open(settings)
    if job["dies"]:
        _doom(job["transaction"], job["dies"])
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(application), log_config=None))
    ready = Path(job["ready"])
    ready.with_suffix(".new").write_text(f"http://127.0.0.1:{listener.getsockname()[1]}")
    ready.with_suffix(".new").rename(ready)
    await server.serve([listener])


def _doom(number: int, when: str) -> None:
    write, left = Database.write, [number]

    def step() -> None:
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    @contextlib.asynccontextmanager
    async def mortal(self: Database) -> AsyncIterator[Transaction]:
        async with write(self) as tx:
            yield tx
            if when == "before":
                step()
        if when == "after":
            step()

    Database.write = mortal  # type: ignore[method-assign]


def main() -> None:
    """Do the jobs, with short times."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    chain.LOOK, inbox.CLAIMED = 0.05, timedelta(seconds=1)
    inbox.LONGEST_WAIT = outbox.LONGEST_WAIT = 1
    for line in sys.stdin:
        child = os.fork()
        if not child:
            try:
                asyncio.run(serve(json.loads(line)))
            except BaseException:
                traceback.print_exc()
                sys.stderr.flush()
            os._exit(1)
        print(child, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
