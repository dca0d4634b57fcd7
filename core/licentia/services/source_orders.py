"""The orders of business systems, found by any number that these give them or a document of theirs."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

import msgspec

from licentia.connectors import Change
from licentia.domain.ledger import STATES, Ledger, Parked, tell
from licentia.domain.naturalkeys import natural
from licentia.services.connections import Connection
from licentia.services.context import Context, new_id
from licentia.storage import connector_models


async def only_named(connection: Connection, change: Change, context: Context) -> bool:
    """Keep what else is called as its `origin`, if that is all a change tells, and nobody knows that yet."""
    if change.kind != "changed" or change.lines or change.full_snapshot or change.origin in (None, change.order_number):
        return False
    name, number, other = connection.name, natural(change.order_number), natural(change.origin or "")
    for each in (number, other):
        if await _order(name, each) or await _reference(name, each):
            return False
    await take_turns(name, [number], context)
    await connector_models.OrderReference.create(connection=name, number=number, order_number=other)
    await _wake(name, [number], context)
    return True


async def find(
    connection: Connection, change: Change, context: Context
) -> tuple[connector_models.SourceOrder, Ledger, bool]:
    """The order that a change is about, locked, and whether the change is about a part of it."""
    name, number = connection.name, natural(change.order_number)
    if change.kind in ("returned", "renewed"):
        origin = change.origin or change.order_number
        via = await _reference(name, natural(origin))
        found = await _order(name, natural(origin)) or await _referred(name, natural(origin))
        if found is None and change.kind == "renewed" and connection.options.unknown_renewals == "place":
            found = await _order(name, number) or await _opened(connection, change, context)
        if (
            found is None
            and change.kind == "returned"
            and change.full_snapshot
            and change.origin == change.order_number
        ):
            found = await _opened(connection, change, context)
        if found is None:
            awaits = origin if via is None else via.order_number
            raise Parked("origin_unknown", f"Nobody has placed the order {awaits!r} here.", awaits=awaits)
        ledger = _ledger(found)
        if via is not None and via.order_number != found.order_number:
            ledger.names.setdefault(origin, via.order_number)
        return found, ledger, False
    if (found := await _order(name, number)) is not None:
        ledger = _ledger(found)
        if change.kind == "changed" and not ledger.placed and not connection.connector.changed_places:
            raise Parked("order_unknown", f"Nobody has placed the order of {change.order_number!r} here.")
        return found, ledger, False
    found = await _referred(name, number)
    if found is None and change.origin and change.kind != "placed":
        found = await _order(name, natural(change.origin))
        if found is None and change.kind == "changed":
            found = await _referred(name, natural(change.origin))
    if found is not None:
        return found, _ledger(found), True
    places = change.full_snapshot and connection.connector.changed_places and change.customer is not None
    if (change.kind == "changed" and not places) or await _ends_a_part(connection, change):
        awaits = change.origin or change.order_number
        raise Parked("order_unknown", f"Nobody has placed the order {awaits!r} here.", awaits=awaits)
    found = await _opened(connection, change, context)
    return found, _ledger(found), False


async def adopt(connection: str, row: connector_models.SourceOrder, ledger: Ledger, change: Change) -> None:
    """Take over that a part or a renewal of the order ended, where that was told before."""
    number = change.origin if change.kind in STATES else change.order_number
    other = await _order(connection, natural(number)) if number else None
    early = None if other is None or other.id == row.id else _ledger(other)
    if other is not None and early is not None and early.early is not None and not early.placed:
        at = early.seen[early.key(early.early)].at
        if not ledger.is_stale(early.early, at):
            tell(ledger, early.early, at, part=True)
        await other.delete()


async def refer(connection: str, number: str, ledger: Ledger, change: Change, part: bool, context: Context) -> None:
    """Keep the other numbers of the order, and wake what waits for one of them."""
    others = {natural(change.order_number)}
    if change.origin and (part or change.kind in STATES):
        others.add(natural(change.origin))
    others.discard(number)
    await take_turns(connection, [number, *others], context)
    known = await connector_models.OrderReference.filter(connection=connection, number__in=[*others]).values_list(
        "number", flat=True
    )
    fresh = others - set(known)
    await connector_models.OrderReference.bulk_create(
        [connector_models.OrderReference(connection=connection, number=other, order_number=number) for other in fresh]
    )
    await _wake(connection, [number, *others], context)


async def take_turns(connection: str, numbers: Iterable[str], context: Context) -> None:
    """Wait for whoever else says or asks in this moment whether these orders are known."""
    keys = (int.from_bytes(sha256(f"{connection} {number}".encode()).digest()[:7]) for number in numbers)
    await context.tx.take_turns(*keys)


async def _wake(connection: str, numbers: Iterable[str], context: Context) -> None:
    """Have tried again what waits for one of these orders."""
    waiting = connector_models.Delivery.filter(connection=connection, state="parked", awaits__in=[*numbers])
    await waiting.update(state="waiting", awaits=None, attempts=0, due_at=await context.tx.now())


async def _ends_a_part(connection: Connection, change: Change) -> bool:
    """Whether it is the end of a part of an order that nobody knows."""
    if (
        change.kind != "cancelled"
        or connection.connector.changed_places
        or change.origin in (None, change.order_number)
    ):
        return False
    return await _referred(connection.name, natural(change.origin or "")) is None


async def _order(connection: str, number: str) -> connector_models.SourceOrder | None:
    orders = connector_models.SourceOrder.filter(connection=connection, order_number=number)
    return await orders.select_for_update().first()


async def _referred(connection: str, number: str) -> connector_models.SourceOrder | None:
    """The order that has another number, which may be that of one of its documents."""
    reference = await _reference(connection, number)
    if reference is None:
        return None
    found = await _order(connection, reference.order_number)
    if found is None and (reference := await _reference(connection, reference.order_number)) is not None:
        found = await _order(connection, reference.order_number)
    return found


async def _reference(connection: str, number: str) -> connector_models.OrderReference | None:
    return await connector_models.OrderReference.get_or_none(connection=connection, number=number)


async def _opened(connection: Connection, change: Change, context: Context) -> connector_models.SourceOrder:
    return await connector_models.SourceOrder.create(
        id=new_id("src"),
        connection=connection.name,
        order_number=natural(change.order_number),
        ledger=msgspec.json.encode(Ledger(number=change.order_number)).decode(),
    )


def _ledger(row: connector_models.SourceOrder) -> Ledger:
    return msgspec.json.decode(row.ledger, type=Ledger)
