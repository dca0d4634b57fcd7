"""Licenses: what a user may use, units, withdrawal."""

from __future__ import annotations

import hashlib
from datetime import datetime

import msgspec

from licentia.contract.licenses import (
    ConsumedUnits,
    ConsumeUnits,
    ListLicenses,
    UserLicense,
    UserLicenses,
    WithdrawLicense,
    WithdrawnLicense,
)
from licentia.domain.terms import check_validity
from licentia.errors import (
    IdempotencyMismatch,
    LicenseExpired,
    LicenseNotYetValid,
    LicensingError,
    NotFound,
    UnitsExhausted,
)
from licentia.services.context import Context
from licentia.services.leases import end_all, why_nothing
from licentia.services.stock import lock_licenses, save_stock, stock_of, terms_of, validity_of
from licentia.storage import ledger, models
from licentia.storage.fields import to_micros


async def list_licenses(request: ListLicenses, context: Context) -> UserLicenses:
    """What a user may use now; a license that is not valid yet or no longer is left out."""
    now = await context.db.now()
    pools = await models.SeatPool.filter(
        user_id__in=list(context.user.bindings), state="open", leasing=True
    ).order_by("id")
    licenses = await models.License.in_bulk({pool.license_id for pool in pools}, "id")
    in_use = await _live_seats([pool.id for pool in pools], to_micros(now), context)
    shown = []
    for pool in pools:
        license = licenses[pool.license_id]
        terms = terms_of(license)
        valid = validity_of(license, terms)
        try:
            check_validity(valid, now)
        except (LicenseExpired, LicenseNotYetValid):
            continue
        total = license.units_total
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
                units_total=total,
                units_remaining=None if total is None else total - license.units_used,
                activation_at=valid.since,
                expires_at=valid.until,
                maintenance_until=terms.maintenance_until,
            )
        )
    return UserLicenses(user=context.user.user, licenses=shown)


async def consume_units(request: ConsumeUnits, context: Context) -> ConsumedUnits:
    """Consume units of the licenses that expire soonest; a repeat of the request id consumes nothing."""
    digest = hashlib.sha256(msgspec.json.encode(request)).hexdigest()
    pools, _ = await ledger.lock_usable_pools(context.tx, context.user.bindings, request.product_code)
    licenses = await lock_licenses(id__in=[pool.license_id for pool in pools]) if pools else []
    if done := await models.UnitConsumption.get_or_none(request_id=request.request_id):
        if done.digest != digest:
            raise IdempotencyMismatch(f"The request id {request.request_id!r} came with another consumption.")
        return ConsumedUnits(remaining=done.remaining)
    if not licenses:
        raise await why_nothing(request.product_code, context)
    now = await context.tx.now()
    usable = _usable(licenses, now)
    remaining = sum((license.units_total or 0) - license.units_used for license in usable)
    if remaining < request.units:
        raise UnitsExhausted(f"{remaining} units are left; {request.units} were asked for.")
    missing = request.units
    for license in usable:
        taken = min(missing, (license.units_total or 0) - license.units_used)
        if taken:
            license.units_used += taken
            missing -= taken
            await license.save(update_fields=["units_used"])
            await _note_first_use(license, now)
            context.record(
                "units.consumed",
                license_id=license.id,
                user=context.user.user,
                request_id=request.request_id,
                units=taken,
                units_used=license.units_used,
            )
    remaining -= request.units
    await models.UnitConsumption.create(request_id=request.request_id, digest=digest, remaining=remaining, at=now)
    return ConsumedUnits(remaining=remaining)


async def withdraw_license(request: WithdrawLicense, context: Context) -> WithdrawnLicense:
    """Take a license back, at once or as its leases run out; withdrawing again changes nothing."""
    await ledger.lock_pools_of(context.tx, "license_id", request.license_id)
    licenses = await lock_licenses(id=request.license_id)
    if not licenses:
        raise NotFound(f"There is no license {request.license_id!r}.")
    license = licenses[0]
    before = stock_of(license)
    # Again: an activation may have added one before the license was locked.
    pools = await ledger.lock_pools_of(context.tx, "license_id", license.id)
    now = await context.tx.now()
    at_once = request.mode == "now" or not await _live_seats([pool.id for pool in pools], to_micros(now), context)
    after = before.withdraw(at_once=at_once)
    ended = 0
    for pool in pools:
        if at_once:
            ended += await end_all(pool, "lease.ended", now, context)
        await ledger.set_state(context.tx, pool, "closing")
    if after != before:
        await save_stock(license, after)
        context.record(
            "license.withdrawn",
            license_id=license.id,
            reason=request.reason,
            mode=request.mode,
            leases_ended=ended,
        )
    valid = validity_of(license, terms_of(license))
    return WithdrawnLicense(
        license_id=license.id, state=after.state(valid.until, now), reason=request.reason, leases_ended=ended
    )


def _usable(licenses: list[models.License], now: datetime) -> list[models.License]:
    """The licenses that may be used now, the one that expires soonest first.

    Raises:
        LicenseExpired, LicenseNotYetValid: none may.
    """
    usable = []
    refusal: LicensingError | None = None
    for license in licenses:
        valid = validity_of(license, terms_of(license))
        try:
            check_validity(valid, now)
        except (LicenseExpired, LicenseNotYetValid) as error:
            if refusal is None or isinstance(refusal, LicenseExpired):
                refusal = error
        else:
            usable.append((valid.until is None, valid.until, license.id, license))
    if not usable and refusal is not None:
        raise refusal
    return [license for *_, license in sorted(usable, key=lambda entry: entry[:3])]


async def _note_first_use(license: models.License, now: datetime) -> None:
    """A usage period starts with the first use, be it of units."""
    if terms_of(license).usage_period_days is not None and license.first_used_at is None:
        license.first_used_at = now
        await license.save(update_fields=["first_used_at"])


async def _live_seats(pool_ids: list[str], now: int, context: Context) -> dict[str, int]:
    """Seats in use by leases that live, for each pool that has any; those of one share key count once."""
    if not pool_ids:
        return {}
    marks = ", ".join(f"${index}" for index in range(2, len(pool_ids) + 2))
    rows = await context.db.rows(
        "SELECT pool_id, SUM(seats) AS seats FROM (SELECT pool_id, share_key, MAX(seats) AS seats FROM lease"  # noqa: S608
        f" WHERE expires_at > $1 AND pool_id IN ({marks}) GROUP BY pool_id, share_key) AS shared GROUP BY pool_id",
        now,
        *pool_ids,
    )
    return {row["pool_id"]: int(row["seats"]) for row in rows}
