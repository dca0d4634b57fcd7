"""What the kits have in common: nothing is left out silently, and nothing blocks the server."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any, ClassVar

import pytest


class Kit:
    """Tests that a plugin's test class inherits.

    Its class may add tests. One that replaces a test of the kit must say why, by
    `@pytest.mark.xfail(reason=...)`; without that the class cannot even be defined.
    """

    blocking_seconds: ClassVar[float] = 0.5
    """How long a plugin may keep the event loop from everybody else at once."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name, test in vars(cls).items():
            if name.startswith("test_") and inspect.iscoroutinefunction(test):
                pytest.mark.asyncio(test)
        for kit in cls.__mro__[1:]:
            if kit.__module__.startswith("licentia.testing."):
                for name, test in vars(kit).items():
                    written = getattr(cls, name, None)
                    if name.startswith("test_") and written is not test and not _excused(written):
                        raise TypeError(
                            f"{cls.__name__} leaves out `{name}` of {kit.__name__}. If the plugin cannot pass it, "
                            "mark the replacement with @pytest.mark.xfail(reason=...)."
                        )

    @asynccontextmanager
    async def unblocked(self) -> AsyncIterator[None]:
        """Fail if what runs inside holds up the event loop, as `time.sleep` or a blocking client would."""
        longest = 0.0

        async def watch() -> None:
            nonlocal longest
            before = monotonic()
            while True:
                await asyncio.sleep(0.01)
                longest = max(longest, monotonic() - before)
                before = monotonic()

        watcher = asyncio.create_task(watch())
        await asyncio.sleep(0)
        try:
            yield
            await asyncio.sleep(0.02)
        finally:
            watcher.cancel()
        assert longest < self.blocking_seconds, f"the event loop stood still for {longest:.2f} s"


def _excused(test: Any) -> bool:
    return any(mark.name == "xfail" and mark.kwargs.get("reason") for mark in getattr(test, "pytestmark", ()))
