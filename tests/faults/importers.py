"""Imports a file until it is killed: `python importers.py`, with a job as a JSON object on its input.

It writes a line after each batch: how many orders are done.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from pathlib import Path
from typing import Any

import structlog

from licentia.services.application import Application
from licentia.services.importing import Import
from licentia.settings import Settings


async def work(job: dict[str, Any]) -> None:
    """Import the file of the job."""
    settings = Settings(
        data=Path(job["data"]), database=job["database"], connector={"csv": {"secret": "not shown to anybody"}}
    )
    application = await Application.open(settings)
    try:
        connection = await application.chain.connections.get("csv")
        running = Import(application, application.chain.inbox, connection, Path(job["file"]), dry_run=False)
        print(await running.begin(restart=False), flush=True)  # noqa: T201
        await running.run(job["batch"], lambda place, of: print(place, flush=True))  # noqa: T201
    finally:
        await application.close()


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    asyncio.run(work(json.loads(sys.stdin.readline())))
