"""Licenses go into a container, and out of it again."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

import msgspec

from licentia.containers import ContainerBackend, ContainerRef, ContainerRequest
from licentia.contract.activations import (
    Activation,
    Container,
)
from licentia.domain.instants import from_micros, to_micros
from licentia.domain.seats import Pool
from licentia.domain.terms import check_validity
from licentia.errors import (
    Conflict,
    ContainerKindNotAllowed,
    LicenseNotYetValid,
)
from licentia.services.away import allot, give_units_back
from licentia.services.context import Context, new_id
from licentia.services.leases import end_all
from licentia.services.showing import decoded, shown
from licentia.services.stock import lock_licenses, save_stock, stock_of, terms_of, validity_of
from licentia.services.telling import encoded, tell
from licentia.storage import ledger, models


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


async def provision(backend: ContainerBackend, wanted: Container, context: Context) -> ContainerRef:
    """The container that is meant."""
    return await backend.provision(
        ContainerRequest(
            user=None if context.subject is None else context.subject.user,
            container_id=wanted.container_id,
            request=decoded(wanted.request, "/container/request"),
        )
    )


async def _container(kind: str, ref: ContainerRef, context: Context) -> models.Container:
    """The container of this binding, locked; made if it is new."""
    found = await models.Container.filter(kind=kind, binding=ref.binding).select_for_update().first()
    if found is not None:
        return found
    return await models.Container.create(
        id=new_id("con"), kind=kind, binding=ref.binding, user_id=ref.user, created_at=await context.tx.now()
    )


async def lock_contents(
    activation: models.Activation, context: Context
) -> tuple[list[Pool], dict[str, models.License]]:
    """The pools of an activation that are not closed, and their licenses by id."""
    pools = await context.tx.run(ledger.lock_pools("activation_id", activation.id))
    licenses = await lock_licenses(id__in=[pool.license_id for pool in pools]) if pools else []
    return pools, {license.id: license for license in licenses}


def check_kind(license: models.License, backend: ContainerBackend) -> None:
    """Refuse a kind of container that the license must not go into."""
    if reason := _refused_kind(license, backend):
        raise ContainerKindNotAllowed(reason)


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
