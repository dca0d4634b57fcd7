"""Changes of many orders in one transaction.

They come to the same as by `applying.apply` one after the other, whose rules are used. What is the usual
case of a large file, an order that is new or is as before, is read and written together for all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

import msgspec

from licentia.connectors import Change, WriteBack
from licentia.contract.products import Item
from licentia.domain.instants import to_micros
from licentia.domain.ledger import STATES, Ledger, Parked, tell
from licentia.domain.naturalkeys import natural
from licentia.domain.orders import content_digest
from licentia.errors import InvalidRequest, ProductUnknown
from licentia.services.applying import (
    Result,
    applied,
    apply,
    articles_of,
    park,
    record_applied,
    wanted_of,
)
from licentia.services.connections import Connection
from licentia.services.context import Context, new_id
from licentia.services.orders import Draft, Placing, drafted, insert
from licentia.services.products import items_of
from licentia.services.source_orders import take_turns
from licentia.storage import connector_models
from licentia.storage.statements import Update, Work, Write

# PostgreSQL looks up each of many values in the index if they are a query, and compares all rows with all if not.
SOURCES = """SELECT id, order_number, ledger FROM source_order
WHERE connection = $1 AND order_number IN (SELECT unnest($2::text[])) ORDER BY id FOR UPDATE"""
REFERENCES = "SELECT number FROM order_reference WHERE connection = $1 AND number IN (SELECT unnest($2::text[]))"
ORDERS = """SELECT o.order_number, o.digest, o.cancelled, t.code
FROM purchase_order o JOIN ticket t ON t.order_id = o.id
WHERE o.source = $1 AND o.order_number IN (SELECT unnest($2::text[])) ORDER BY o.id FOR UPDATE OF o"""
WAKE = """UPDATE delivery SET state = 'waiting', awaits = NULL, attempts = 0, due_at = $3
WHERE connection = $1 AND state = 'parked' AND awaits IN (SELECT unnest($2::text[]))"""

Effect = Literal["placed", "changed", "unchanged", "ignored", "parked"]


class Told(NamedTuple):
    """A change, when it came, and with which delivery."""

    change: Change
    at: datetime
    delivery_id: str


class Done(NamedTuple):
    """What came of a change, and whether that is new."""

    result: Result
    effect: Effect


class _Looked(NamedTuple):
    """An order after its change, as far as that is known without writing anything; `ticket` if it was there before."""

    place: int
    row: connector_models.SourceOrder
    ledger: Ledger
    ticket: str | None
    digest: str | None


class _Judged(NamedTuple):
    """What comes of a change, with the order if that is new."""

    done: Done
    draft: Draft | None = None


async def apply_all(connection: Connection, told: Sequence[Told], context: Context) -> list[Done]:
    """Apply changes. One that cannot be applied is parked, and the others are applied all the same."""
    done: dict[int, Done] = {}
    looked, refused = await _look(connection, told, context)
    wanted = await _wanted(connection, told, looked, refused)
    skus = [line.sku for each in looked if isinstance(found := wanted.get(each.place), Placing) for line in found.lines]
    items, now = await items_of(skus), await context.tx.now()
    settled: list[tuple[_Looked, _Judged]] = []
    for each in looked:
        if each.place in wanted:
            try:
                judged = _judged(told[each.place].change, each, wanted[each.place], items, now)
            except Parked as refusal:
                refused[each.place] = refusal
                continue
            if judged is not None:
                settled.append((each, judged))
                done[each.place] = judged.done
    for place, parked in refused.items():
        result = await park(connection, told[place].change, parked, told[place].delivery_id, context)
        done[place] = Done(result, "parked")
    await _write(connection, told, settled, context)
    for place, one in enumerate(told):
        if place not in done:
            done[place] = await _alone(connection, one, context)
    return [done[place] for place in range(len(told))]


async def _look(
    connection: Connection, told: Sequence[Told], context: Context
) -> tuple[list[_Looked], dict[int, Parked]]:
    """The orders that can be looked at together, and what cannot be said of those that are new."""
    if isinstance(connection.connector, WriteBack) and connection.connector.connected:
        return [], {}  # each order's outcome is written back
    counts = Counter(natural(each.change.order_number) for each in told)
    usual = {
        place: number
        for place, each in enumerate(told)
        if counts[number := natural(each.change.order_number)] == 1 and _is_usual(each.change)
    }
    numbers = [*usual.values()]
    rows, found, referred = await _loaded(connection, numbers, context)
    looked, refused = list[_Looked](), dict[int, Parked]()
    for place, number in usual.items():
        change, at, _ = told[place]
        row, order = rows.get(number), found.get(number)
        if row is not None and order is not None:
            ledger = msgspec.json.decode(row.ledger, type=Ledger)
            if order["cancelled"] or not _goes_on(connection, change, at, ledger):
                continue
            each = _Looked(place, row, ledger, order["code"], order["digest"])
        elif row is None and order is None and number not in referred and _opens(connection, change):
            new = connector_models.SourceOrder(id=new_id("src"), connection=connection.name, order_number=number)
            each = _Looked(place, new, Ledger(number=change.order_number), None, None)
        else:
            continue
        try:
            tell(each.ledger, change, at, part=False)
            looked.append(each)
        except Parked as parked:
            if order is None:
                refused[place] = parked
    return looked, refused


async def _loaded(
    connection: Connection, numbers: list[str], context: Context
) -> tuple[dict[str, connector_models.SourceOrder], dict[str, Mapping[str, Any]], set[str]]:
    """What is there of these numbers, locked: ledgers, orders with the code of their ticket, references."""
    rows = await context.tx.rows(SOURCES, connection.name, numbers)
    orders = await context.tx.rows(ORDERS, connection.name, numbers)
    references = await context.tx.rows(REFERENCES, connection.name, numbers)
    return (
        {row["order_number"]: connector_models.SourceOrder(connection=connection.name, **row) for row in rows},
        {row["order_number"]: row for row in orders},
        {row["number"] for row in references},
    )


async def _wanted(
    connection: Connection, told: Sequence[Told], looked: Sequence[_Looked], refused: dict[int, Parked]
) -> dict[int, Placing | Result]:
    """What each order is to be, or why nothing is licensed; what is refused of one that is new is added there."""
    articles = await articles_of(connection.name, [each.ledger for each in looked])
    wanted: dict[int, Placing | Result] = {}
    for each in looked:
        change, known = told[each.place].change, each.ticket is not None
        try:
            wanted[each.place] = wanted_of(
                connection, each.row.order_number, change, each.ledger, articles, known=known
            )
        except Parked as parked:
            if not known:
                refused[each.place] = parked
    return wanted


def _judged(
    change: Change, looked: _Looked, wanted: Placing | Result, items: dict[str, list[Item]], now: datetime
) -> _Judged | None:
    """What comes of a change; None if that is to be found out alone.

    Raises:
        Parked: the order cannot be placed.
    """
    if looked.ticket is not None:
        if isinstance(wanted, Placing) and content_digest(wanted.customer, wanted.lines) == looked.digest:
            return _Judged(Done(applied(change, looked.ledger, looked.ticket), "unchanged"))
        return None
    if isinstance(wanted, Result):
        return _Judged(Done(wanted, "ignored"))
    try:
        draft = drafted(wanted, items, now)
    except (InvalidRequest, ProductUnknown) as refusal:
        raise Parked(refusal.code, str(refusal)) from refusal
    return _Judged(Done(applied(change, looked.ledger, draft.ticket.code), "placed"), draft)


def _is_usual(change: Change) -> bool:
    """Whether it is about an order as a whole, and nothing else."""
    return change.kind in STATES and change.origin in (None, change.order_number)


def _goes_on(connection: Connection, change: Change, at: datetime, ledger: Ledger) -> bool:
    """Whether an order may be as before, if its content is."""
    settled = ledger.placed and not ledger.cancelled
    return settled and not ledger.is_stale(change, at) and connection.options.reclaim == "ask"


def _opens(connection: Connection, change: Change) -> bool:
    """Whether it may be the first that is heard of an order."""
    whole = change.full_snapshot and connection.connector.changed_places and change.customer is not None
    return change.kind == "placed" or whole


async def _write(
    connection: Connection, told: Sequence[Told], settled: Sequence[tuple[_Looked, _Judged]], context: Context
) -> None:
    """Write the orders that are new and all ledgers, and wake what waited for one of them."""
    if not settled:
        return
    numbers = [each.row.order_number for each, _ in settled]
    await take_turns(connection.name, numbers, context)
    await insert([judged.draft for _, judged in settled if judged.draft is not None], context)
    fresh, changed = list[connector_models.SourceOrder](), list[connector_models.SourceOrder]()
    for each, judged in settled:
        each.row.ledger = msgspec.json.encode(each.ledger).decode()
        (fresh if each.ticket is None else changed).append(each.row)
        change, _, delivery_id = told[each.place]
        record_applied(each.row, change, judged.done.result, delivery_id, context)
    await connector_models.SourceOrder.bulk_create(fresh)
    if changed:
        await context.tx.run(_saved(changed))
    await context.tx.rows(WAKE, connection.name, numbers, to_micros(await context.tx.now()))


def _saved(rows: Sequence[connector_models.SourceOrder]) -> Work[None]:
    yield Write((Update("source_order", ("id", "ledger"), [(row.id, row.ledger) for row in rows]),))


async def _alone(connection: Connection, told: Told, context: Context) -> Done:
    """Apply one change, whose failure undoes nothing else."""
    before = len(context.recorded)
    try:
        async with context.tx.savepoint():
            result = await apply(connection, *told, context)
    except Parked as parked:
        del context.recorded[before:]
        return Done(await park(connection, told.change, parked, told.delivery_id, context), "parked")
    if result.state == "ignored":
        return Done(result, "ignored")
    kinds = {each.kind for each in context.recorded[before:]} - {"delivery.applied"}
    return Done(result, "placed" if "order.placed" in kinds else "changed" if kinds else "unchanged")
