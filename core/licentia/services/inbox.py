"""What business systems send: authenticated, kept before it is answered, then understood and applied."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Literal, Protocol, TypeVar

import msgspec
import structlog

from licentia.connectors import Answer, Answering, Change, Delivery, Fetching, Handshake
from licentia.domain.instants import to_micros
from licentia.domain.ledger import Parked
from licentia.domain.naturalkeys import natural
from licentia.errors import InternalError, InvalidRequest, LicensingError, NotFound, Unavailable
from licentia.services.applying import Result, apply, park
from licentia.services.connections import Connection, Connections, key_of, secrets_in
from licentia.services.context import Context, new_id
from licentia.services.identity import Caller
from licentia.services.source_orders import take_turns
from licentia.storage import connector_models as models
from licentia.storage.database import Database

T = TypeVar("T")
log = structlog.get_logger(__name__)

CLAIMED = timedelta(seconds=90)
"""How long a delivery is its taker's; then another process may look after it."""
LONGEST_WAIT = 600
"""Seconds between two tries at most."""
MOST_TRIES = 10 + 7 * 24 * 3600 // LONGEST_WAIT
"""Tries of about a week, after which a delivery that cannot be loaded is a dead letter."""
ANSWER_WITHIN = 4.0
"""Seconds after which a system that waits for a ticket is asked to come again; shops wait for five."""
MASK = "***"
SHORTEST_MASKED = 8
"""Characters of a secret that is masked in what is kept: a shorter one may be part of an article's number, too."""
HIDDEN = frozenset({"authorization", "cookie", "proxy-authorization", "x-api-key"})


class Server(Protocol):
    """What the inbox needs of the application."""

    database: Database

    async def transact(self, work: Callable[[Context], Awaitable[T]], caller: Caller) -> T:
        """Do a piece of work in one transaction."""

    async def finish(self, work: Any) -> Any:
        """Do it to its end, whatever becomes of the caller."""


