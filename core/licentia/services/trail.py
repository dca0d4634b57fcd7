"""Which events are about which order, so that its story is told without reading all events."""

from __future__ import annotations

from collections.abc import Sequence

from licentia.domain.seats import Happened
from licentia.storage import connector_models, models
from licentia.storage.eventlog import Mark

Order = tuple[str, str]
"""The source and the number of an order."""


async def orders_of(happened: Sequence[Happened]) -> list[Order | None]:
    """The order that each of these events is about, if any: they name it, or something that it has."""
    wanted = [_named(each) for each in happened]
    by_license = await _of(models.License, {value for name, value in wanted if name == "license_id"})
    by_activation = await _of(models.Activation, {value for name, value in wanted if name == "activation_id"})
    tickets = {value for name, value in wanted if name == "ticket_id"} | set(by_activation.values())
    by_ticket = await _of(models.Ticket, tickets)
    ids: list[str | None] = []
    for name, value in wanted:
        match name:
            case "order_id":
                ids.append(value)
            case "license_id":
                ids.append(by_license.get(value))
            case "activation_id":
                ids.append(by_ticket.get(by_activation.get(value, "")))
            case "ticket_id":
                ids.append(by_ticket.get(value))
            case _:
                ids.append(None)
    told = ((each.data.get("order_id"), _direct(each)) for each in happened)
    known: dict[str | None, Order] = {id: order for id, order in told if order is not None}
    missing = {id for id in ids if id} - known.keys()
    orders = await models.Order.filter(id__in=[*missing]) if missing else []
    known |= {order.id: (order.source, order.order_number) for order in orders}
    return [_direct(each) or known.get(id) for each, id in zip(happened, ids, strict=True)]


async def note(orders: Sequence[Order | None], mark: Mark | None) -> None:
    """Write down what the events of a commit are about; `mark` is of the last of them."""
    if mark is None:
        return
    first = mark.seq - len(orders) + 1
    await connector_models.OrderEvent.bulk_create(
        [
            connector_models.OrderEvent(source=order[0], order_number=order[1], chain=mark.chain, seq=first + place)
            for place, order in enumerate(orders)
            if order is not None
        ]
    )


def _direct(event: Happened) -> Order | None:
    source, number = event.data.get("source"), event.data.get("order_number")
    return (source, number) if isinstance(source, str) and isinstance(number, str) and number else None


def _named(event: Happened) -> tuple[str, str]:
    if _direct(event) is None:
        for name in ("order_id", "license_id", "activation_id", "ticket_id"):
            if isinstance(value := event.data.get(name), str):
                return name, value
    return "", ""


async def _of(
    model: type[models.License] | type[models.Activation] | type[models.Ticket], ids: set[str]
) -> dict[str, str]:
    """The id of the order, of an activation that of the ticket, by the id of what has it."""
    if not ids:
        return {}
    rows = await model.filter(id__in=[*ids]).values_list(
        "id", "ticket_id" if model is models.Activation else "order_id"
    )
    return dict(rows)
