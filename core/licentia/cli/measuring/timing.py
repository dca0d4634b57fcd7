"""Calls that are timed, and what their times add up to."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

T = TypeVar("T")

FLUSHES = 100
PAGE = b"\0" * 4096


class Timed(msgspec.Struct, frozen=True):
    """Calls made together: from when to when, by the monotonic clock that all processes share, and the time of each.

    All in seconds.
    """

    began: float
    ended: float
    seconds: list[float]

    @property
    def rate(self) -> float:
        """Calls per second."""
        return len(self.seconds) / (self.ended - self.began)

    def percentile(self, percent: float) -> float:
        """The milliseconds within which so many of a hundred calls were answered (nearest rank)."""
        return percentile(self.seconds, percent) * 1e3


def joined(parts: Sequence[Timed]) -> Timed:
    """What several processes did at the same time, as one."""
    seconds = [second for part in parts for second in part.seconds]
    return Timed(min(part.began for part in parts), max(part.ended for part in parts), seconds)


def percentile(values: Sequence[float], percent: float) -> float:
    """The least value that so many of a hundred do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -int(-len(ordered) * percent // 100) - 1)]


async def in_flight(call: Callable[[T], Awaitable[object]], arguments: Iterable[T], clients: int) -> Timed:
    """Make a call with each argument, always so many at once.

    Raises:
        ExceptionGroup: a call failed; the others were cancelled.
    """
    left = iter(arguments)
    seconds: list[float] = []

    async def client() -> None:
        for argument in left:
            began = time.monotonic()
            await call(argument)
            seconds.append(time.monotonic() - began)

    began = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(clients):
            tasks.create_task(client())
    return Timed(began, time.monotonic(), seconds)


def flush_seconds(folder: Path) -> float:
    """How long the disk under a folder takes to keep one page (fdatasync), as the median of many.

    This bounds every database there: a commit waits for it at least once.
    """
    flush = getattr(os, "fdatasync", os.fsync)
    file = folder / "flushed"
    seconds = []
    with file.open("wb", buffering=0) as opened:
        for _ in range(FLUSHES):
            opened.write(PAGE)
            began = time.monotonic()
            flush(opened.fileno())
            seconds.append(time.monotonic() - began)
    file.unlink()
    return percentile(seconds, 50)
