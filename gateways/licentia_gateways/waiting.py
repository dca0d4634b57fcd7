"""Calls that wait for their turn, and callers that do not: who hangs up gives its place in the queue away."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from licentia.contract import Operation, Request

T = TypeVar("T")


async def answered(operation: Operation, request: Request, call: Coroutine[Any, Any, T], receive: Receive) -> T:
    """What `call` of the operation with this request gives; `receive` has given the whole body already.

    Raises:
        ClientDisconnect: the request waits and the caller hung up meanwhile; the call was cancelled.
        LicensingError: as the call does.
    """
    if not operation.waits or not getattr(request, "wait_seconds", 0):
        return await call
    called, gone = asyncio.ensure_future(call), asyncio.ensure_future(_hung_up(receive))
    try:
        await asyncio.wait((called, gone), return_when=asyncio.FIRST_COMPLETED)
        if not called.done():
            gone.result()
            raise ClientDisconnect
        return called.result()
    finally:
        called.cancel()
        gone.cancel()
        await asyncio.gather(called, gone, return_exceptions=True)


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