class Inbox:
    """The deliveries of all connections. Several processes may work on one database."""

    def __init__(self, server: Server, connections: Connections, wake: Callable[[], None]) -> None:
        self._server = server
        self._connections = connections
        self._wake = wake
        self._processing: dict[str, asyncio.Task[tuple[Result, ...]]] = {}

    async def receive(self, connection: Connection, delivery: Delivery) -> Answer:
        """Take what a system sent, and answer it.

        Raises:
            Unauthenticated: it is not from that system.
            Unavailable: it cannot be kept, or its outcome not told in time; the system has to send it again.
        """
        connector = connection.connector
        if isinstance(connector, Handshake) and (answer := connector.handshake(delivery)) is not None:
            return answer
        await connector.authenticate(delivery)
        answering = connector if isinstance(connector, Answering) else None
        waits = answering is not None and answering.waits
        id = (await self.keep(connection, [delivery], "sent", claimed=waits))[0]
        if answering is None or not answering.waits:
            self._wake()
            return answering.answer(delivery, ()) if answering else Answer()
        try:
            outcomes = await asyncio.wait_for(asyncio.shield(self.process(id)), ANSWER_WITHIN)
        except TimeoutError:
            raise Unavailable(
                "The order is kept, but not ready in time.", help="Send it again: the answer is the same.",
                retry_after_seconds=5,
            ) from None  # fmt: skip
        return answering.answer(delivery, tuple(result.outcome for result in outcomes if result.order_number))

    async def keep(
        self, connection: Connection, deliveries: Sequence[Delivery], way: str, *, claimed: bool = False,
        cursor: str | None = None,
    ) -> list[str]:  # fmt: skip
        """Keep deliveries, each once; their ids, also of those that were there. `cursor` is kept along with them."""
        given = [(key_for(connection, each), each) for each in deliveries]

        async def work(context: Context) -> list[str]:
            now = await context.tx.now()
            known = models.Delivery.filter(connection=connection.name, key__in=[key for key, _ in given])
            ids: dict[str, str] = dict(await known.values_list("key", "id"))
            before = len(ids)
            for key, delivery in given:
                if key in ids:
                    continue
                ids[key] = new_id("dlv")
                due_at = now + CLAIMED if claimed else now
                await models.Delivery.create(**row_of(connection, ids[key], key, delivery, way), due_at=due_at)
                context.record("delivery.received", connection=connection.name, delivery_id=ids[key], way=way)
            if cursor is not None:
                wait = 0 if len(ids) > before else connection.options.poll_seconds
                await models.Poll.filter(connection=connection.name).update(
                    cursor=cursor, polled_at=now, attempts=0, problem=None, due_at=now + timedelta(seconds=wait)
                )
            return [ids[key] for key, _ in given]

        kept: list[str] = await self._server.finish(self._server.transact(work, caller_of(connection)))
        return kept

    def process(self, id: str) -> asyncio.Task[tuple[Result, ...]]:
        """Understand and apply one delivery; in this process by one task at a time."""
        task = self._processing.get(id)
        if task is None:
            task = self._processing[id] = asyncio.create_task(self._server.finish(self._process(id)))
            task.add_done_callback(lambda _: self._processing.pop(id, None))
        return task

    async def replay(self, id: str, caller: Caller) -> tuple[Result, ...]:
        """Try a delivery again now, whatever became of it before."""

        async def work(context: Context) -> None:
            now = await context.tx.now()
            await models.Delivery.filter(id=id).update(state="waiting", attempts=0, awaits=None, due_at=now + CLAIMED)
            context.record("delivery.replayed", delivery_id=id)

        await self._server.finish(self._server.transact(work, caller))
        return await asyncio.shield(self.process(id))

    async def rehearse(self, row: models.Delivery) -> list[Result]:
        """What would come of a delivery now, without doing it."""
        try:
            connection = await self._connections.get(row.connection)
            meant = await self._meant(connection, row)
        except LicensingError as error:
            return [Result(kind="", order_number="", state="parked", code=error.code, problem=str(error))]
        results = []
        for change, at in meant:
            try:
                work = partial(_rehearsed, connection, change, at or row.received_at, row.id)
                await self._server.finish(self._server.transact(work, caller_of(connection)))
            except _Rehearsed as rehearsed:
                results.append(rehearsed.result)
            except Parked as parked:
                number = change.origin or change.order_number
                result = Result(
                    kind=change.kind, order_number=number, state="parked", code=parked.code, problem=str(parked)
                )
                results.append(result)
        return results

    async def work(self, most: int) -> int:
        """Process some deliveries that are due; how many there were."""
        ids = await claim(self._server.database, "delivery", most)
        await asyncio.gather(*(self.process(id) for id in ids), return_exceptions=True)
        return len(ids)

    async def _process(self, id: str) -> tuple[Result, ...]:
        async with self._server.database.read():
            row = await models.Delivery.get(id=id)
        if row.state in ("done", "discarded"):
            return msgspec.json.decode(row.results, type=tuple[Result, ...])
        results: list[Result] = []
        try:
            connection = await self._connections.get(row.connection)
            at = row.received_at
            for change, told_at in await self._meant(connection, row):
                results.append(await self._applied(connection, change, told_at or at, id))
        except (InvalidRequest, NotFound) as error:
            results = [Result(kind="", order_number="", state="parked", code=error.code, problem=str(error))]
        except Unavailable as error:
            return await self._later(row, str(error))
        except Exception as error:
            log.exception("delivery_failed", delivery_id=id, connection=row.connection)
            problem = error.detail if isinstance(error, LicensingError) else InternalError("It failed here.").detail
            return await self._later(row, problem)
        await self._ended(row, results)
        return tuple(results)

    async def _meant(self, connection: Connection, row: models.Delivery) -> list[tuple[Change, datetime | None]]:
        """The changes that a delivery means, those it points to loaded; each with the time it was loaded."""
        connector, delivery = connection.connector, _delivery(row)
        found: list[tuple[Change, datetime | None]] = []
        for change in connector.normalise(delivery):
            if change.kind != "pointer":
                found.append((change, None))
                continue
            assert isinstance(connector, Fetching)
            for fetched in await connector.fetch(change.pointer or ""):
                meant = connector.normalise(fetched)
                found += [(each, fetched.received_at) for each in meant if each.kind != "pointer"]
        return found

    async def _applied(self, connection: Connection, change: Change, at: datetime, id: str) -> Result:
        caller = caller_of(connection)
        try:
            return await self._server.transact(lambda context: apply(connection, change, at, id, context), caller)
        except Parked as parked:
            refusal = parked
        return await self._server.transact(lambda context: park(connection, change, refusal, id, context), caller)

    async def _ended(self, row: models.Delivery, results: list[Result]) -> None:
        parked = next((each for each in results if each.state == "parked"), None)
        awaits = next((each.awaits for each in results if each.awaits), None)
        state = "done" if parked is None else "parked"

        async def work(context: Context) -> None:
            if awaits is not None:
                await take_turns(row.connection, [awaits], context)
            await models.Delivery.filter(id=row.id).update(
                state=state,
                results=msgspec.json.encode(results).decode(),
                problem=parked and parked.problem,
                awaits=awaits,
                due_at=None,
            )
            numbers = {natural(each.order_number) for each in results if each.order_number}
            known = models.DeliveryOrder.filter(delivery_id=row.id).values_list("order_number", flat=True)
            for number in numbers - set(await known):
                await models.DeliveryOrder.create(connection=row.connection, order_number=number, delivery_id=row.id)
            if parked is not None and not parked.order_number:
                context.record(
                    "delivery.parked", connection=row.connection, delivery_id=row.id, code=parked.code,
                    problem=parked.problem,
                )  # fmt: skip
            if awaits is not None and await is_known(row.connection, awaits):
                # It came while this was looked at.
                wait = timedelta(seconds=min(LONGEST_WAIT, 2**row.attempts)) if row.attempts else timedelta()
                await models.Delivery.filter(id=row.id).update(
                    state="waiting", awaits=None, attempts=row.attempts + 1, due_at=await context.tx.now() + wait
                )

        await self._server.transact(work, Caller(actor=f"connector:{row.connection}", scopes=frozenset()))

    async def _later(self, row: models.Delivery, problem: str) -> tuple[Result, ...]:
        async def work(context: Context) -> None:
            now = await context.tx.now()
            dead = row.attempts >= MOST_TRIES
            wait = min(LONGEST_WAIT, 2 ** min(row.attempts, 20)) * random.uniform(0.8, 1.2)  # noqa: S311
            await models.Delivery.filter(id=row.id).update(
                state="dead" if dead else "waiting",
                attempts=row.attempts + 1,
                due_at=None if dead else now + timedelta(seconds=wait),
                problem=problem,
            )
            if dead:
                context.record("delivery.dead", connection=row.connection, delivery_id=row.id, problem=problem)

        await self._server.transact(work, Caller(actor=f"connector:{row.connection}", scopes=frozenset()))
        return ()

    async def close(self) -> None:
        """Wait for what is being processed."""
        with contextlib.suppress(Exception):
            await asyncio.gather(*self._processing.values(), return_exceptions=True)


