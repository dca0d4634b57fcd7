"""Servers that tell webhooks until they are killed: `python couriers.py`, one job a line of input.

A job is a JSON object; the process forks for each, so that a server costs no start of Python, and answers
with the new process's id.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import traceback
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog

from licentia.contract import BY_NAME, parse
from licentia.services import courier
from licentia.services.application import Application
from licentia.services.identity import OPERATOR
from licentia.settings import Settings, Webhooks
from licentia.storage import webhookstore


async def serve(job: dict[str, Any]) -> None:
    """Open, do what the job asks for, and go on until the end."""
    webhooks = Webhooks(allow_private=True, allow_http=True)
    application = await Application.open(Settings(data=Path(job["data"]), database=job["database"], webhooks=webhooks))

    async def call(operation: str, /, **members: Any) -> None:
        await application.call(BY_NAME[operation], parse(BY_NAME[operation], members), OPERATOR)

    if job["url"]:
        await call("PutWebhook", webhook_id="crm", endpoint_url=job["url"])
    for sku in job["products"]:
        await call("PutProduct", sku=sku, name=sku, items=[{"product_code": sku}])
        await asyncio.sleep(0.01)
    await asyncio.Event().wait()


def main() -> None:
    """Do the jobs."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    courier.EVERY, webhookstore.HELD = 0.02, timedelta(seconds=0.5)
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
