"""Asking business systems what is new, for those that send nothing or lose what they send."""

from __future__ import annotations

import random
from datetime import timedelta

import msgspec
import structlog

from licentia.connectors import Polling
from licentia.domain.instants import from_micros, to_micros
from licentia.errors import Conflict, LicensingError
from licentia.services.connections import Connection, Connections
from licentia.services.inbox import CLAIMED, LONGEST_WAIT, Inbox, Server
from licentia.storage import connector_models as models

log = structlog.get_logger(__name__)


class Polled(msgspec.Struct, frozen=True, kw_only=True):
    """What one poll found: so many documents, and whether there may be more."""

    found: int
    more: bool


class Poller:
    """Polls every connection that can be polled when it is due. Of several processes one does it."""

    def __init__(self, server: Server, connections: Connections, inbox: Inbox) -> None:
        self._server = server
        self._connections = connections
        self._inbox = inbox

    async def work(self) -> int:
        """Poll what is due; how many documents were found."""
        found = 0
        for connection in await self._connections.all():
            if is_polled(connection) and connection.options.poll_seconds and await self._claim(connection):
                try:
                    found += (await self._poll(connection)).found
                except LicensingError as error:
                    log.warning("poll_failed", connection=connection.name, problem=str(error))
                except Exception:
                    log.exception("poll_failed", connection=connection.name)
        return found

    async def poll(self, connection: Connection) -> Polled:
        """Poll one connection now.

        Raises:
            Conflict: its connector polls nothing, or does not know where.
            Unavailable: the system does not answer.
        """
        if not is_polled(connection):
            raise Conflict(
                f"The connection {connection.name!r} is not polled.",
                help="Its connector must be able to, and needs the address of the system and who asks.",
            )
        await self._open(connection)
        return await self._poll(connection)

    async def _claim(self, connection: Connection) -> bool:
        """Take the next poll of a connection, if it is due."""
        async with self._server.database.read() as reading:
            now = to_micros(await reading.now())
            if await models.Poll.exists(connection=connection.name, due_at__gt=from_micros(now)):
                return False
        await self._open(connection)
        async with self._server.database.write() as tx:
            ahead = to_micros(await tx.now() + CLAIMED)
            taken = await tx.rows(
                "UPDATE poll SET due_at = $1 WHERE connection = $2 AND due_at <= $3 RETURNING connection",
                ahead,
                connection.name,
                now,
            )
        return bool(taken)

    async def _open(self, connection: Connection) -> None:
        """Begin at the beginning, if it was never polled."""
        async with self._server.database.write() as tx:
            await tx.rows(
                "INSERT INTO poll (connection, cursor, due_at, attempts) VALUES ($1, '', 0, 0)"
                " ON CONFLICT (connection) DO NOTHING",
                connection.name,
            )

    async def _poll(self, connection: Connection) -> Polled:
        assert isinstance(connection.connector, Polling)
        async with self._server.database.read():
            row = await models.Poll.get(connection=connection.name)
        try:
            page = await connection.connector.poll(row.cursor)
        except LicensingError as error:
            await self._failed(row, str(error))
            raise
        await self._inbox.keep(connection, page.deliveries, "polled", cursor=page.cursor)
        return Polled(found=len(page.deliveries), more=bool(page.deliveries) and page.cursor != row.cursor)

    async def _failed(self, row: models.Poll, problem: str) -> None:
        async with self._server.database.write() as tx:
            wait = min(LONGEST_WAIT, 2 ** min(row.attempts + 1, 20)) * random.uniform(0.8, 1.2)  # noqa: S311
            due_at = await tx.now() + timedelta(seconds=wait)
            polls = models.Poll.filter(connection=row.connection)
            await polls.update(attempts=row.attempts + 1, problem=problem, due_at=due_at)


def is_polled(connection: Connection) -> bool:
    """Whether the system can be asked."""
    return isinstance(connection.connector, Polling) and connection.connector.connected
