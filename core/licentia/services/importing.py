"""Orders of a file, however many: each becomes a delivery as if its system had sent it, a batch in one transaction.

How far the file is done is written in the transactions of the orders themselves, so that an import that
was interrupted goes on exactly where it was.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import itertools
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec

from licentia.connectors import Change, Delivery, Importing, Piece
from licentia.domain.instants import to_micros
from licentia.domain.naturalkeys import natural, printable
from licentia.errors import Conflict, InvalidRequest, LicensingError
from licentia.services.applying import LONGEST_PROBLEM, Result
from licentia.services.batches import Done, Told, apply_all
from licentia.services.connections import Connection
from licentia.services.connectors import flat
from licentia.services.context import Context, new_id
from licentia.services.inbox import Inbox, Server, caller_of, is_known, key_for, row_of
from licentia.storage import connector_models as models
from licentia.storage.statements import Update, Work, Write

T = TypeVar("T")

MOST_TOLD = 100
"""Orders of one kind of failure that are told in full."""
WAY = "imported"
KNOWN = "SELECT id, key FROM delivery WHERE connection = $1 AND key IN (SELECT unnest($2::text[]))"
Tell = Callable[[int, int], None]
"""Is told how many orders are done, of how many."""


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why an order was not placed; `line` is that of the file on which it begins."""

    line: int
    detail: str
    code: str
    order_number: str = ""
    delivery_id: str = ""


