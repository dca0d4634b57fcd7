"""Activations: put licenses into a container, take them back, move them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

import msgspec
from tortoise.expressions import Q

from licentia import containers
from licentia.containers import (
    ContainerBackend,
    ContainerRef,
    ContainerRequest,
    Content,
    Host,
    OfflineDelivery,
    Update,
)
from licentia.contract.activations import (
    ActivatedLicense,
    ActivateTicket,
    Activation,
    Container,
    Delivery,
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
from licentia.services.context import Context, new_id
from licentia.services.leases import end_all
from licentia.services.stock import lock_licenses, save_stock, stock_of, terms_of, validity_of
from licentia.services.tickets import find_ticket
from licentia.storage import ledger, models


async def activate_ticket(request: ActivateTicket, context: Context) -> Activation:
    """Put licenses of a ticket into a container."""
    ticket = await find_ticket(request.code, context)
    licenses = await lock_licenses(ticket_id=ticket.id)
    backend = context.plugins.container(request.container.kind)
    chosen = _choose(request, licenses, backend, await context.tx.now())
    seats = [(license, request.quantity or stock_of(license).available) for license in chosen]
    ref = await _provision(backend, request.container, context)
    return await _place(ticket, seats, backend, ref, "activation.created", context)


async def get_activation(request: GetActivation, context: Context) -> Activation:
    """One activation."""
    activation = await models.Activation.get_or_none(id=request.activation_id)
    return await _shown(await _own(activation, request.activation_id, context))


async def return_activation(request: ReturnActivation, context: Context) -> Activation:
    """Give the licenses back to the ticket; returning again changes nothing."""
    activation = await _locked(request.activation_id, context)
    if activation.ended_at is None:
        await _take_back(activation, request.receipt, "activation.returned", context)
    return await _shown(activation)


async def move_activation(request: MoveActivation, context: Context) -> Activation:
    """Return an activation and activate the same licenses elsewhere, in one transaction."""
    activation = await _locked(request.activation_id, context)
    if activation.ended_at is not None:
        raise Conflict(
            f"The activation {activation.id!r} ended already.",
            help="Move the activation that followed it, if any.",
        )
    backend = context.plugins.container(request.container.kind)
    _, licenses = await _lock_contents(activation, context)
    for license in licenses.values():
        _check_kind(license, backend)
    ref = await _provision(backend, request.container, context)
    target = Q(kind=backend.kind, binding=ref.binding)
    await models.Container.filter(Q(id=activation.container_id) | target).order_by("id").select_for_update()
    taken = await _take_back(activation, request.receipt, "activation.returned", context)
    # What the order no longer covers was paid back by the return, so fewer seats may be left.
    seats = [(license, min(count, stock_of(license).available)) for license, count in taken]
    ticket = await models.Ticket.get(id=activation.ticket_id)
    return await _place(ticket, seats, backend, ref, "activation.moved", context, moved_from=activation.id)


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
                    _check_kind(license, backend)
                    _check_end(license, now)
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
        _check_kind(by_id[license_id], backend)
        chosen.append(by_id[license_id])
    return chosen


async def _provision(backend: ContainerBackend, wanted: Container, context: Context) -> ContainerRef:
    """The container that is meant."""
    return await backend.provision(
        ContainerRequest(
            user=None if context.subject is None else context.subject.user,
            container_id=wanted.container_id,
            request=_decoded(wanted.request, "/container/request"),
        )
    )


async def _place(
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
        id=new_id("act"), ticket_id=ticket.id, container_id=container.id, activated_at=now, state="confirmed"
    )
    placed = []
    for license, count in seats:
        # None left is refused as one too many is, and for the same reasons.
        await save_stock(license, stock_of(license).place(max(1, count)))
        license.first_activated_at = license.first_activated_at or now
        await license.save(update_fields=["first_activated_at"])
        terms = terms_of(license)
        _check_end(license, now)
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
            leasing=backend.leasing and ref.user is not None,
            seats=count,
            overdraft=overdraft,
            unlimited=terms.license_model == "unlimited",
            valid_until=validity_of(license, terms).until,
        )
        placed.append({"license_id": license.id, "quantity": count})
    delivery = await _update(container, backend, ref)
    activation.state = "confirmed" if delivery is None else "delivered"
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
    shown = await _shown(activation)
    return shown if delivery is None else msgspec.structs.replace(shown, delivery=_encoded(delivery))


async def _take_back(
    activation: models.Activation, receipt: str | None, event: str, context: Context
) -> list[tuple[models.License, int]]:
    """End the leases, close the pools, give the seats back; the licenses with the seats they had placed."""
    pools, licenses = await _lock_contents(activation, context)
    container = await models.Container.filter(id=activation.container_id).select_for_update().get()
    backend = context.plugins.container(container.kind)
    if receipt is not None and not isinstance(backend, OfflineDelivery):
        raise InvalidRequest.at("/receipt", f"a container of kind {container.kind!r} is on the server and gives none")
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
    activation.state = "returned"
    activation.ended_at = now
    await activation.save()
    await _update(container, backend, ContainerRef(binding=container.binding, user=container.user_id))
    context.record(
        event,
        activation_id=activation.id,
        container_id=container.id,
        licenses=[{"license_id": license.id, "quantity": count} for license, count in taken],
    )
    return taken


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


async def _update(
    container: models.Container, backend: ContainerBackend, ref: ContainerRef
) -> containers.Delivery | None:
    """Tell the container what it holds from now on."""
    container.sequence += 1
    await container.save(update_fields=["sequence"])
    contents = await recorded_contents(container)
    return await backend.apply(ref, Update(sequence=container.sequence, contents=contents))


async def recorded_contents(container: models.Container) -> tuple[Content, ...]:
    """What the core has recorded as the contents of a container, by license id."""
    pools = await models.SeatPool.filter(container_id=container.id, state="open")
    quantities: dict[str, int] = {}
    for pool in pools:
        quantities[pool.license_id] = quantities.get(pool.license_id, 0) + pool.seats
    licenses = await models.License.filter(id__in=list(quantities)).order_by("id") if quantities else []
    return tuple(
        Content(
            license_id=license.id,
            product_code=license.product_code,
            quantity=quantities[license.id],
            terms=msgspec.to_builtins(terms_of(license)),
        )
        for license in licenses
    )


async def _locked(activation_id: str, context: Context) -> models.Activation:
    found = await models.Activation.filter(id=activation_id).select_for_update().first()
    return await _own(found, activation_id, context)


async def _lock_contents(
    activation: models.Activation, context: Context
) -> tuple[list[Pool], dict[str, models.License]]:
    """The pools of an activation that are not closed, and their licenses by id."""
    pools = await context.tx.run(ledger.lock_pools("activation_id", activation.id))
    licenses = await lock_licenses(id__in=[pool.license_id for pool in pools]) if pools else []
    return pools, {license.id: license for license in licenses}


async def _own(activation: models.Activation | None, activation_id: str, context: Context) -> models.Activation:
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


def _check_end(license: models.License, now: datetime) -> None:
    with suppress(LicenseNotYetValid):  # It may wait in its container until its time comes.
        check_validity(validity_of(license, terms_of(license)), now)


def _check_kind(license: models.License, backend: ContainerBackend) -> None:
    if reason := _refused_kind(license, backend):
        raise ContainerKindNotAllowed(reason)


async def _shown(activation: models.Activation) -> Activation:
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


def _decoded(content: str | None, pointer: str) -> bytes:
    try:
        return base64.b64decode(content or "", validate=False)
    except binascii.Error as error:
        raise InvalidRequest.at(pointer, f"not valid base64: {error}") from None


def _encoded(delivery: containers.Delivery) -> Delivery:
    return Delivery(
        media_type=delivery.media_type,
        filename=delivery.filename,
        content=base64.b64encode(delivery.content).decode(),
    )


class RecordedContents(Host):
    """What a container may ask the core: the contents that are recorded for it."""

    async def contents(self, kind: str, binding: str) -> tuple[Content, ...]:
        """The recorded contents, by license id; none if there is no such container."""
        container = await models.Container.get_or_none(kind=kind, binding=binding)
        return () if container is None else await recorded_contents(container)
