"""Activations: put licenses into a container, take them back, move them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
from tortoise.expressions import Q

from licentia.containers import ContainerBackend, ContainerRef, OfflineDelivery
from licentia.contract.activations import (
    ActivateTicket,
    Activation,
    ConfirmActivation,
    GetActivation,
    MoveActivation,
    ReturnActivation,
)
from licentia.errors import (
    Conflict,
    InvalidRequest,
    LicensingError,
    TicketExhausted,
)
from licentia.services.context import Context
from licentia.services.placing import check_end, check_kind, lock_contents, place, place_again, provision, take_back
from licentia.services.receiving import take_receipt
from licentia.services.showing import decoded, locked, own, shown
from licentia.services.stock import lock_licenses, stock_of
from licentia.services.telling import encoded, tell
from licentia.services.tickets import find_ticket
from licentia.storage import ledger, models


async def activate_ticket(request: ActivateTicket, context: Context) -> Activation:
    """Put licenses of a ticket into a container.

    A container's own request is a natural key: the same one again gives what it was answered with.
    """
    ticket = await find_ticket(request.code, context)
    licenses = await lock_licenses(ticket_id=ticket.id)
    backend = context.plugins.container(request.container.kind)
    ref = await provision(backend, request.container, context)
    if ref.request_id and (known := await _made_for(ref, ticket, backend, context)):
        return await _again(known, backend, ref)
    chosen = _choose(request, licenses, backend, await context.tx.now())
    seats = [(license, request.quantity or stock_of(license).available) for license in chosen]
    return await place(ticket, seats, backend, ref, "activation.created", context)


async def get_activation(request: GetActivation, context: Context) -> Activation:
    """One activation."""
    activation = await models.Activation.get_or_none(id=request.activation_id)
    return await shown(await own(activation, request.activation_id, context))


async def confirm_activation(request: ConfirmActivation, context: Context) -> Activation:
    """Take the receipt of an update; taking it again changes nothing."""
    activation = await locked(request.activation_id, context)
    backend, container = await _of(activation, context)
    await take_receipt(backend, container, decoded(request.receipt, "/receipt"), context)
    return await shown(await models.Activation.get(id=activation.id))


async def return_activation(request: ReturnActivation, context: Context) -> Activation:
    """Give the licenses back to the ticket; returning again changes nothing."""
    activation = await locked(request.activation_id, context)
    if activation.ended_at is not None:
        return await shown(activation)
    backend, container = await _of(activation, context)
    if not isinstance(backend, OfflineDelivery):
        _check_no_receipt(request.receipt, backend)
        await take_back(activation, "returned", context)
        return await shown(activation)
    if request.receipt is None:
        return await _begin_return(activation, backend, container, context)
    await take_receipt(backend, container, decoded(request.receipt, "/receipt"), context)
    activation = await models.Activation.get(id=activation.id)
    if activation.ended_at is None:
        raise _not_given_up(activation)
    return await shown(activation)


async def move_activation(request: MoveActivation, context: Context) -> Activation:
    """Return an activation and activate the same licenses elsewhere, in one transaction."""
    activation = await locked(request.activation_id, context)
    if activation.ended_at is not None:
        raise Conflict(
            f"The activation {activation.id!r} ended already.",
            help="Move the activation that followed it, if any.",
        )
    target = context.plugins.container(request.container.kind)
    backend, container = await _of(activation, context)
    pools, licenses = await lock_contents(activation, context)
    for license in licenses.values():
        check_kind(license, target)
    ref = await provision(target, request.container, context)
    both = Q(id=activation.container_id) | Q(kind=target.kind, binding=ref.binding)
    await models.Container.filter(both).order_by("id").select_for_update()
    taken = [(licenses[pool.license_id], pool.seats) for pool in pools]
    if isinstance(backend, OfflineDelivery):
        if request.receipt is None:
            raise InvalidRequest.at(
                "/receipt",
                "the licenses are in a container away from the server: give them up there and send its receipt,"
                " or restore them if it is lost",
            )
        await take_receipt(backend, container, decoded(request.receipt, "/receipt"), context)
        activation = await models.Activation.get(id=activation.id)
        if activation.ended_at is None:
            raise _not_given_up(activation)
    else:
        _check_no_receipt(request.receipt, backend)
        await take_back(activation, "returned", context)
    return await place_again(activation, taken, target, ref, "activation.moved", context)


def _choose(
    request: ActivateTicket, licenses: Sequence[models.License], backend: ContainerBackend, now: datetime
) -> list[models.License]:
    """The licenses that the request means; by default all with seats left that may go into the container now."""
    if request.license_ids is None:
        refusal: LicensingError | None = None
        fitting = []
        for license in licenses:
            if stock_of(license).available > 0:
                try:
                    check_kind(license, backend)
                    check_end(license, now)
                except LicensingError as error:
                    refusal = refusal or error
                else:
                    fitting.append(license)
        if not fitting:
            raise refusal or TicketExhausted(
                "Every license of the ticket is activated, returned to the vendor or withdrawn."
            )
        return fitting
    by_id = {license.id: license for license in licenses}
    chosen = []
    for index, license_id in enumerate(dict.fromkeys(request.license_ids)):
        if license_id not in by_id:
            raise InvalidRequest.at(f"/license_ids/{index}", f"the ticket has no license {license_id!r}")
        check_kind(by_id[license_id], backend)
        chosen.append(by_id[license_id])
    return chosen


async def _made_for(
    ref: ContainerRef, ticket: models.Ticket, backend: ContainerBackend, context: Context
) -> models.Activation | None:
    """The activation of this ticket that this request of a container was answered with."""
    container = await models.Container.get_or_none(kind=backend.kind, binding=ref.binding)
    if container is None:
        return None
    made = models.Activation.filter(ticket_id=ticket.id, container_id=container.id, request_id=ref.request_id)
    return await made.filter(ended_at=None).first()


async def _again(activation: models.Activation, backend: ContainerBackend, ref: ContainerRef) -> Activation:
    answer = await shown(activation)
    delivery = await backend.pending(ref)
    return answer if delivery is None else msgspec.structs.replace(answer, delivery=encoded(delivery))


async def _begin_return(
    activation: models.Activation, backend: ContainerBackend, container: models.Container, context: Context
) -> Activation:
    """Make the update that takes the licenses out of a container away from the server."""
    pools, _ = await lock_contents(activation, context)
    delivery = None
    if activation.state != "returning":
        for pool in pools:
            await context.tx.run(ledger.set_state(pool, "closing"))
        delivery = await tell(container, backend)
        activation.state = "returning"
        activation.change = container.sequence
        await activation.save()
        context.record("activation.returning", activation_id=activation.id, container_id=container.id)
    answer = await shown(activation)
    return answer if delivery is None else msgspec.structs.replace(answer, delivery=encoded(delivery))


def _check_no_receipt(receipt: str | None, backend: ContainerBackend) -> None:
    if receipt is not None:
        raise InvalidRequest.at("/receipt", f"a container of kind {backend.kind!r} is on the server and gives none")


def _not_given_up(activation: models.Activation) -> Conflict:
    return Conflict(
        f"The receipt does not say that the container gave up activation {activation.id!r}.",
        help=f"`licentia container return {activation.id}` on its machine makes one that does.",
    )


async def _of(activation: models.Activation, context: Context) -> tuple[ContainerBackend, models.Container]:
    container = await models.Container.get(id=activation.container_id)
    return context.plugins.container(container.kind), container
