"""Restores: the licenses of a lost device go to another one, within the vendor's limits."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec

from licentia.containers import OfflineDelivery
from licentia.contract.activations import Activation, ApproveRestore, RestoreActivation, RestoredActivation
from licentia.errors import Conflict
from licentia.services.context import Context
from licentia.services.placing import check_kind, lock_contents, place_again, provision, take_back
from licentia.services.showing import locked, shown
from licentia.services.stock import terms_of
from licentia.storage import models


async def restore_activation(request: RestoreActivation, context: Context) -> RestoredActivation:
    """Take an activation from the device that was lost and place it elsewhere, or say what it waits for."""
    activation = await locked(request.activation_id, context)
    if activation.ended_at is not None:
        raise Conflict(
            f"The activation {activation.id!r} ended already.", help="`licentia ticket show` shows what followed it."
        )
    container = await models.Container.get(id=activation.container_id)
    if not isinstance(context.plugins.container(container.kind), OfflineDelivery):
        raise Conflict(
            f"The activation {activation.id!r} is on the server and cannot be lost.", help="Move it instead."
        )
    target = context.plugins.container(request.container.kind)
    _, licenses = await lock_contents(activation, context)
    for license in licenses.values():
        check_kind(license, target)
    now = await context.tx.now()
    if not activation.restore_approved:
        _check_limit(licenses.values())
        waits_until = _waits_until(activation, licenses.values(), now)
        if activation.restore_asked_at is None:
            activation.restore_asked_at = now
            await activation.save(update_fields=["restore_asked_at"])
            context.record("restore.asked", activation_id=activation.id)
        if waits_until is None or waits_until > now:
            waiting = msgspec.structs.replace(await shown(activation), state="restoring", restorable_at=waits_until)
            return RestoredActivation(**msgspec.structs.asdict(waiting), created=False)
    taken = await take_back(activation, "restored", context)
    for license, _ in taken:
        license.restores += 1
        await license.save(update_fields=["restores"])
    ref = await provision(target, request.container, context)
    if ref.binding == container.binding:
        raise Conflict("The container to restore to is the one that was lost.", help="Make a new container first.")
    placed = await place_again(activation, taken, target, ref, "activation.placed", context)
    return RestoredActivation(**msgspec.structs.asdict(placed), created=True)


async def approve_restore(request: ApproveRestore, context: Context) -> Activation:
    """Let an activation be restored; approving again changes nothing."""
    activation = await locked(request.activation_id, context)
    if activation.ended_at is not None:
        raise Conflict(f"The activation {activation.id!r} ended already.")
    if not activation.restore_approved:
        activation.restore_approved = True
        await activation.save(update_fields=["restore_approved"])
        context.record("restore.approved", activation_id=activation.id, reason=request.reason)
    return await shown(activation)


def _check_limit(licenses: Iterable[models.License]) -> None:
    for license in licenses:
        limit = terms_of(license).restore_limit
        if limit is not None and license.restores >= limit:
            raise Conflict(
                f"License {license.id!r} was restored {license.restores} times; its vendor allows {limit}.",
                help="Ask the vendor, who can approve one more.",
            )


def _waits_until(activation: models.Activation, licenses: Iterable[models.License], now: datetime) -> datetime | None:
    """From when on it may be restored; None: not before it is approved."""
    terms = [terms_of(license) for license in licenses]
    if any(each.restore_approval for each in terms):
        return None
    days = max((each.restore_wait_days or 0 for each in terms), default=0)
    return (activation.restore_asked_at or now) + timedelta(days=days)
