"""Imports a file until it is killed: `python importers.py`, with a job as a JSON object on its input.

It writes a line after each batch: how many orders are done. After `most` batches, if the job names these, it only
waits to be killed, so that it does not come to the end before whoever kills it gets a turn.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import sys
import time
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
        batches = itertools.count(1)

        def told(place: int, of: int) -> None:
            print(place, flush=True)  # noqa: T201
            if next(batches) == job["most"]:
                time.sleep(60)

        await running.run(job["batch"], told)
    finally:
        await application.close()


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    asyncio.run(work(json.loads(sys.stdin.readline())))
