"""A change that a business system told becomes the state of an order, in one transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from hashlib import sha256
from typing import Any, Literal, NamedTuple

import msgspec

from licentia.connectors import Change, Outcome, WriteBack
from licentia.contract.licenses import WithdrawLicense
from licentia.contract.orders import Customer, OrderLine
from licentia.domain.articles import Rule, candidates, choose, units
from licentia.domain.ledger import STATES, Ledger, Parked, begin_with, tell
from licentia.domain.naturalkeys import natural, printable
from licentia.errors import Conflict, InvalidRequest, ProductUnknown
from licentia.services.connections import Connection
from licentia.services.context import Context, new_id
from licentia.services.licenses import withdraw_license
from licentia.services.orders import Placing, cancel, place
from licentia.services.products import known_skus
from licentia.services.renewals import extend, lock_for_renewal
from licentia.storage import connector_models, models

LONGEST_PROBLEM = 2000
"""Characters of a reason that are kept."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one change.

    `order_number` is the order's as the system writes it. `ignored` says in `problem` why nothing is
    licensed; `stale`, that something newer is known.
    """

    kind: str
    order_number: str
    state: Literal["applied", "stale", "ignored", "parked"]
    ticket: str | None = None
    code: str | None = None
    problem: str | None = None
    awaits: str | None = None

    @property
    def outcome(self) -> Outcome:
        """What the system is told."""
        return Outcome(order_number=self.order_number, ticket=self.ticket, problem=self.problem)


class Articles(NamedTuple):
    """The rules for some articles, and those that are the SKU of a product."""

    rules: Collection[Rule]
    products: Collection[str]


async def apply(connection: Connection, change: Change, at: datetime, delivery_id: str, context: Context) -> Result:
    """Apply one change that came at an instant.

    Raises:
        Parked: it cannot be applied as it is told; the transaction is of no use then.
    """
    if await _only_named(connection, change, context):
        return Result(kind=change.kind, order_number=change.origin or "", state="ignored")
    row, ledger, part = await _find(connection, change, context)
    begins = change.kind == "renewed" and not ledger.placed and row.order_number == natural(change.order_number)
    if begins:
        change = msgspec.structs.replace(change, kind="placed")
    if ledger.is_stale(change, at):
        known = await models.Order.get_or_none(source=connection.name, order_number=row.order_number)
        ticket = None if known is None else await _ticket(known)
        return Result(kind=change.kind, order_number=ledger.number, state="stale", ticket=ticket)
    if change.kind in ("renewed", "returned"):
        await lock_for_renewal(connection.name, row.order_number, context)
    before, was_over = msgspec.json.encode(ledger), ledger.over
    renewed_before, all_renewed = {line_id: ledger.renewals(line_id) for line_id in ledger.lines}, ledger.renewals("")
    tell(ledger, change, at, part=part)
    if begins:
        begin_with(ledger, change)
    await _adopt(connection.name, row, ledger, change)
    renewed_before = dict.fromkeys(ledger.lines, all_renewed) | renewed_before
    result = await _made(connection, row.order_number, change, ledger, renewed_before, context, was_over=was_over)
    row.ledger = msgspec.json.encode(ledger).decode()
    await row.save(update_fields=["ledger"])
    await _refer(connection.name, row.order_number, ledger, change, part, context)
    await _tell_system(connection, row.order_number, result, context)
    if row.ledger.encode() != before:
        record_applied(row, change, result, delivery_id, context)
    return result


def record_applied(
    row: connector_models.SourceOrder, change: Change, result: Result, delivery_id: str, context: Context
) -> None:
    """Note what came of a change."""
    told: dict[str, Any] = {"version": change.version} if change.version else {}
    context.record(
        "delivery.applied",
        source=row.connection,
        order_number=row.order_number,
        delivery_id=delivery_id,
        told=change.kind,
        document=change.order_number,
        result=result.problem or result.state,
        **told,
    )


async def park(connection: Connection, change: Change, parked: Parked, delivery_id: str, context: Context) -> Result:
    """Say of a change that it waits for a person, or for another order."""
    number = change.origin if change.kind in ("returned", "renewed") and change.origin else change.order_number
    result = Result(
        kind=change.kind,
        order_number=number,
        state="parked",
        code=parked.code,
        problem=str(parked)[:LONGEST_PROBLEM],
        awaits=None if parked.awaits is None else natural(parked.awaits),
    )
    context.record(
        "delivery.parked",
        source=connection.name,
        order_number=natural(number),
        delivery_id=delivery_id,
        told=change.kind,
        code=parked.code,
        problem=result.problem,
    )
    if parked.awaits is None:
        await _tell_system(connection, natural(number), result, context)
    return result


async def _find(
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


async def _ends_a_part(connection: Connection, change: Change) -> bool:
    """Whether it is the end of a part of an order that nobody knows."""
    if (
        change.kind != "cancelled"
        or connection.connector.changed_places
        or change.origin in (None, change.order_number)
    ):
        return False
    return await _referred(connection.name, natural(change.origin or "")) is None


async def _adopt(connection: str, row: connector_models.SourceOrder, ledger: Ledger, change: Change) -> None:
    """Take over that a part or a renewal of the order ended, where that was told before."""
    number = change.origin if change.kind in STATES else change.order_number
    other = await _order(connection, natural(number)) if number else None
    early = None if other is None or other.id == row.id else _ledger(other)
    if other is not None and early is not None and early.early is not None and not early.placed:
        at = early.seen[early.key(early.early)].at
        if not ledger.is_stale(early.early, at):
            tell(ledger, early.early, at, part=True)
        await other.delete()


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


async def _only_named(connection: Connection, change: Change, context: Context) -> bool:
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


async def _opened(connection: Connection, change: Change, context: Context) -> connector_models.SourceOrder:
    return await connector_models.SourceOrder.create(
        id=new_id("src"),
        connection=connection.name,
        order_number=natural(change.order_number),
        ledger=msgspec.json.encode(Ledger(number=change.order_number)).decode(),
    )


def _ledger(row: connector_models.SourceOrder) -> Ledger:
    return msgspec.json.decode(row.ledger, type=Ledger)


async def _made(
    connection: Connection,
    number: str,
    change: Change,
    ledger: Ledger,
    renewed_before: dict[str, int],
    context: Context,
    *,
    was_over: bool,
) -> Result:
    """Make the order what its ledger comes to. What its system had ended may go on; what the vendor cancelled stays."""
    found = await models.Order.filter(source=connection.name, order_number=number).select_for_update().first()
    if ledger.over and not _is_ignored(connection, ledger):
        if found is not None:
            await cancel(found, None, context)
            await _reclaim(connection, found, context)
        return applied(change, ledger, None if found is None else await _ticket(found))
    articles = await articles_of(connection.name, [ledger])
    wanted = wanted_of(connection, number, change, ledger, articles, known=found is not None)
    if isinstance(wanted, Result):
        return wanted
    wanted = msgspec.structs.replace(wanted, reopens=was_over)
    before = set() if found is None else set(await _licenses(found))
    try:
        order, _ = await place(wanted, context)
    except (Conflict, InvalidRequest, ProductUnknown) as refusal:
        raise Parked(refusal.code, str(refusal)) from refusal
    renewed = {natural(line_id): ledger.renewals(line_id) for line_id in ledger.lines}
    fresh = {id for id in await _licenses(order) if id not in before}
    await extend(order, renewed, {natural(line): count for line, count in renewed_before.items()}, fresh, context)
    await _reclaim(connection, order, context)
    return applied(change, ledger, await _ticket(order))


def applied(change: Change, ledger: Ledger, ticket: str | None) -> Result:
    """It is as it was told."""
    return Result(kind=change.kind, order_number=ledger.number, state="applied", ticket=ticket)


def wanted_of(
    connection: Connection, number: str, change: Change, ledger: Ledger, articles: Articles, *, known: bool
) -> Placing | Result:
    """What an order is to be by its ledger, or why nothing is licensed; `known`: it was licensed before.

    Raises:
        Parked: an article or the customer is not known.
    """

    def ignored(problem: str | None) -> Result:
        return Result(kind=change.kind, order_number=ledger.number, state="ignored", problem=problem)

    if _is_ignored(connection, ledger):
        return ignored("This is a test order: nobody paid for it, so nothing is licensed.")
    lines = _lines(ledger, articles)
    if not lines and not known:
        return ignored("Nothing in this order is licensed." if ledger.placed else None)
    if ledger.customer is None:
        raise Parked("customer_missing", f"Order {ledger.number!r} does not tell who bought.")
    return Placing(
        source=connection.name,
        order_number=number,
        customer=_customer(ledger),
        lines=lines,
        test=ledger.test,
    )


def _is_ignored(connection: Connection, ledger: Ledger) -> bool:
    return ledger.test and connection.options.test_orders == "ignore"


async def articles_of(connection: str, ledgers: Iterable[Ledger]) -> Articles:
    """What is known of the articles of these orders that are looked at for the first time."""
    unknown = [line for ledger in ledgers for line in ledger.lines.values() if not line.known]
    numbers = {number for line in unknown for number in candidates(line)}
    return Articles(await rules_of(connection, numbers), await known_skus(numbers)) if numbers else Articles([], set())


def _lines(ledger: Ledger, articles: Articles) -> list[OrderLine]:
    """The lines of the order, of products of ours."""
    problems = []
    for line_id, line in ledger.lines.items():
        if line.known:
            continue
        if (chosen := choose(line, articles.rules, articles.products)) is None:
            problems.append(f"line {line_id!r}: {' or '.join(map(repr, candidates(line))) or 'no article number'}")
        else:
            line.known, (line.sku, line.factor) = True, chosen
    if problems:
        raise Parked("product_unknown", f"No product is known for {'; '.join(problems)}.")
    lines = []
    for line_id, pieces in ledger.quantities().items():
        line = ledger.lines[line_id]
        if line.sku is not None and (count := units(line_id, line, pieces)):
            lines.append(OrderLine(line_id=natural(line_id), sku=line.sku, quantity=count))
    return lines


async def rules_of(connection: str, articles: Iterable[str]) -> list[Rule]:
    """The rules for these articles, of the connection and of all."""
    rows = await connector_models.SkuMapping.filter(connection__in=[connection, ""], article__in=[*articles])
    return [rule_of(row) for row in rows]


def rule_of(row: connector_models.SkuMapping) -> Rule:
    """A row as a rule."""
    return Rule(
        connection=row.connection,
        article=row.article,
        options=msgspec.json.decode(row.options, type=dict[str, str]),
        sku=row.sku,
        factor=row.factor,
    )


def _customer(ledger: Ledger) -> Customer:
    assert ledger.customer is not None
    told = ledger.customer
    return Customer(id=natural(told.id), name=printable(told.name, 200), email=printable(told.email, 254))


async def _licenses(order: models.Order) -> list[str]:
    return [license.id for license in await models.License.filter(order_id=order.id).only("id")]


async def _ticket(order: models.Order) -> str:
    return (await models.Ticket.get(order_id=order.id)).code


async def _reclaim(connection: Connection, order: models.Order, context: Context) -> None:
    """Withdraw licenses of which nothing is paid for any more, if the vendor has said so."""
    if connection.options.reclaim != "withdraw":
        return
    for license in await models.License.filter(order_id=order.id, standing="live", to_reclaim__gt=0).order_by("id"):
        if license.to_reclaim == license.quantity:
            taken = WithdrawLicense(license_id=license.id, reason="no longer paid for", mode="at_next_contact")
            await withdraw_license(taken, context)


async def take_turns(connection: str, numbers: Iterable[str], context: Context) -> None:
    """Wait for whoever else says or asks in this moment whether these orders are known."""
    keys = (int.from_bytes(sha256(f"{connection} {number}".encode()).digest()[:7]) for number in numbers)
    await context.tx.take_turns(*keys)


async def _refer(connection: str, number: str, ledger: Ledger, change: Change, part: bool, context: Context) -> None:
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


async def _wake(connection: str, numbers: Iterable[str], context: Context) -> None:
    """Have tried again what waits for one of these orders."""
    waiting = connector_models.Delivery.filter(connection=connection, state="parked", awaits__in=[*numbers])
    await waiting.update(state="waiting", awaits=None, attempts=0, due_at=await context.tx.now())


async def _tell_system(connection: Connection, number: str, result: Result, context: Context) -> None:
    """Have the system told what came of its order, if it can be told, and it is something new."""
    told = result.ticket or result.problem
    if not told or not isinstance(connection.connector, WriteBack) or not connection.connector.connected:
        return
    outcome = msgspec.json.encode(result.outcome).decode()
    now = await context.tx.now()
    rows = connector_models.WriteBack.filter(connection=connection.name, order_number=number)
    row = await rows.select_for_update().first()
    if row is None:
        await connector_models.WriteBack.create(
            id=new_id("wrb"),
            connection=connection.name,
            order_number=number,
            outcome=outcome,
            state="waiting",
            due_at=now,
        )
    elif row.outcome != outcome or row.state == "dead":
        await rows.update(outcome=outcome, state="waiting", due_at=now, attempts=0, problem=None)
