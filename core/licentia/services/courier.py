"""The worker that tells endpoints of events: it gives them deliveries, sends these, and sends again.

Several processes do it at once. Each event becomes a delivery in the transaction that moves the endpoint's
cursor, and each attempt is claimed before and settled after: whoever dies anywhere, nothing is lost, and
what was on its way is sent again under the same id.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta

import msgspec
import structlog

from licentia.domain.webhooks import Answer, Message
from licentia.services.posting import Post
from licentia.storage import eventlog, webhookstore
from licentia.storage.database import Database, is_database_error
from licentia.storage.retrying import persist
from licentia.storage.webhook_models import Webhook, WebhookDelivery

log = structlog.get_logger(__name__)

EVERY = 1.0
"""Seconds between two looks for something to do."""

AFTER_FAULT = 5.0
"""Seconds until the next look when the database did not answer."""

AT_ONCE = 4
"""How many attempts at one endpoint run at once in a process; while it fails there is one."""

GRACE = 5.0
"""How many seconds attempts have to end when the server ends; they are made again otherwise."""

FIRST_SWEEP, SWEEP = 60.0, 3600.0
"""Seconds until the first look for deliveries that are kept no longer, and between two."""

SWEPT = 1000
"""How many of them are deleted at once at most."""


class Courier:
    """The work of one process.

    Args:
        keep_days: how long settled deliveries are kept.
    """

    def __init__(self, database: Database, post: Post, keep_days: int) -> None:
        self._database = database
        self._post = post
        self._keep = timedelta(days=keep_days)
        self._stopped = False
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._sending: dict[str, set[asyncio.Task[None]]] = {}
        self._attempts: set[asyncio.Task[Answer]] = set()
        self._sweeps_at = 0.0

    def start(self) -> None:
        """Begin to work, the first time soon."""
        self._sweeps_at = asyncio.get_running_loop().time() + FIRST_SWEEP
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop: attempts that do not end soon are given back."""
        self._stopped = True
        self._woken.set()
        if self._task is not None:
            await self._task
        running = [task for tasks in self._sending.values() for task in tasks]
        if running:
            await asyncio.wait(running, timeout=GRACE)
            for attempt in self._attempts:
                attempt.cancel()
            await asyncio.wait(running)

    async def _run(self) -> None:
        wait = EVERY
        while not await self._stopped_within(wait):
            try:
                await self._look()
                wait = EVERY
            except Exception as error:
                if is_database_error(error):
                    log.warning("webhooks_wait_for_the_database", error=type(error).__name__)
                else:
                    log.exception("webhooks_not_sent")
                wait = AFTER_FAULT

    async def _stopped_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        if not self._stopped:
            self._woken.clear()
        return self._stopped

    async def _look(self) -> None:
        async with self._database.read() as connection:
            endpoints = await Webhook.filter(state="enabled").order_by("id")
            end = await eventlog.end(connection) if endpoints else ""
        for webhook in endpoints:
            if webhook.cursor != end:
                await self._give(webhook)
        if endpoints:
            async with self._database.read() as connection:
                due = await webhookstore.due(connection)
            for webhook in endpoints:
                if webhook.id in due:
                    await self._send(webhook)
        await self._sweep()

    async def _give(self, webhook: Webhook) -> None:
        """Make the deliveries of the next events."""
        async with self._database.read() as connection:
            unread = await webhookstore.unread(webhook, connection)
        if unread is None:
            return
        events, cursor = unread

        async def give() -> None:
            async with self._database.write() as tx:
                await webhookstore.give(webhook, events, cursor, tx)

        await persist(give)
        if len(events) == webhookstore.PAGE:
            self._woken.set()

    async def _send(self, webhook: Webhook) -> None:
        """Begin as many attempts at an endpoint as may run."""
        sending = self._sending.setdefault(webhook.id, set())
        free = (AT_ONCE if webhook.failing_since is None else 1) - len(sending)
        if free <= 0:
            return

        async def claim() -> list[tuple[Webhook, WebhookDelivery]]:
            async with self._database.write() as tx:
                return await webhookstore.claim(webhook.id, free, tx)

        for current, delivery in await persist(claim):
            task = asyncio.create_task(self._deliver(current, delivery))
            sending.add(task)
            task.add_done_callback(sending.discard)
            task.add_done_callback(lambda _: self._woken.set())

    async def _deliver(self, webhook: Webhook, delivery: WebhookDelivery) -> None:
        """Make one attempt and write down what came of it."""
        message = Message(id=delivery.id, kind=delivery.kind, at=delivery.at, data=msgspec.Raw(delivery.data.encode()))
        attempt = asyncio.create_task(self._post.send(webhook, message))
        self._attempts.add(attempt)
        attempt.add_done_callback(self._attempts.discard)
        try:
            answer: Answer | None = await attempt
        except asyncio.CancelledError:
            answer = None  # the server ends; this task itself is never cancelled, as it writes
        except Exception:
            log.exception("webhook_attempt_broken", webhook_id=webhook.id, delivery_id=delivery.id)
            answer = Answer(problem="Something failed inside the server.")

        async def settle() -> None:
            async with self._database.write() as tx:
                if answer is None:
                    await webhookstore.release(delivery, tx)
                else:
                    await eventlog.append(tx, await webhookstore.settle(delivery, answer, tx))

        try:
            await persist(settle)
        except Exception:
            # The claim ends by itself, and the attempt is made again.
            log.exception("webhook_attempt_not_kept", webhook_id=webhook.id, delivery_id=delivery.id)
            return
        if answer is not None and not answer.good:
            told = {"status": answer.status, "attempt": delivery.attempts + 1}
            log.warning("webhook_not_delivered", webhook_id=webhook.id, delivery_id=delivery.id, **told)

    async def _sweep(self) -> None:
        """Delete what is kept no longer, now and then."""
        time = asyncio.get_running_loop().time()
        if time < self._sweeps_at:
            return
        self._sweeps_at = time + SWEEP

        async def sweep() -> int:
            async with self._database.write() as tx:
                return await webhookstore.forget(await tx.now() - self._keep, SWEPT)

        while not self._stopped and await persist(sweep) >= SWEPT:
            continue