class _Rehearsed(Exception):
    """A transaction that is rolled back, with what came of it."""

    def __init__(self, result: Result) -> None:
        super().__init__()
        self.result = result


async def _rehearsed(connection: Connection, change: Change, at: datetime, id: str, context: Context) -> None:
    raise _Rehearsed(await apply(connection, change, at, id, context))


async def claim(database: Database, table: Literal["delivery", "write_back"], most: int) -> list[str]:
    """Take some rows that are due, for a while; who dies leaves them to others."""
    async with database.read() as connection:
        now = to_micros(await connection.now())
        waiting = f"SELECT id FROM {table} WHERE state = 'waiting' AND due_at <= $1"  # noqa: S608
        if not await connection.rows(f"{waiting} LIMIT 1", now):
            return []
    async with database.write() as tx:
        rows = await tx.rows(
            f"UPDATE {table} SET due_at = $2 WHERE id IN"  # noqa: S608
            f" ({waiting} ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED)"
            " RETURNING id",
            now,
            to_micros(await tx.now() + CLAIMED),
            most,
        )
    return [row["id"] for row in rows]


def caller_of(connection: Connection) -> Caller:
    """Who does what a connection told."""
    return Caller(actor=connection.actor, scopes=frozenset())


def row_of(connection: Connection, id: str, key: str, delivery: Delivery, way: str) -> dict[str, Any]:
    """What is kept of a delivery: all but the secrets that are known."""
    secrets = [secret for secret in secrets_in(connection.settings) if len(secret) >= SHORTEST_MASKED]
    headers = {name: MASK if name in HIDDEN else value for name, value in delivery.headers.items()}
    body, url, shown = delivery.body, delivery.url, msgspec.json.encode(headers).decode()
    for secret in secrets:
        body = body.replace(secret.encode(), MASK.encode())
        url, shown = url.replace(secret, MASK), shown.replace(secret, MASK)
    return {
        "id": id,
        "connection": connection.name,
        "key": key,
        "way": way,
        "method": delivery.method,
        "url": url,
        "headers": shown,
        "body": body,
        "pointer": delivery.pointer,
        "received_at": delivery.received_at,
        "results": "[]",
    }


def _delivery(row: models.Delivery) -> Delivery:
    return Delivery(
        body=bytes(row.body),
        received_at=row.received_at,
        headers=msgspec.json.decode(row.headers, type=dict[str, str]),
        method=row.method,
        url=row.url,
        pointer=row.pointer,
    )


async def is_known(connection: str, number: str) -> bool:
    """Whether an order has this number, as its own or another one."""
    return await models.SourceOrder.exists(
        connection=connection, order_number=number
    ) or await models.OrderReference.exists(connection=connection, number=number)


def key_for(connection: Connection, delivery: Delivery) -> str:
    """What a delivery is known by within its connection."""
    try:
        return key_of(connection.connector.delivery_id(delivery))
    except InvalidRequest:  # It is kept all the same, for a person to look at.
        return key_of(hashlib.sha256(delivery.body).hexdigest())
