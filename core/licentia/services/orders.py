"""Orders: a content comes in, licenses and a ticket go out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from licentia.contract.orders import CancelOrder, CreateOrder, CreateOrderReply, Customer, GetOrder, Order, OrderLine
from licentia.contract.products import Item, Terms
from licentia.contract.types import OrderStatus
from licentia.domain.orders import Held, Issue, Resize, check_lines, content_digest, diff
from licentia.domain.tickets import new_ticket
from licentia.errors import Conflict, FieldProblem, InvalidRequest, NotFound, ProductUnknown
from licentia.services.context import Context, new_id
from licentia.services.products import items_of
from licentia.services.stock import lock_licenses, save_stock, shown, stock_of, terms_of
from licentia.storage import models

MOST_UNITS = 2**53 - 1
"""The largest number that every reader of JSON takes exactly (RFC 8259, section 6)."""


class Placing(msgspec.Struct, frozen=True, kw_only=True):
    """An order as it is to be. `lines` may be none: everything was returned."""

    source: str
    order_number: str
    customer: Customer
    lines: list[OrderLine]
    test: bool = False
    reopens: bool = False


class DraftLicense(NamedTuple):
    """A license that is not written yet, and its units by meter."""

    license: models.License
    meters: dict[str, int]


class Draft(NamedTuple):
    """A new order that is not written yet."""

    wanted: Placing
    order: models.Order
    ticket: models.Ticket
    licenses: list[DraftLicense]


async def create_order(request: CreateOrder, context: Context) -> CreateOrderReply:
    """Place an order or a new version of one; a repeat gives what is there."""
    check_lines(request.lines)
    wanted = Placing(
        source=request.source, order_number=request.order_number, customer=request.customer, lines=request.lines
    )
    order, created = await place(wanted, context)
    return CreateOrderReply(**await _members(order, context), created=created)


async def place(wanted: Placing, context: Context) -> tuple[models.Order, bool]:
    """Make an order what it is to be, and whether it is new; nothing happens if it is so already.

    Raises:
        Conflict: it was cancelled, and this does not reopen it.
        ProductUnknown: a line has a SKU that no product has.
        InvalidRequest: a line comes to more units than a reply can hold.
    """
    digest = content_digest(wanted.customer, wanted.lines)
    orders = models.Order.filter(source=wanted.source, order_number=wanted.order_number)
    order = await orders.select_for_update().first()
    if order is None:
        # Two processes that open one order at once meet at its unique key: the loser's transaction runs
        # again and finds the winner's order.
        draft = drafted(wanted, await items_of(line.sku for line in wanted.lines), await context.tx.now())
        await insert([draft], context)
        return draft.order, True
    if order.cancelled and (order.digest != digest or wanted.reopens):
        if not wanted.reopens:
            raise Conflict(
                f"Order {wanted.order_number!r} was cancelled and takes no new version.",
                help="Place the new content under an order number of its own.",
            )
        order.cancelled, order.digest = False, ""
    if order.digest == digest:
        return order, False
    order.version += 1
    items = await items_of(line.sku for line in wanted.lines)
    _check_skus(wanted.lines, items, await _skus_held(order))
    order.digest = digest
    order.customer = msgspec.json.encode(wanted.customer).decode()
    order.lines = msgspec.json.encode(wanted.lines).decode()
    order.updated_at = await context.tx.now()
    await order.save()
    await _apply(order, wanted.lines, items, context)
    _record("order.changed", order, wanted, context)
    return order, False


def drafted(wanted: Placing, items: dict[str, list[Item]], now: datetime) -> Draft:
    """An order that nobody knows yet; `items` are those of its products, by SKU.

    Raises:
        ProductUnknown, InvalidRequest: as in `place`.
    """
    _check_skus(wanted.lines, items, set())
    order = models.Order(
        id=new_id("ord"),
        source=wanted.source,
        order_number=wanted.order_number,
        test=wanted.test,
        digest=content_digest(wanted.customer, wanted.lines),
        customer=msgspec.json.encode(wanted.customer).decode(),
        lines=msgspec.json.encode(wanted.lines).decode(),
        created_at=now,
        updated_at=now,
    )
    ticket = models.Ticket(id=new_id("tkt"), code=new_ticket(), order_id=order.id)
    issues = [each for each in diff(wanted.lines, [], items) if isinstance(each, Issue)]
    return Draft(wanted, order, ticket, [_drafted(order, ticket, issue, now) for issue in issues])


async def insert(drafts: Sequence[Draft], context: Context) -> None:
    """Write new orders with their tickets and licenses."""
    issued = [license for draft in drafts for license in draft.licenses]
    await models.Order.bulk_create([draft.order for draft in drafts])
    await models.Ticket.bulk_create([draft.ticket for draft in drafts])
    await _insert_licenses(issued)
    for draft in drafts:
        for license in draft.licenses:
            _record_issued(license, context)
        _record("order.placed", draft.order, draft.wanted, context)


async def get_order(request: GetOrder, context: Context) -> Order:
    """One order."""
    return Order(**await _members(await _existing(request.source, request.order_number), context))


async def cancel_order(request: CancelOrder, context: Context) -> Order:
    """Withdraw what is not activated and flag the rest; cancelling again changes nothing."""
    order = await _existing(request.source, request.order_number, lock=True)
    await cancel(order, request.reason, context)
    return Order(**await _members(order, context))


async def cancel(order: models.Order, reason: str | None, context: Context) -> None:
    """Cancel an order that is locked."""
    if order.cancelled:
        return
    order.cancelled = True
    order.updated_at = await context.tx.now()
    await order.save()
    await _apply(order, [], {}, context)
    context.record(
        "order.cancelled", order_id=order.id, source=order.source, order_number=order.order_number, reason=reason
    )


async def _existing(source: str, order_number: str, *, lock: bool = False) -> models.Order:
    query = models.Order.filter(source=source, order_number=order_number)
    order = await (query.select_for_update() if lock else query).first()
    if order is None:
        raise NotFound(f"There is no order {order_number!r} from {source!r}.")
    return order


async def _skus_held(order: models.Order) -> set[tuple[str, str]]:
    return set(await models.License.filter(order_id=order.id).values_list("line_id", "sku"))


def _check_skus(lines: list[OrderLine], items: dict[str, Any], held: set[tuple[str, str]]) -> None:
    """Refuse a SKU that is needed and not known; a line that is held already needs its product no more."""
    problems = [
        FieldProblem(f"/lines/{index}/sku", f"no product has the SKU {line.sku!r}")
        for index, line in enumerate(lines)
        if line.sku not in items and (line.line_id, line.sku) not in held
    ]
    if problems:
        detail = "; ".join(f"{problem.pointer}: {problem.detail}" for problem in problems)
        raise ProductUnknown(detail, problems=problems)


async def _apply(order: models.Order, lines: list[OrderLine], items: dict[str, Any], context: Context) -> None:
    """Make the licenses fit the lines."""
    licenses = {license.id: license for license in await lock_licenses(order_id=order.id)}
    held = [
        Held(license_id=found.id, line_id=found.line_id, sku=found.sku, per_unit=terms_of(found).quantity)
        for found in licenses.values()
    ]
    for change in diff(lines, held, items):
        if isinstance(change, Issue):
            await _issue(order, change, context)
        else:
            await _resize(licenses[change.license_id], change, context)


def _meters(line_id: str, terms: Terms, units: int) -> dict[str, int]:
    """The units of pay per use that a line comes to, by meter.

    Raises:
        InvalidRequest: more than a reply can hold.
    """
    sold = ({"": terms.units} if terms.units is not None else {}) | {meter.name: meter.units for meter in terms.meters}
    if any(per_unit * units > MOST_UNITS for per_unit in sold.values()):
        raise InvalidRequest.at("/lines", f"line {line_id!r} comes to more than {MOST_UNITS} units")
    return {name: per_unit * units for name, per_unit in sold.items()}


async def _issue(order: models.Order, issue: Issue, context: Context) -> None:
    ticket = await models.Ticket.get(order_id=order.id)
    license = _drafted(order, ticket, issue, await context.tx.now())
    await _insert_licenses([license])
    _record_issued(license, context)


def _drafted(order: models.Order, ticket: models.Ticket, issue: Issue, now: datetime) -> DraftLicense:
    item = issue.item
    meters = _meters(issue.line_id, item, issue.units)
    license = models.License(
        id=new_id("lic"),
        order_id=order.id,
        ticket_id=ticket.id,
        line_id=issue.line_id,
        sku=issue.sku,
        product_code=item.product_code,
        name=item.name or item.product_code,
        terms=_terms_json(item),
        quantity=issue.units * item.quantity,
        created_at=now,
    )
    return DraftLicense(license, meters)


async def _insert_licenses(drafts: Sequence[DraftLicense]) -> None:
    await models.License.bulk_create([draft.license for draft in drafts])
    await models.Meter.bulk_create(
        [
            models.Meter(license_id=draft.license.id, name=name, total=total)
            for draft in drafts
            for name, total in draft.meters.items()
        ]
    )


def _record(kind: str, order: models.Order, wanted: Placing, context: Context) -> None:
    context.record(
        kind,
        order_id=order.id,
        source=order.source,
        order_number=order.order_number,
        version=order.version,
        customer_id=wanted.customer.id,
        lines=wanted.lines,
        **({"test": True} if order.test else {}),
    )


def _record_issued(draft: DraftLicense, context: Context) -> None:
    license, meters = draft.license, draft.meters
    context.record(
        "license.issued",
        license_id=license.id,
        order_id=license.order_id,
        line_id=license.line_id,
        product_code=license.product_code,
        quantity=license.quantity,
        units=meters.get(""),
        meters={name: total for name, total in meters.items() if name} or None,
    )


async def _resize(license: models.License, resize: Resize, context: Context) -> None:
    before = stock_of(license)
    after = before.order(resize.seats)
    totals = _meters(license.line_id, terms_of(license), resize.units)
    for meter in await models.Meter.filter(license_id=license.id):
        meter.total = max(totals[meter.name], meter.used)
        await meter.save(update_fields=["total"])
    if after != before:
        await save_stock(license, after)
        context.record(
            "license.resized",
            license_id=license.id,
            order_id=license.order_id,
            quantity_before=before.quantity,
            quantity=after.quantity,
            to_reclaim=after.to_reclaim,
        )


def _terms_json(item: Any) -> str:
    terms = msgspec.to_builtins(item)
    del terms["product_code"], terms["name"]
    return msgspec.json.encode(terms).decode()


async def _members(order: models.Order, context: Context) -> dict[str, Any]:
    licenses = await models.License.filter(order_id=order.id)
    ticket = await models.Ticket.get(order_id=order.id)
    to_reclaim = sum(license.to_reclaim for license in licenses)
    status: OrderStatus = "fulfilled"
    if order.cancelled:
        status = "cancel_pending" if to_reclaim else "cancelled"
    return {
        "order_id": order.id,
        "source": order.source,
        "order_number": order.order_number,
        "status": status,
        "version": order.version,
        "test": order.test,
        "customer": msgspec.json.decode(order.customer, type=Customer),
        "lines": msgspec.json.decode(order.lines, type=list[OrderLine]),
        "ticket": ticket.code,
        "licenses": await shown(licenses, await context.db.now()),
        "to_reclaim": to_reclaim,
        "created_at": order.created_at,
        "updated_at": order.updated_at,
    }


