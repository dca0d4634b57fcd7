"""Leases: claim, renew, release, list."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec

from licentia.contract.leases import CheckoutLicense, GrantedLease, Lease, LeasePage, ListLeases, ReleaseLease
from licentia.domain.terms import Validity, check_use, check_validity, share_key, validity
from licentia.errors import (
    Conflict,
    LicenseExpired,
    LicenseWithdrawn,
    LicensingError,
    NoFreeSeats,
    NotLicensed,
)
from licentia.services.context import Context
from licentia.services.products import check_product_code
from licentia.storage import ledger
from licentia.storage.fields import from_micros, to_micros
from licentia.storage.ledger import Held, Pool


async def checkout_license(request: CheckoutLicense, context: Context) -> GrantedLease:
    """Renew the lease of this id if it lives, else claim it."""
    known = await ledger.find_lease(context.tx, request.lease_id)
    pools, others = await ledger.lock_usable_pools(
        context.tx, context.user.bindings, request.product_code, also=known.pool_id if known else ""
    )
    found = await _lock_lease(request.lease_id, [*pools, *others], context)
    now = await context.tx.now()
    if found is not None:
        lease, pool = found
        if lease.expires_at > now:
            return await _renew(request, lease, pool, now, context)
        after = await _end(pool, [lease], "lease.expired", now, context)
        pools = [after if pool.id == after.id else pool for pool in pools]
    return await _claim(request, pools, now, context)


async def release_lease(request: ReleaseLease, context: Context) -> None:
    """Give the seats back, at once or when they have lingered; what is gone already is as good as released."""
    if found := await _lock_lease(request.lease_id, [], context):
        lease, pool = found
        if _is_own(lease, context):
            now = await context.tx.now()
            if lease.expires_at <= now:
                await _end(pool, [lease], "lease.expired", now, context)
            elif not pool.terms.linger_seconds:
                await _end(pool, [lease], "lease.released", now, context)
            elif lease.released_at is None:
                until = _not_beyond(pool, now + timedelta(seconds=pool.terms.linger_seconds))
                await ledger.linger(context.tx, lease, until, now)
                context.record("lease.lingers", lease_id=lease.id, license_id=lease.license_id, until=until)


async def list_leases(request: ListLeases, context: Context) -> LeasePage:
    """Live leases by id; an end user sees the own ones only."""
    filters = {"product_code": request.product_code, "license_id": request.license_id}
    if context.caller.subject is not None:
        filters["user_id"] = context.caller.subject.user
    chosen = {column: value for column, value in filters.items() if value is not None}
    now = await context.db.now()
    where = "".join(f" AND {column} = ${index}" for index, column in enumerate(chosen, start=3))
    rows = await context.db.rows(
        f"SELECT * FROM lease WHERE expires_at > $1 AND id > $2{where} ORDER BY id LIMIT {request.limit + 1}",  # noqa: S608
        to_micros(now),
        request.cursor or "",
        *chosen.values(),
    )
    page = [_shown(row) for row in rows[: request.limit]]
    return LeasePage(leases=page, next_cursor=page[-1].lease_id if len(rows) > request.limit else None)


async def end_all(pool: Pool, kind: str, now: datetime, context: Context) -> int:
    """End every lease of a locked pool, for the vendor or the owner; how many lived."""
    leases = await ledger.leases_of(context.tx, pool.id)
    await _end(pool, leases, kind, now, context)
    return sum(lease.expires_at > now for lease in leases)


async def _lock_lease(lease_id: str, locked: list[Pool], context: Context) -> tuple[Held, Pool] | None:
    """The lease of this id with its pool, which is locked by now: only then does nobody else change it."""
    pools = {pool.id: pool for pool in locked}
    while lease := await ledger.find_lease(context.tx, lease_id):
        if lease.pool_id in pools:
            return lease, pools[lease.pool_id]
        pools[lease.pool_id] = await ledger.lock_pool(context.tx, lease.pool_id)
    return None


async def _renew(request: CheckoutLicense, lease: Held, pool: Pool, now: datetime, context: Context) -> GrantedLease:
    if not _is_own(lease, context):
        raise Conflict("The lease id is in use by somebody else.", help="Make lease ids that are unique, as UUIDs are.")
    claim = (request.product_code, context.user.user, request.seats)
    if claim != (lease.product_code, lease.user_id, lease.seats):
        raise Conflict(
            "The lease was claimed with another product code, user or number of seats.",
            help="Release the lease, or claim the other under an id of its own.",
        )
    try:
        if pool.state != "open":
            raise LicenseWithdrawn("The license was withdrawn by the vendor.")
        if pool.user_id not in context.user.bindings:
            raise NotLicensed(f"The user {request.user!r} has no license for {request.product_code!r} any more.")
        check_validity(Validity(pool.terms.activation_at, pool.valid_until), now)
    except (LicenseWithdrawn, NotLicensed, LicenseExpired):
        await _end(pool, [lease], "lease.ended", now, context)
        context.keep = True
        raise
    check_use(pool.terms, feature=request.feature, release_date=request.release_date)
    expires_at = _expiry(request, pool, now)
    await ledger.renew(context.tx, lease, expires_at, now)
    renewed = msgspec.structs.replace(lease, expires_at=expires_at)
    return _granted(renewed, pool, pool.in_use, now, context, created=False)


async def _claim(request: CheckoutLicense, pools: list[Pool], now: datetime, context: Context) -> GrantedLease:
    """Take seats of the first license that has them: the one that expires soonest, then by id."""
    if not pools:
        raise await why_nothing(request.product_code, context)
    refusal: LicensingError | None = None
    full: list[Pool] = []
    for pool in sorted(pools, key=lambda pool: (pool.valid_until is None, pool.valid_until, pool.id)):
        try:
            check_validity(Validity(pool.terms.activation_at, pool.valid_until), now)
            check_use(pool.terms, feature=request.feature, release_date=request.release_date)
        except LicensingError as error:
            if refusal is None or isinstance(refusal, LicenseExpired):
                refusal = error
            continue
        if granted := await _grant(request, pool, now, context):
            return granted
        full.append(pool)
    if not full:
        assert refusal is not None
        raise refusal
    context.keep = True
    await _count_denial(full[0], now, context)
    raise NoFreeSeats(await _who_holds(request, full, context))


async def _grant(request: CheckoutLicense, pool: Pool, now: datetime, context: Context) -> GrantedLease | None:
    key = share_key(pool.terms, lease_id=request.lease_id, user=context.user.user, station=request.station)
    for attempt in ("as it is", "without what has expired"):
        if attempt != "as it is":
            expired = await ledger.leases_of(context.tx, pool.id, expired_at=now)
            if not expired:
                return None
            pool = await _end(pool, expired, "lease.expired", now, context)
        shared = [] if key.startswith("lease ") else await ledger.sharing(context.tx, pool, key)
        if shared and pool.terms.license_model == "exclusive":
            continue
        charge = max(0, request.seats - sum(lease.charged for lease in shared))
        if pool.has_room(charge):
            break
    else:
        return None
    pool = await _note_first_use(pool, now, context)
    lease = Held(
        id=request.lease_id,
        pool_id=pool.id,
        license_id=pool.license_id,
        product_code=pool.product_code,
        user_id=context.user.user,
        station=request.station,
        feature=request.feature,
        share_key=key,
        seats=request.seats,
        charged=charge,
        granted_at=now,
        expires_at=_expiry(request, pool, now),
    )
    in_use = await ledger.grant(context.tx, pool, lease)
    assert in_use is not None, "the pool is locked and had room"
    context.record(
        "lease.granted",
        lease_id=lease.id,
        license_id=lease.license_id,
        pool_id=pool.id,
        user=lease.user_id,
        station=lease.station,
        seats=lease.seats,
        charged=lease.charged,
        in_use=in_use,
    )
    return _granted(lease, pool, in_use, now, context, created=True)


async def _note_first_use(pool: Pool, now: datetime, context: Context) -> Pool:
    """A usage period starts with the first use of the license, for all containers it is in."""
    if pool.terms.usage_period_days is None or pool.first_used_at is not None:
        return pool
    row = await context.tx.row(
        "UPDATE license SET first_used_at = COALESCE(first_used_at, $2) WHERE id = $1 RETURNING first_used_at",
        pool.license_id,
        to_micros(now),
    )
    assert row is not None
    used_at = from_micros(row["first_used_at"])
    until = validity(pool.terms, activated_at=pool.first_activated_at, first_used_at=used_at).until
    return msgspec.structs.replace(pool, first_used_at=used_at, valid_until=until)


async def _end(pool: Pool, leases: list[Held], kind: str, now: datetime, context: Context) -> Pool:
    after = await ledger.end(context.tx, pool, leases, now)
    for lease in leases:
        context.record(
            kind,
            lease_id=lease.id,
            license_id=lease.license_id,
            pool_id=pool.id,
            user=lease.user_id,
            station=lease.station,
            seats=lease.seats,
            in_use=after.in_use,
        )
    return after


async def why_nothing(product_code: str, context: Context) -> LicensingError:
    """Why the user has no license for a product code that may be used."""
    await check_product_code(product_code)
    user = context.user
    marks = ", ".join(f"${index}" for index in range(2, len(user.bindings) + 2))
    withdrawn = await context.tx.row(
        "SELECT l.id FROM seat_pool p JOIN license l ON l.id = p.license_id WHERE p.product_code = $1"  # noqa: S608
        f" AND p.user_id IN ({marks}) AND p.state = 'closing' LIMIT 1",
        product_code,
        *user.bindings,
    )
    if withdrawn is not None:
        return LicenseWithdrawn(f"The license of {user.user!r} for {product_code!r} was withdrawn.")
    return NotLicensed(f"The user {user.user!r} has no license for {product_code!r}.")


async def _count_denial(pool: Pool, now: datetime, context: Context) -> None:
    minute = to_micros(now.replace(second=0, microsecond=0))
    await context.tx.rows(
        "INSERT INTO denial (license_id, product_code, minute, count) VALUES ($1, $2, $3, 1)"
        " ON CONFLICT (license_id, minute) DO UPDATE SET count = denial.count + 1",
        pool.license_id,
        pool.product_code,
        minute,
    )


async def _who_holds(request: CheckoutLicense, full: list[Pool], context: Context) -> str:
    seats = sum(pool.seats + pool.overdraft for pool in full)
    holders = [lease for pool in full for lease in await ledger.leases_of(context.tx, pool.id)]
    names = [
        f"{lease.user_id}{' at ' + lease.station if lease.station else ''} until {lease.expires_at:%H:%M:%S} UTC"
        for lease in sorted(holders, key=lambda lease: (lease.expires_at, lease.id))
    ]
    shown = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
    wanted = "" if request.seats == 1 else f" {request.seats} seats were asked for."
    return f"All {seats} seats of {request.product_code!r} are in use, by {shown}.{wanted}"


def _is_own(lease: Held, context: Context) -> bool:
    """Whether the caller may touch the lease: a key may touch any, an end user the own ones."""
    return context.caller.subject is None or context.caller.subject.user == lease.user_id


def _expiry(request: CheckoutLicense, pool: Pool, now: datetime) -> datetime:
    longest = pool.terms.lease_ttl_seconds
    return _not_beyond(pool, now + timedelta(seconds=min(request.ttl_seconds or longest, longest)))


def _not_beyond(pool: Pool, wanted: datetime) -> datetime:
    """A time, but not after the license ends."""
    return wanted if pool.valid_until is None else min(wanted, pool.valid_until)


def _shown(row: dict[str, Any]) -> Lease:
    members = {name: row[name] for name in ("license_id", "product_code", "station", "feature", "seats")}
    return Lease(
        **members,
        lease_id=row["id"],
        user=row["user_id"],
        granted_at=from_micros(row["granted_at"]),
        expires_at=from_micros(row["expires_at"]),
    )


def _granted(
    lease: Held, pool: Pool, in_use: int, now: datetime, context: Context, *, created: bool
) -> GrantedLease:
    token = context.signer.sign(
        {
            "jti": lease.id,
            "sub": lease.user_id,
            "iat": int(now.timestamp()),
            "exp": int(lease.expires_at.timestamp()),
            "license_id": lease.license_id,
            "product_code": lease.product_code,
            "seats": lease.seats,
            "feature": lease.feature,
            "station": lease.station,
        }
    )
    return GrantedLease(
        lease_id=lease.id,
        license_id=lease.license_id,
        product_code=lease.product_code,
        user=lease.user_id,
        station=lease.station,
        feature=lease.feature,
        seats=lease.seats,
        granted_at=lease.granted_at,
        expires_at=lease.expires_at,
        seats_in_use=in_use,
        seats_total=None if pool.unlimited else pool.seats,
        renew_after_seconds=max(1, int((lease.expires_at - now).total_seconds()) // 3),
        token=token,
        created=created,
    )
