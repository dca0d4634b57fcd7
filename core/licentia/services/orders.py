"""Orders: a content comes in, licenses and a ticket go out."""

from __future__ import annotations

from typing import Any

import msgspec

from licentia.contract.orders import CancelOrder, CreateOrder, CreateOrderReply, Customer, GetOrder, Order, OrderLine
from licentia.contract.products import Terms
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


async def create_order(request: CreateOrder, context: Context) -> CreateOrderReply:
    """Place an order or a new version of one; a repeat gives what is there."""
    check_lines(request.lines)
    digest = content_digest(request.customer, request.lines)
    order, created = await _find_or_open(request, digest, context)
    if not created and order.digest != digest:
        if order.cancelled:
            raise Conflict(
                f"Order {request.order_number!r} was cancelled and takes no new version.",
                help="Place the new content under an order number of its own.",
            )
        order.version += 1
    if created or order.digest != digest:
        items = await items_of(line.sku for line in request.lines)
        _check_skus(request.lines, items, await _skus_held(order))
        order.digest = digest
        order.customer = msgspec.json.encode(request.customer).decode()
        order.lines = msgspec.json.encode(request.lines).decode()
        order.updated_at = await context.tx.now()
        await order.save()
        await _apply(order, request.lines, items, context)
        context.record(
            "order.placed" if created else "order.changed",
            order_id=order.id,
            source=order.source,
            order_number=order.order_number,
            version=order.version,
            customer_id=request.customer.id,
            lines=request.lines,
        )
    return CreateOrderReply(**await _members(order, context), created=created)


async def get_order(request: GetOrder, context: Context) -> Order:
    """One order."""
    return Order(**await _members(await _existing(request.source, request.order_number), context))


async def cancel_order(request: CancelOrder, context: Context) -> Order:
    """Withdraw what is not activated and flag the rest; cancelling again changes nothing."""
    order = await _existing(request.source, request.order_number, lock=True)
    if not order.cancelled:
        order.cancelled = True
        order.updated_at = await context.tx.now()
        await order.save()
        await _apply(order, [], {}, context)
        context.record(
            "order.cancelled",
            order_id=order.id,
            source=order.source,
            order_number=order.order_number,
            reason=request.reason,
        )
    return Order(**await _members(order, context))


async def _find_or_open(request: CreateOrder, digest: str, context: Context) -> tuple[models.Order, bool]:
    """The order of this number, locked; a new one with its ticket if there is none.

    Two processes that open the same order at once meet at its unique key: the loser's transaction
    runs again and finds the winner's order.
    """
    found = (
        await models.Order.filter(source=request.source, order_number=request.order_number)
        .select_for_update()
        .first()
    )
    if found is not None:
        return found, False
    now = await context.tx.now()
    order = await models.Order.create(
        id=new_id("ord"),
        source=request.source,
        order_number=request.order_number,
        digest=digest,
        customer="{}",
        lines="[]",
        created_at=now,
        updated_at=now,
    )
    await models.Ticket.create(id=new_id("tkt"), code=new_ticket(), order_id=order.id)
    return order, True


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
    item = issue.item
    meters = _meters(issue.line_id, item, issue.units)
    ticket = await models.Ticket.get(order_id=order.id)
    license = await models.License.create(
        id=new_id("lic"),
        order_id=order.id,
        ticket_id=ticket.id,
        line_id=issue.line_id,
        sku=issue.sku,
        product_code=item.product_code,
        name=item.name or item.product_code,
        terms=_terms_json(item),
        quantity=issue.units * item.quantity,
        created_at=await context.tx.now(),
    )
    await models.Meter.bulk_create(
        [models.Meter(license_id=license.id, name=name, total=total) for name, total in meters.items()]
    )
    context.record(
        "license.issued",
        license_id=license.id,
        order_id=order.id,
        line_id=issue.line_id,
        product_code=item.product_code,
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
        "customer": msgspec.json.decode(order.customer, type=Customer),
        "lines": msgspec.json.decode(order.lines, type=list[OrderLine]),
        "ticket": ticket.code,
        "licenses": await shown(licenses, await context.db.now()),
        "to_reclaim": to_reclaim,
        "created_at": order.created_at,
        "updated_at": order.updated_at,
    }


