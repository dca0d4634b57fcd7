"""Doing a transaction again when it lost a race or its connection, and knowing whether it took effect."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from licentia.storage.database import is_transient

T = TypeVar("T")

ATTEMPTS = 10
"""How often a transaction is run at most."""


async def persist(work: Callable[[], Awaitable[T]]) -> T:
    """Do it again when it lost a race or its connection, a few times."""
    for attempt in range(1, ATTEMPTS):
        try:
            return await work()
        except Exception as error:
            if not is_transient(error):
                raise
            await asyncio.sleep(0.01 * attempt)
    return await work()
