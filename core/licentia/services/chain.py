"""What keeps the chain from a business system's delivery to its order and back going, in the background."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog

from licentia.services.connections import Connections
from licentia.services.inbox import Inbox, Server
from licentia.services.outbox import Outbox
from licentia.services.poller import Poller
from licentia.storage import connector_models as models

log = structlog.get_logger(__name__)

AT_ONCE = 8
"""Deliveries, and outcomes, that one process works on at the same time."""
LOOK = 2.0
"""Seconds between two looks for what is due; what this process takes itself is worked on at once."""
PRUNE_EVERY = 3600.0


class Chain:
    """The work of one process for all connections. Every step is done again if the process dies in it."""

    def __init__(self, server: Server, connections: Connections, keep_days: int) -> None:
        self._server = server
        self._keep_days = keep_days
        self.connections = connections
        self.inbox = Inbox(server, connections, self.wake)
        self.outbox = Outbox(server, connections)
        self.poller = Poller(server, connections, self.inbox)
        self._wakes = (asyncio.Event(), asyncio.Event(), asyncio.Event(), asyncio.Event())
        self._stopped = False
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to work."""
        work = (self._deliver, self._tell, self._poll, self._prune)
        for wake, each in zip(self._wakes, work, strict=True):
            self._tasks.append(asyncio.create_task(self._run(each, wake)))

    def wake(self) -> None:
        """There is something to do."""
        for event in self._wakes[:3]:
            event.set()

    async def close(self) -> None:
        """Stop after what runs now."""
        self._stopped = True
        for event in self._wakes:
            event.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.inbox.close()

    async def _run(self, work: Callable[[], Awaitable[float]], wake: asyncio.Event) -> None:
        while not self._stopped:
            wake.clear()
            try:
                wait = await work()
            except Exception:
                log.exception("chain_failed", work=work.__name__)
                wait = LOOK
            if wait and not self._stopped:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(wake.wait(), wait)

    async def _deliver(self) -> float:
        """Apply what is due."""
        if await self.inbox.work(AT_ONCE):
            self._wakes[1].set()
            return 0.0
        return LOOK

    async def _tell(self) -> float:
        return 0.0 if await self.outbox.work(AT_ONCE) else LOOK

    async def _poll(self) -> float:
        if await self.poller.work():
            self.wake()
        return LOOK

    async def _prune(self) -> float:
        """Forget deliveries that are done and old."""
        if self._keep_days:
            async with self._server.database.write() as tx:
                before = await tx.now() - timedelta(days=self._keep_days)
                old = models.Delivery.filter(state__in=["done", "discarded"], received_at__lt=before)
                ids = await old.limit(1000).values_list("id", flat=True)
                await models.DeliveryOrder.filter(delivery_id__in=ids).delete()
                await models.Delivery.filter(id__in=ids).delete()
            if len(ids) == 1000:
                return 0.0
        return PRUNE_EVERY
