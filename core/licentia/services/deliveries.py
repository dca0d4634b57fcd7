"""The inbox, for people: what came, what became of it, and trying it again."""

from __future__ import annotations

import base64
from collections.abc import Iterable

import msgspec
from tortoise.expressions import Q

from licentia.contract.connectors import (
    Deliveries,
    DiscardDelivery,
    GetDelivery,
    InboxDelivery,
    ListDeliveries,
    Outcome,
    ReplayDeliveries,
    Replayed,
    Setting,
    WholeDelivery,
)
from licentia.domain.instants import from_micros, to_micros
from licentia.domain.naturalkeys import as_id
from licentia.errors import Conflict, InvalidRequest, NotFound
from licentia.services.applying import Result
from licentia.services.context import Context
from licentia.storage import connector_models as models


async def list_deliveries(request: ListDeliveries, context: Context) -> Deliveries:
    """The deliveries, newest first."""
    query = models.Delivery.all()
    if request.connector is not None:
        query = query.filter(connection=request.connector)
    if request.state is not None:
        query = query.filter(state=request.state)
    if request.order_number is not None:
        links = models.DeliveryOrder.filter(order_number=as_id(request.order_number))
        query = query.filter(id__in=await links.values_list("delivery_id", flat=True))
    if request.cursor:
        at, _, id = request.cursor.partition("~")
        if not at.isdecimal() or len(at) > 16 or len(id) > 64:
            raise InvalidRequest.at("/cursor", "not a cursor that this server gave")
        before = from_micros(int(at))
        query = query.filter(Q(received_at__lt=before) | Q(received_at=before, id__lt=id))
    rows = await query.order_by("-received_at", "-id").limit(request.limit + 1)
    page = rows[: request.limit]
    cursor = f"{to_micros(page[-1].received_at)}~{page[-1].id}" if len(rows) > request.limit else None
    return Deliveries(deliveries=[shown(row) for row in page], next_cursor=cursor)


async def get_delivery(request: GetDelivery, context: Context) -> WholeDelivery:
    """One delivery, as it came."""
    row = await _existing(request.delivery_id)
    headers = msgspec.json.decode(row.headers, type=dict[str, str])
    return WholeDelivery(
        **msgspec.structs.asdict(shown(row)),
        method=row.method,
        url=row.url,
        headers=[Setting(name=name, value=value) for name, value in headers.items()],
        body=base64.b64encode(bytes(row.body)).decode(),
    )


async def replay_deliveries(request: ReplayDeliveries, context: Context) -> Replayed:
    """Try deliveries again, or say what would come of it."""
    query = models.Delivery.filter(state=request.state)
    if request.delivery_id is not None:
        query = models.Delivery.filter(id=(await _existing(request.delivery_id)).id)
    elif request.connector is not None:
        await context.chain.connections.get(request.connector)
        query = query.filter(connection=request.connector)
    tried = []
    for row in await query.order_by("received_at", "id").limit(request.limit):
        if request.dry_run:
            results = await context.chain.inbox.rehearse(row)
            parked = next((each for each in results if each.state == "parked"), None)
            tried.append(
                msgspec.structs.replace(
                    shown(row),
                    state="done" if parked is None else "parked",
                    problem=None if parked is None else parked.problem,
                    outcomes=_outcomes(results),
                )
            )
        else:
            await context.chain.inbox.replay(row.id, context.caller)
            tried.append(shown(await models.Delivery.get(id=row.id)))
    context.chain.wake()
    return Replayed(deliveries=tried, left=await query.count())


async def discard_delivery(request: DiscardDelivery, context: Context) -> InboxDelivery:
    """Let a delivery be."""
    row = await models.Delivery.filter(id=request.delivery_id).select_for_update().first()
    if row is None:
        raise _unknown(request.delivery_id)
    if row.state in ("done", "waiting"):
        raise Conflict(f"The delivery {row.id!r} is {row.state}; only what is parked or dead can be discarded.")
    if row.state != "discarded":
        row.state = "discarded"
        await row.save(update_fields=["state"])
        context.record("delivery.discarded", delivery_id=row.id, connection=row.connection, reason=request.reason)
    return shown(row)


def shown(row: models.Delivery) -> InboxDelivery:
    """A delivery, as lists show it."""
    return InboxDelivery(
        delivery_id=row.id,
        connector=row.connection,
        state=row.state,  # type: ignore[arg-type]
        way=row.way,
        received_at=row.received_at,
        attempts=row.attempts,
        due_at=row.due_at,
        problem=row.problem,
        outcomes=_outcomes(msgspec.json.decode(row.results, type=list[Result])),
    )


def _outcomes(results: Iterable[Result]) -> list[Outcome]:
    return [
        Outcome(
            told=each.kind,
            order_number=each.order_number,
            state=each.state,
            ticket=each.ticket,
            code=each.code,
            problem=each.problem,
        )
        for each in results
    ]


async def _existing(id: str) -> models.Delivery:
    row = await models.Delivery.get_or_none(id=id)
    if row is None:
        raise _unknown(id)
    return row


def _unknown(id: str) -> NotFound:
    return NotFound(f"There is no delivery {id!r}.", help="`licentia connector inbox` shows them.")