class Tally(msgspec.Struct, kw_only=True):
    """What came of the orders so far. `reasons` counts the parked by code; of both lists the first ones are there."""

    placed: int = 0
    changed: int = 0
    unchanged: int = 0
    ignored: int = 0
    parked: int = 0
    illegible: int = 0
    reasons: dict[str, int] = {}
    parked_first: list[Problem] = []
    illegible_first: list[Problem] = []


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a file. `resumed_at`: so many orders had been done by a run before that was interrupted."""

    file: str
    connector: str
    orders: int
    resumed_at: int
    dry_run: bool
    tally: Tally


class _Read(NamedTuple):
    """A piece that was understood."""

    piece: Piece
    delivery: Delivery
    key: str
    changes: Sequence[Change]


class _Rehearsed(Exception):
    """A transaction that is rolled back."""


class Import:
    """One file for one connection."""

    def __init__(self, server: Server, inbox: Inbox, connection: Connection, file: Path, *, dry_run: bool) -> None:
        self._server, self._inbox, self._connection, self._file = server, inbox, connection, file
        self._dry_run = dry_run
        self._id = ""
        self._place = self._resumed_at = 0
        self._tally = Tally()

    async def begin(self, *, restart: bool) -> int:
        """Find out how many of its orders an interrupted run has done; 0 if there was none, or it shall not count.

        Raises:
            Conflict: the connector reads no files.
        """
        if not isinstance(self._connection.connector, Importing):
            raise Conflict(
                f"The connector {self._connection.plugin!r} reads no files of orders.",
                help="`licentia connector list` shows what each can do; one that can says `importing`.",
            )
        self._id = self._identity()
        if self._dry_run:
            return 0

        async def work(context: Context) -> models.OrderImport:
            now = await context.tx.now()
            row = await models.OrderImport.get_or_none(id=self._id)
            if row is not None and not restart and row.ended_at is None:
                return row
            await models.OrderImport.filter(id=self._id).delete()
            row = await models.OrderImport.create(
                id=self._id, connection=self._connection.name, file=self._file.name[:255], place=0,
                tally=_encoded(Tally()), started_at=now, changed_at=now,
            )  # fmt: skip
            context.record("import.started", connection=self._connection.name, file=row.file, import_id=self._id)
            return row

        row = await self._transact(work)
        self._place = self._resumed_at = row.place
        self._tally = msgspec.json.decode(row.tally, type=Tally)
        return self._place

    async def run(self, size: int, tell: Tell) -> Imported:
        """Import what is left, so many orders in a transaction.

        Raises:
            InvalidRequest: it is no file that the connector can cut into orders.
            Conflict: somebody else is importing it.
        """
        connector = self._connection.connector
        assert isinstance(connector, Importing)
        of = self._place
        with self._file.open("rb") as opened:
            pieces = connector.pieces(opened)
            rest = itertools.islice(pieces, self._place, None)
            while batch := [*itertools.islice(rest, size)]:
                of = batch[0].of
                await self._batch(batch)
                tell(self._place, of)
        if not self._dry_run:
            await self._wake()
            await self._transact(self._ended)
        return Imported(
            file=str(self._file), connector=self._connection.name, orders=max(of, self._place),
            resumed_at=self._resumed_at, dry_run=self._dry_run, tally=self._tally,
        )  # fmt: skip

    def _identity(self) -> str:
        """The same for the same file, read in the same way."""
        with self._file.open("rb") as opened:
            content = hashlib.file_digest(opened, "sha256").hexdigest()
        name, settings = self._connection.name, flat(self._connection.settings)
        return hashlib.sha256(msgspec.json.encode((name, settings, content))).hexdigest()

    async def _transact(self, work: Callable[[Context], Awaitable[T]]) -> T:
        done: T = await self._server.finish(self._server.transact(work, caller_of(self._connection)))
        return done

    async def _batch(self, pieces: Sequence[Piece]) -> None:
        read, illegible = self._read(pieces)
        done = self._place + len(pieces)

        async def work(context: Context) -> Tally:
            tally = copy.deepcopy(self._tally)
            for problem in illegible:
                tally.illegible += 1
                _keep(tally.illegible_first, problem)
            here = models.OrderImport.filter(id=self._id, place=self._place)
            if not self._dry_run and not await here.update(place=done, changed_at=await context.tx.now()):
                raise Conflict(
                    f"{self._file.name} is being imported by somebody else.", help="Wait for that, or stop it first."
                )
            await self._apply(read, tally, context)
            if self._dry_run:
                self._tally = tally
                raise _Rehearsed
            await models.OrderImport.filter(id=self._id).update(tally=_encoded(tally))
            return tally

        with contextlib.suppress(_Rehearsed):
            self._tally = await self._transact(work)
        self._place = done

    def _read(self, pieces: Sequence[Piece]) -> tuple[list[_Read], list[Problem]]:
        """What the connector understands of each piece, and what it does not."""
        read, illegible = list[_Read](), list[Problem]()
        connector, now = self._connection.connector, datetime.now(UTC)
        for piece in pieces:
            delivery = Delivery(body=piece.body, pointer=piece.pointer, received_at=now, method="", url="")
            try:
                changes = connector.normalise(delivery)
                if any(change.kind == "pointer" for change in changes):
                    raise InvalidRequest("It only says where else to ask.")
                read.append(_Read(piece, delivery, key_for(self._connection, delivery), changes))
            except LicensingError as error:
                illegible.append(Problem(line=piece.line, code=error.code, detail=error.detail))
        return read, illegible

    async def _apply(self, read: Sequence[_Read], tally: Tally, context: Context) -> None:
        known = await context.tx.rows(KNOWN, self._connection.name, [each.key for each in read])
        ids: dict[str, str] = {row["key"]: row["id"] for row in known}
        there = set(ids)
        told = []
        for each in read:
            ids.setdefault(each.key, new_id("dlv"))
            told += [Told(change, each.delivery.received_at, ids[each.key]) for change in each.changes]
        done = iter(await apply_all(self._connection, told, context))
        fresh, again = list[models.Delivery](), list[models.Delivery]()
        orders = []
        for each in read:
            came = [next(done) for _ in each.changes]
            row = await self._kept(each, ids[each.key], came, context)
            (again if each.key in there else fresh).append(row)
            if each.key not in there:
                numbers = {natural(one.result.order_number) for one in came}
                orders += [
                    models.DeliveryOrder(connection=row.connection, order_number=number, delivery_id=row.id)
                    for number in sorted(numbers)
                ]
            _count(tally, each.piece, came, row)
        await models.Delivery.bulk_create(fresh)
        await models.DeliveryOrder.bulk_create(orders)
        if again:
            await context.tx.run(_saved(again))

    async def _kept(self, read: _Read, id: str, came: Sequence[Done], context: Context) -> models.Delivery:
        """The delivery as the inbox keeps it."""
        results = [one.result for one in came]
        parked = next((each for each in results if each.state == "parked"), None)
        awaits = next((each.awaits for each in results if each.awaits), None)
        state, due_at = "done" if parked is None else "parked", None
        if awaits is not None and await is_known(self._connection.name, awaits):
            state, awaits, due_at = "waiting", None, read.delivery.received_at
        return models.Delivery(
            **row_of(self._connection, id, read.key, read.delivery, WAY)
            | {
                "state": state,
                "awaits": awaits,
                "due_at": due_at,
                "problem": parked and printable(parked.problem, LONGEST_PROBLEM),
                "results": msgspec.json.encode(results).decode(),
            }
        )

    async def _wake(self) -> None:
        """Look again at what waited for an order that came later in the file."""
        seen = set[str]()
        while True:
            async with self._server.database.read():
                waiting = models.Delivery.filter(connection=self._connection.name, way=WAY, state="waiting")
                rows = [row for row in await waiting.only("id", "results") if row.id not in seen]
            if not rows:
                return
            for row in rows:
                seen.add(row.id)
                before = [each for each in msgspec.json.decode(row.results, type=list[Result]) if each.code]
                after = await self._inbox.process(row.id)
                if before and after and not any(each.state == "parked" for each in after):
                    _uncount(self._tally, row.id, str(before[0].code))

    async def _ended(self, context: Context) -> None:
        now = await context.tx.now()
        await models.OrderImport.filter(id=self._id).update(tally=_encoded(self._tally), changed_at=now, ended_at=now)
        counts = {name: value for name, value in msgspec.to_builtins(self._tally).items() if isinstance(value, int)}
        context.record(
            "import.ended", connection=self._connection.name, file=self._file.name[:255], import_id=self._id, **counts
        )


def _count(tally: Tally, piece: Piece, came: Sequence[Done], row: models.Delivery) -> None:
    effects = {one.effect for one in came}
    parked = next((one.result for one in came if one.effect == "parked"), None)
    if parked is not None:
        code = str(parked.code)
        tally.parked += 1
        tally.reasons[code] = tally.reasons.get(code, 0) + 1
        problem = Problem(
            line=piece.line, order_number=parked.order_number, code=code, detail=parked.problem or "",
            delivery_id=row.id,
        )  # fmt: skip
        _keep(tally.parked_first, problem)
    elif "placed" in effects:
        tally.placed += 1
    elif "changed" in effects:
        tally.changed += 1
    elif "unchanged" in effects:
        tally.unchanged += 1
    else:
        tally.ignored += 1


def _uncount(tally: Tally, delivery_id: str, code: str) -> None:
    """It was parked, and is not any more."""
    if tally.reasons.get(code, 0):
        tally.parked, tally.changed = tally.parked - 1, tally.changed + 1
        tally.reasons[code] -= 1
        tally.reasons = {code: count for code, count in tally.reasons.items() if count}
        tally.parked_first = [each for each in tally.parked_first if each.delivery_id != delivery_id]


def _keep(first: list[Problem], problem: Problem) -> None:
    if len(first) < MOST_TOLD:
        first.append(problem)


def _encoded(tally: Tally) -> str:
    return msgspec.json.encode(tally).decode()


def _saved(rows: Sequence[models.Delivery]) -> Work[None]:
    """What is new of deliveries that were kept before."""
    columns = ("id", "state", "awaits", "problem", "results", "due_at", "received_at")
    instants = ("due_at", "received_at")
    values = [
        tuple(
            to_micros(value) if name in instants and (value := getattr(row, name)) is not None else getattr(row, name)
            for name in columns
        )
        for row in rows
    ]
    yield Write((Update("delivery", columns, values),))
