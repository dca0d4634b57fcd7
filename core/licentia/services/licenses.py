"""Licenses: what a user may use, units, withdrawal."""

from __future__ import annotations

import hashlib

import msgspec

from licentia.contract.licenses import (
    ChangedLicense,
    ChangeLicense,
    ConsumedUnits,
    ConsumeUnits,
    ListLicenses,
    UserLicense,
    UserLicenses,
    WithdrawLicense,
    WithdrawnLicense,
)
from licentia.contract.products import Terms
from licentia.domain.instants import to_micros
from licentia.domain.seats import Consume, Consumed
from licentia.domain.terms import check_validity
from licentia.errors import LicenseExpired, LicenseNotYetValid, LicenseWithdrawn, NotFound
from licentia.services.context import Context
from licentia.services.leases import end_all
from licentia.services.stock import lock_licenses, save_stock, stock_of, terms_of, units_of, validity_of
from licentia.services.telling import tell_all
from licentia.storage import ledger, models


async def list_licenses(request: ListLicenses, context: Context) -> UserLicenses:
    """What a user may use now; a license that is not valid yet or no longer is left out."""
    now = await context.db.now()
    pools = await models.SeatPool.filter(user_id__in=list(context.user.bindings), state="open", leasing=True).order_by(
        "id"
    )
    licenses = await models.License.in_bulk({pool.license_id for pool in pools}, "id")
    in_use = await _live_seats([pool.id for pool in pools], to_micros(now), context)
    units = await units_of(licenses)
    shown = []
    for pool in pools:
        license = licenses[pool.license_id]
        terms = terms_of(license)
        valid = validity_of(license, terms)
        try:
            check_validity(valid, now)
        except (LicenseExpired, LicenseNotYetValid):
            continue
        shown.append(
            UserLicense(
                license_id=license.id,
                sku=license.sku,
                product_code=license.product_code,
                name=license.name,
                license_model=terms.license_model,
                features=terms.features,
                seats_total=pool.seats,
                seats_in_use=in_use.get(pool.id, 0),
                container_id=pool.container_id,
                **units[license.id],
                activation_at=valid.since,
                expires_at=valid.until,
                maintenance_until=terms.maintenance_until,
            )
        )
    return UserLicenses(user=context.user.user, licenses=shown)


async def consume_units(request: ConsumeUnits, context: Context) -> ConsumedUnits:
    """Consume units of the licenses that expire soonest; a repeat of the request id consumes nothing."""
    consumed, _ = await context.desk.ask(
        Consume(
            request_id=request.request_id,
            digest=hashlib.sha256(msgspec.json.encode(request)).hexdigest(),
            product_code=request.product_code,
            user=context.user.user,
            bindings=context.user.bindings,
            actor=context.caller.actor,
            units=request.units,
            meter=request.meter or "",
        )
    )
    assert isinstance(consumed, Consumed)
    return ConsumedUnits(remaining=consumed.remaining)


async def withdraw_license(request: WithdrawLicense, context: Context) -> WithdrawnLicense:
    """Take a license back, at once or as its leases run out; withdrawing again changes nothing."""
    await context.tx.run(ledger.lock_pools("license_id", request.license_id))
    licenses = await lock_licenses(id=request.license_id)
    if not licenses:
        raise NotFound(f"There is no license {request.license_id!r}.")
    license = licenses[0]
    before = stock_of(license)
    # Again: an activation may have added one before the license was locked.
    pools = await context.tx.run(ledger.lock_pools("license_id", license.id))
    now = await context.tx.now()
    at_once = request.mode == "now" or not await _any_lives([pool.id for pool in pools], to_micros(now), context)
    after = before.withdraw(at_once=at_once)
    ended = 0
    for pool in pools:
        if at_once:
            ended += await end_all(pool, "lease.ended", now, context)
        await context.tx.run(ledger.set_state(pool, "closing"))
    if after != before:
        await save_stock(license, after)
        context.record(
            "license.withdrawn",
            license_id=license.id,
            reason=request.reason,
            mode=request.mode,
            leases_ended=ended,
        )
        await tell_all({pool.container_id for pool in await models.SeatPool.filter(license_id=license.id)}, context)
    valid = validity_of(license, terms_of(license))
    return WithdrawnLicense(
        license_id=license.id, state=after.state(valid.until, now), reason=request.reason, leases_ended=ended
    )


async def change_license(request: ChangeLicense, context: Context) -> ChangedLicense:
    """Change terms of a license, and have every container that holds it told."""
    await context.tx.run(ledger.lock_pools("license_id", request.license_id))
    licenses = await lock_licenses(id=request.license_id)
    if not licenses:
        raise NotFound(f"There is no license {request.license_id!r}.")
    license = licenses[0]
    if stock_of(license).standing != "live":
        raise LicenseWithdrawn(f"License {license.id!r} was withdrawn.")
    given = msgspec.structs.asdict(request)
    changes = {name: given[name] for name in Terms.__struct_fields__ if given.get(name) is not None}
    before = terms_of(license)
    after = msgspec.structs.replace(before, **changes)
    pending = 0
    if after != before:
        license.terms = msgspec.json.encode(after).decode()
        await license.save(update_fields=["terms"])
        valid = validity_of(license, after)
        pools = models.SeatPool.filter(license_id=license.id).exclude(state="closed")
        await pools.update(valid_until=valid.until)
        pending = await tell_all({pool.container_id for pool in await pools}, context)
        context.record(
            "license.changed", license_id=license.id, reason=request.reason, changes=msgspec.to_builtins(changes)
        )
    return ChangedLicense(
        license_id=license.id,
        features=after.features,
        activation_at=after.activation_at,
        expires_at=after.expires_at,
        maintenance_until=after.maintenance_until,
        updates_pending=pending,
    )


async def _any_lives(pool_ids: list[str], now: int, context: Context) -> bool:
    """Whether a lease of these pools lives; a seat that is kept for somebody is none."""
    rows = await context.tx.run(ledger.live_leases(pool_ids, now))
    return bool(rows)


async def _live_seats(pool_ids: list[str], now: int, context: Context) -> dict[str, int]:
    """Seats in use by leases that live, for each pool that has any; those of one share key count once."""
    if not pool_ids:
        return {}
    marks = ", ".join(f"${index}" for index in range(2, len(pool_ids) + 2))
    rows = await context.db.rows(
        "SELECT pool_id, SUM(seats) AS seats FROM (SELECT pool_id, MAX(seats) AS seats FROM lease"  # noqa: S608
        f" WHERE expires_at > $1 AND pool_id IN ({marks}) GROUP BY pool_id, COALESCE(share_key, id)) AS shared"
        " GROUP BY pool_id",
        now,
        *pool_ids,
    )
    return {row["pool_id"]: int(row["seats"]) for row in rows}
