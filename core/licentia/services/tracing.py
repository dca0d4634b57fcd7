"""The story of one order, for whoever is asked what happened to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from licentia.contract.events import Event
from licentia.contract.orders import OrderTrace, Step, TracedOrder, TraceOrder
from licentia.contract.types import OrderStatus
from licentia.domain.ledger import Ledger
from licentia.errors import NotFound
from licentia.services.context import Context
from licentia.storage import connector_models, eventlog, models

WORDS: Mapping[str, str] = {
    "activation.created": "licenses were put into a container of kind {kind}",
    "activation.confirmed": "the container confirmed that it has the licenses",
    "activation.returned": "licenses came back from their container",
    "delivery.applied": "{source} told that it was {told}: {result}",
    "delivery.parked": "it waits: {problem}",
    "license.changed": "terms of a license were changed: {reason}",
    "license.issued": "a license of {product_code} for {quantity} was issued",
    "license.renewed": "a license was renewed for the {renewals}. time, and is valid until {expires_at}",
    "license.resized": "a license went from {quantity_before} to {quantity}, {to_reclaim} of which are owed back",
    "license.withdrawn": "a license was withdrawn: {reason}",
    "order.cancelled": "the order was cancelled",
    "order.changed": "the order got its version {version}",
    "order.placed": "the order was placed",
    "order.write_back_dead": "writing the ticket back was given up: {problem}",
    "order.write_back_failed": "writing the ticket back failed, and is tried again: {problem}",
    "order.written_back": "{source} has what came of the order",
}


FIRST = ("delivery.arrived", "delivery.applied", "order.placed", "order.changed", "order.cancelled")

WAYS: Mapping[str, str] = {"sent": "sent", "polled": "was asked for", "imported": "had in a file"}


async def trace_order(request: TraceOrder, context: Context) -> OrderTrace:
    """What happened to the orders of a number."""
    number = request.order_number
    sources = {request.source} if request.source else await _sources(number)
    found = [each for source in sorted(sources) if (each := await _traced(source, number, context)) is not None]
    if not found:
        where = f" of {request.source!r}" if request.source else ""
        raise NotFound(
            f"Nothing is known of an order {request.order_number!r}{where}.",
            help="`licentia connector inbox` shows what business systems sent.",
        )
    return OrderTrace(orders=found)


async def _sources(number: str) -> set[str]:
    """Who has an order of this number, or told something about one."""
    found = set(await models.Order.filter(order_number=number).values_list("source", flat=True))
    for model in (connector_models.DeliveryOrder, connector_models.OrderReference):
        found |= set(await model.filter(**{_NUMBER[model]: number}).values_list("connection", flat=True))
    return {str(source) for source in found}


_NUMBER: Mapping[type[Any], str] = {
    connector_models.DeliveryOrder: "order_number",
    connector_models.OrderReference: "number",
}


async def _traced(source: str, number: str, context: Context) -> TracedOrder | None:
    reference = await connector_models.OrderReference.get_or_none(connection=source, number=number)
    if reference is not None:
        number = reference.order_number
    order = await models.Order.get_or_none(source=source, order_number=number)
    links = await connector_models.DeliveryOrder.filter(connection=source, order_number=number)
    deliveries = await connector_models.Delivery.filter(id__in=[link.delivery_id for link in links])
    marks = await connector_models.OrderEvent.filter(source=source, order_number=number)
    if order is None and not deliveries and not marks:
        return None
    events = await eventlog.some(context.db, [(mark.chain, mark.seq) for mark in marks])
    steps = [_step(event) for event in events] + [_arrival(row) for row in deliveries]
    outbox = await connector_models.WriteBack.get_or_none(connection=source, order_number=number)
    parked = next((row for row in deliveries if row.state in ("parked", "dead")), None)
    ticket = None if order is None else (await models.Ticket.get(order_id=order.id)).code
    return TracedOrder(
        source=source,
        order_number=number,
        number_there=await _number_there(source, number),
        status=None if order is None else await _status(order),
        ticket=ticket,
        parked=None if parked is None else parked.problem,
        write_back=None if outbox is None else _written(outbox),
        next_step=_next_step(parked, outbox, deliveries),
        steps=sorted(steps, key=lambda step: (step.at, _rank(step.kind))),
    )


async def _status(order: models.Order) -> OrderStatus:
    owed = await models.License.exists(order_id=order.id, to_reclaim__gt=0)
    return "fulfilled" if not order.cancelled else "cancel_pending" if owed else "cancelled"


async def _number_there(source: str, number: str) -> str | None:
    told = await connector_models.SourceOrder.get_or_none(connection=source, order_number=number)
    return None if told is None else msgspec.json.decode(told.ledger, type=Ledger).number


def _rank(kind: str) -> int:
    """The order of what is written at one instant: what was told comes before what was done for it."""
    return FIRST.index(kind) if kind in FIRST else len(FIRST)


def _step(event: Event) -> Step:
    words = WORDS.get(event.kind, event.kind.replace(".", " "))
    summary = words.format_map(_Facts(event.data))
    return Step(at=event.at, kind=event.kind, actor=event.actor, summary=summary, data=event.data)


def _arrival(row: connector_models.Delivery) -> Step:
    data = {"delivery_id": row.id, "connector": row.connection, "way": row.way, "state": row.state}
    summary = f"{row.connection} {WAYS[row.way]} a delivery, which is {row.state}"
    kind = "delivery.arrived"
    return Step(at=row.received_at, kind=kind, actor=f"connector:{row.connection}", summary=summary, data=data)


def _written(row: connector_models.WriteBack) -> str:
    if row.state == "written":
        return f"written back at {row.written_at:%Y-%m-%d %H:%M:%S} UTC"
    if row.state == "dead":
        return f"given up: {row.problem}"
    failed = f", as it failed {row.attempts} times: {row.problem}" if row.problem else ""
    return f"waits until {row.due_at:%Y-%m-%d %H:%M:%S} UTC{failed}"


def _next_step(
    parked: connector_models.Delivery | None,
    outbox: connector_models.WriteBack | None,
    deliveries: list[connector_models.Delivery],
) -> str | None:
    if parked is not None:
        replay = f"licentia connector replay --delivery-id {parked.id}"
        if parked.awaits:
            return f"It goes on by itself once order {parked.awaits} has come; else discard it."
        return f"Mend what the reason names, then: {replay}"
    if outbox is not None and outbox.state == "dead" and deliveries:
        last = max(deliveries, key=lambda row: row.received_at)
        replay = f"licentia connector replay --delivery-id {last.id}"
        return f"See `licentia connector test {outbox.connection}`, then: {replay}"
    return None


class _Facts(dict[str, Any]):
    """Facts for a sentence, in which one that is not told is a dash."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        super().__init__({name: "-" if value is None else value for name, value in data.items()})

    def __missing__(self, name: str) -> str:
        return "-"
