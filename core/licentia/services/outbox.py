"""Telling business systems what came of their orders, again and again until they have it."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta

import msgspec
import structlog

from licentia.connectors import Outcome, WriteBack
from licentia.errors import LicensingError
from licentia.services.connections import Connections
from licentia.services.context import Context
from licentia.services.identity import Caller
from licentia.services.inbox import LONGEST_WAIT, MOST_TRIES, Server, claim
from licentia.storage import connector_models as models

log = structlog.get_logger(__name__)


class Outbox:
    """What all connections are to be told: each order's newest outcome, once it differs from what was written."""

    def __init__(self, server: Server, connections: Connections) -> None:
        self._server = server
        self._connections = connections
        self._writing: set[str] = set()

    async def work(self, most: int) -> int:
        """Write some outcomes that are due; how many there were."""
        ids = await claim(self._server.database, "write_back", most)
        await asyncio.gather(*(self._write(id) for id in ids if id not in self._writing), return_exceptions=True)
        return len(ids)

    async def _write(self, id: str) -> None:
        self._writing.add(id)
        try:
            await self._written(id)
        finally:
            self._writing.discard(id)

    async def _written(self, id: str) -> None:
        async with self._server.database.read():
            row = await models.WriteBack.get(id=id)
        problem = await self._tried(row)

        async def work(context: Context) -> None:
            now = await context.tx.now()
            mine = models.WriteBack.filter(id=id, outcome=row.outcome)
            if not await mine.exists():
                # A newer one came meanwhile. It is written after this one, also if somebody else wrote it before.
                await models.WriteBack.filter(id=id).update(state="waiting", due_at=now)
                return
            if problem is None:
                if await mine.update(state="written", due_at=None, problem=None, written_at=now):
                    context.record("order.written_back", source=row.connection, order_number=row.order_number)
                return
            dead = row.attempts >= MOST_TRIES
            wait = min(LONGEST_WAIT, 2 ** min(row.attempts, 20)) * random.uniform(0.8, 1.2)  # noqa: S311
            due_at = None if dead else now + timedelta(seconds=wait)
            state = "dead" if dead else "waiting"
            await mine.update(state=state, attempts=row.attempts + 1, due_at=due_at, problem=problem)
            if row.attempts == 0 or dead:
                kind = "order.write_back_dead" if dead else "order.write_back_failed"
                context.record(kind, source=row.connection, order_number=row.order_number, problem=problem)

        caller = Caller(actor=f"connector:{row.connection}", scopes=frozenset())
        await self._server.finish(self._server.transact(work, caller))

    async def _tried(self, row: models.WriteBack) -> str | None:
        """Write it; why that failed, if it did."""
        try:
            connection = await self._connections.get(row.connection)
            if not isinstance(connection.connector, WriteBack):
                return f"The connector {connection.plugin!r} writes nothing back."
            await connection.connector.write_back(msgspec.json.decode(row.outcome, type=Outcome))
        except LicensingError as error:
            return str(error)
        except Exception as error:
            log.exception("write_back_failed", connection=row.connection, order_number=row.order_number)
            return f"It failed here with {type(error).__name__}."
        return None
