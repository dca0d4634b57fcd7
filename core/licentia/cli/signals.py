"""How a command that runs until it is stopped comes to its end: in order, with exit code 0, as a stop is no fault."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOPS = (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if sys.platform != "win32" else []))
"""Ctrl-C, `kill`, and a terminal that is closed."""


def leave_on_signals() -> None:
    """Let a stop leave whatever is being done, by SystemExit. Not for code that awaits: see `until_stopped`."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(0)

    for number in STOPS:
        signal.signal(number, leave)


@contextmanager
def until_stopped() -> Iterator[asyncio.Event]:
    """An event that a stop sets. After the block the end has begun, and further stops change nothing."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(stopped.set)

    for number in STOPS:
        signal.signal(number, stop)
    try:
        yield stopped
    finally:
        for number in STOPS:
            signal.signal(number, signal.SIG_IGN)
