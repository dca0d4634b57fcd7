"""Activations: put licenses into a container, take them back, move them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

import msgspec
from tortoise.expressions import Q

from licentia.containers import Contact, ContainerBackend, ContainerRef, ContainerRequest, OfflineDelivery, Received
from licentia.contract.activations import (
    ActivatedLicense,
    ActivateTicket,
    Activation,
    ConfirmActivation,
    Container,
    GetActivation,
    MoveActivation,
    ReturnActivation,
)
from licentia.domain.instants import from_micros, to_micros
from licentia.domain.seats import Pool
from licentia.domain.terms import check_validity
from licentia.errors import (
    Conflict,
    ContainerKindNotAllowed,
    InvalidRequest,
    LicenseNotYetValid,
    LicensingError,
    NotFound,
    TicketExhausted,
)
from licentia.services.away import allot, give_units_back, note_use
from licentia.services.context import Context, new_id
from licentia.services.leases import end_all
from licentia.services.stock import lock_licenses, save_stock, stock_of, terms_of, validity_of
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


async def place_again(
    activation: models.Activation,
    taken: list[tuple[models.License, int]],
    backend: ContainerBackend,
    ref: ContainerRef,
    event: str,
    context: Context,
) -> Activation:
    """Place what an activation held elsewhere."""
    ticket = await models.Ticket.get(id=activation.ticket_id)
    licenses = {license.id: license for license in await lock_licenses(id__in=[license.id for license, _ in taken])}
    # What the order no longer covers was paid back by the return, so fewer seats may be left.
    seats = [(licenses[license.id], min(count, stock_of(licenses[license.id]).available)) for license, count in taken]
    return await place(ticket, seats, backend, ref, event, context, moved_from=activation.id)


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


async def provision(backend: ContainerBackend, wanted: Container, context: Context) -> ContainerRef:
    """The container that is meant."""
    return await backend.provision(
        ContainerRequest(
            user=None if context.subject is None else context.subject.user,
            container_id=wanted.container_id,
            request=decoded(wanted.request, "/container/request"),
        )
    )


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


async def place(
    ticket: models.Ticket,
    seats: list[tuple[models.License, int]],
    backend: ContainerBackend,
    ref: ContainerRef,
    event: str,
    context: Context,
    moved_from: str | None = None,
) -> Activation:
    """Place so many seats of each license into the container that is meant."""
    container = await _container(backend.kind, ref, context)
    now = await context.tx.now()
    activation = models.Activation(
        id=new_id("act"),
        ticket_id=ticket.id,
        container_id=container.id,
        activated_at=now,
        state="confirmed",
        request_id=ref.request_id or None,
    )
    leasing = backend.leasing and ref.user is not None
    placed = []
    for license, count in seats:
        before = stock_of(license)
        # None left is refused as one too many is, and for the same reasons.
        await save_stock(license, before.place(max(1, count)))
        license.first_activated_at = license.first_activated_at or now
        await license.save(update_fields=["first_activated_at"])
        terms = terms_of(license)
        check_end(license, now)
        overdraft = terms.overdraft - license.overdraft_placed
        license.overdraft_placed = terms.overdraft
        await license.save(update_fields=["overdraft_placed"])
        await models.SeatPool.create(
            id=new_id("pool"),
            activation_id=activation.id,
            license_id=license.id,
            container_id=container.id,
            user_id=ref.user,
            product_code=license.product_code,
            leasing=leasing,
            seats=count,
            overdraft=overdraft,
            unlimited=terms.license_model == "unlimited",
            valid_until=validity_of(license, terms).until,
        )
        if not leasing:
            await allot(activation.id, license.id, count, before.available)
        placed.append({"license_id": license.id, "quantity": count})
    delivery = await tell(container, backend)
    activation.state = "confirmed" if delivery is None else "delivered"
    activation.change = container.sequence
    await activation.save(force_create=True)
    context.record(
        event,
        activation_id=activation.id,
        moved_from=moved_from,
        container_id=container.id,
        kind=container.kind,
        user=container.user_id,
        licenses=placed,
    )
    answer = await shown(activation)
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


async def take_receipt(
    backend: ContainerBackend, container: models.Container, receipt: bytes, context: Context
) -> None:
    """Take what a container away from the server says of itself, and do what follows from it."""
    if not isinstance(backend, OfflineDelivery):
        raise InvalidRequest.at("/receipt", f"a container of kind {container.kind!r} is on the server and gives none")
    ref = ContainerRef(binding=container.binding, user=container.user_id)
    if isinstance(backend, Contact):
        if (await backend.whose(receipt)).binding != container.binding:
            raise Conflict("The receipt is of another container.", help="Send the receipt of the one it is in.")
        received = await backend.receive(ref, receipt)
    else:
        received = Received(change=await backend.confirm(ref, receipt))
    await note_received(backend, container, received, context)


async def note_received(
    backend: ContainerBackend, container: models.Container, received: Received, context: Context
) -> None:
    """What a container holds now, what it gave up, and what it used."""
    await note_use(received, context)
    active = await models.Activation.filter(container_id=container.id, ended_at=None).order_by("id")
    for activation in active:
        if activation.state == "delivered" and activation.change <= received.change:
            activation.state = "confirmed"
            await activation.save(update_fields=["state"])
            context.record("activation.confirmed", activation_id=activation.id, container_id=container.id)
        gone = activation.state == "returning" and activation.change <= received.change
        if gone or activation.id in received.returned:
            await take_back(activation, "returned", context)


async def take_back(activation: models.Activation, state: str, context: Context) -> list[tuple[models.License, int]]:
    """End the leases, close the pools, give the seats back; the licenses with the seats they had placed."""
    pools, licenses = await lock_contents(activation, context)
    container = await models.Container.filter(id=activation.container_id).select_for_update().get()
    backend = context.plugins.container(container.kind)
    now = await context.tx.now()
    taken = []
    for pool in pools:
        await _check_not_borrowed(pool, now, context)
    for pool in pools:
        await end_all(pool, "lease.ended", now, context)
        await context.tx.run(ledger.set_state(pool, "closed"))
        license = licenses[pool.license_id]
        await save_stock(license, stock_of(license).take_back(pool.seats))
        license.overdraft_placed -= pool.overdraft
        await license.save(update_fields=["overdraft_placed"])
        taken.append((license, pool.seats))
    await give_units_back(activation.id)
    activation.state = state
    activation.ended_at = now
    await activation.save()
    await tell(container, backend)
    if not await models.SeatPool.filter(container_id=container.id).exclude(state="closed").exists():
        await models.Identity.filter(container=container.binding).delete()
    context.record(
        f"activation.{state}",
        activation_id=activation.id,
        container_id=container.id,
        licenses=[{"license_id": license.id, "quantity": count} for license, count in taken],
    )
    return taken


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


async def _check_not_borrowed(pool: Pool, now: datetime, context: Context) -> None:
    """Refuse to give seats back that somebody works with offline: they would be in use twice.

    Raises:
        Conflict: with who has them, and until when.
    """
    if held := await context.tx.run(ledger.borrowed(pool.id, to_micros(now))):
        last = max(held, key=lambda seat: seat.expires_at)
        raise Conflict(
            f"{len(held)} leases of {pool.product_code!r} are borrowed, the last of them ({last.lease_id!r}, by"
            f" {last.user_id}) until {from_micros(last.expires_at):%Y-%m-%d %H:%M} UTC.",
            help="Release the borrowed leases first, or wait until they have ended.",
        )


async def _container(kind: str, ref: ContainerRef, context: Context) -> models.Container:
    """The container of this binding, locked; made if it is new."""
    found = await models.Container.filter(kind=kind, binding=ref.binding).select_for_update().first()
    if found is not None:
        return found
    return await models.Container.create(
        id=new_id("con"), kind=kind, binding=ref.binding, user_id=ref.user, created_at=await context.tx.now()
    )


async def locked(activation_id: str, context: Context) -> models.Activation:
    """An activation, locked."""
    found = await models.Activation.filter(id=activation_id).select_for_update().first()
    return await own(found, activation_id, context)


async def lock_contents(
    activation: models.Activation, context: Context
) -> tuple[list[Pool], dict[str, models.License]]:
    """The pools of an activation that are not closed, and their licenses by id."""
    pools = await context.tx.run(ledger.lock_pools("activation_id", activation.id))
    licenses = await lock_licenses(id__in=[pool.license_id for pool in pools]) if pools else []
    return pools, {license.id: license for license in licenses}


async def own(activation: models.Activation | None, activation_id: str, context: Context) -> models.Activation:
    """The activation, if there is one and the caller may see it: an end user sees the own ones only."""
    subject = context.caller.subject
    if activation is not None and subject is not None:
        container = await models.Container.get(id=activation.container_id)
        if container.user_id != subject.user:
            activation = None
    if activation is None:
        raise NotFound(f"There is no activation {activation_id!r}.")
    return activation


def _refused_kind(license: models.License, backend: ContainerBackend) -> str | None:
    """Why this license must not go into this kind of container, or None."""
    terms = terms_of(license)
    if terms.containers is not None and backend.kind not in terms.containers:
        return f"License {license.id!r} may go into: {', '.join(terms.containers)}; not into {backend.kind}."
    if terms.license_model == "node_locked" and not backend.device_bound and not backend.leasing:
        return f"License {license.id!r} is node-locked, and a container of kind {backend.kind} is bound to no machine."
    return None


def check_end(license: models.License, now: datetime) -> None:
    """Refuse a license that has ended."""
    with suppress(LicenseNotYetValid):  # It may wait in its container until its time comes.
        check_validity(validity_of(license, terms_of(license)), now)


def check_kind(license: models.License, backend: ContainerBackend) -> None:
    """Refuse a kind of container that the license must not go into."""
    if reason := _refused_kind(license, backend):
        raise ContainerKindNotAllowed(reason)


async def shown(activation: models.Activation) -> Activation:
    """An activation as callers see it."""
    container = await models.Container.get(id=activation.container_id)
    ticket = await models.Ticket.get(id=activation.ticket_id)
    pools = {pool.license_id: pool for pool in await models.SeatPool.filter(activation_id=activation.id)}
    licenses = await models.License.filter(id__in=list(pools)).order_by("id")
    return Activation(
        activation_id=activation.id,
        ticket=ticket.code,
        kind=container.kind,
        container_id=container.id,
        user=container.user_id,
        state=activation.state,  # type: ignore[arg-type]
        licenses=[
            ActivatedLicense(
                license_id=license.id,
                sku=license.sku,
                product_code=license.product_code,
                name=license.name,
                quantity=pools[license.id].seats,
                expires_at=validity_of(license, terms_of(license)).until,
            )
            for license in licenses
        ],
        activated_at=activation.activated_at,
        ended_at=activation.ended_at,
    )


def decoded(content: str | None, pointer: str) -> bytes:
    """The bytes that a caller sent in base64."""
    try:
        return base64.b64decode(content or "", validate=False)
    except binascii.Error as error:
        raise InvalidRequest.at(pointer, f"not valid base64: {error}") from None
