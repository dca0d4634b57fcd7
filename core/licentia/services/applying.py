"""A change that a business system told becomes the state of an order, in one transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, Literal, NamedTuple

import msgspec

from licentia.connectors import Change, Outcome, WriteBack
from licentia.contract.licenses import WithdrawLicense
from licentia.contract.orders import Customer, OrderLine
from licentia.domain.articles import Rule, candidates, choose, units
from licentia.domain.ledger import Ledger, Parked, begin_with, tell
from licentia.domain.naturalkeys import natural, printable
from licentia.errors import Conflict, InvalidRequest, ProductUnknown
from licentia.services.connections import Connection
from licentia.services.context import Context, new_id
from licentia.services.licenses import withdraw_license
from licentia.services.orders import Placing, cancel, place
from licentia.services.products import known_skus
from licentia.services.renewals import extend, lock_for_renewal
from licentia.services.source_orders import adopt, find, only_named, refer
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
    if await only_named(connection, change, context):
        return Result(kind=change.kind, order_number=change.origin or "", state="ignored")
    row, ledger, part = await find(connection, change, context)
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
    await adopt(connection.name, row, ledger, change)
    renewed_before = dict.fromkeys(ledger.lines, all_renewed) | renewed_before
    result = await _made(connection, row.order_number, change, ledger, renewed_before, context, was_over=was_over)
    row.ledger = msgspec.json.encode(ledger).decode()
    await row.save(update_fields=["ledger"])
    await refer(connection.name, row.order_number, ledger, change, part, context)
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
