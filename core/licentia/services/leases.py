"""Leases: claim, renew, release, list."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

from licentia.contract.leases import (
    CheckoutLicense,
    GrantedLease,
    Lease,
    LeasePage,
    LicenseSeats,
    ListLeases,
    ReleaseLease,
)
from licentia.domain.instants import SECOND, from_micros, to_micros
from licentia.domain.seats import Claim, Granted, Pool, Release
from licentia.errors import InvalidRequest
from licentia.services.context import Context
from licentia.storage import ledger

WEEK = 7 * 86_400


async def checkout_license(request: CheckoutLicense, context: Context) -> GrantedLease:
    """Renew the lease of this id if it lives, else claim it."""
    claim = Claim(
        lease_id=request.lease_id,
        product_code=request.product_code,
        user=context.user.user,
        bindings=context.user.bindings,
        actor=context.caller.actor,
        owner=_owner(context),
        seats=request.seats,
        feature=request.feature,
        station=request.station,
        release_date=request.release_date,
        ttl_seconds=request.ttl_seconds,
        borrow_days=request.borrow_days,
    )
    if wait := min(request.wait_seconds, context.settings.limits.wait_seconds):
        granted, token = await context.desk.ask_in_turn(claim, wait)
    else:
        granted, token = await context.desk.ask(claim)
    assert isinstance(granted, Granted)
    return _granted(granted, token)


async def release_lease(request: ReleaseLease, context: Context) -> None:
    """Give the seats back, at once or when they have lingered; what is gone already is as good as released."""
    await context.desk.ask(
        Release(lease_id=request.lease_id, actor=context.caller.actor, owner=_owner(context))
    )


async def list_leases(request: ListLeases, context: Context) -> LeasePage:
    """Live leases by id; an end user sees the own ones only."""
    filters = {"p.product_code": request.product_code, "p.license_id": request.license_id}
    if context.caller.subject is not None:
        filters["l.user_id"] = context.caller.subject.user
    chosen = {column: value for column, value in filters.items() if value is not None}
    now = await context.db.now()
    where = "".join(f" AND {column} = ${index}" for index, column in enumerate(chosen, start=3))
    rows = await context.db.rows(
        "SELECT l.*, p.license_id, p.product_code FROM lease l JOIN seat_pool p ON p.id = l.pool_id"  # noqa: S608
        f" WHERE l.expires_at > $1 AND l.id > $2 AND l.state <> 'assigned'{where} ORDER BY l.id"
        f" LIMIT {request.limit + 1}",
        to_micros(now),
        _after(request.cursor),
        *chosen.values(),
    )
    page = rows[: request.limit]
    return LeasePage(
        leases=[_shown(row) for row in page],
        next_cursor=_cursor(page[-1]["id"]) if len(rows) > request.limit else None,
    )


async def end_all(pool: Pool, kind: str, now: datetime, context: Context) -> int:
    """End every lease of a locked pool, for the vendor or the owner; how many lived."""
    lived, happened = await context.tx.run(ledger.end_all(pool, kind, context.caller.actor, to_micros(now)))
    context.recorded.extend(happened)
    return lived


def _cursor(id: str) -> str:
    """The cursor after a row; a row's id may have a plus sign, a cursor not."""
    return base64.urlsafe_b64encode(id.encode()).decode().rstrip("=")


def _after(cursor: str | None) -> str:
    """The id of the row that a cursor stands for.

    Raises:
        InvalidRequest: it is no cursor of this server.
    """
    if not cursor:
        return ""
    try:
        id = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except ValueError:
        id = "\0"
    if not id.isprintable():
        raise InvalidRequest.at("/cursor", "not a cursor that this server gave")
    return id


def _owner(context: Context) -> str | None:
    """Whose leases the caller may touch: a key may touch any, an end user the own ones."""
    return None if context.caller.subject is None else context.caller.subject.user


def _shown(row: dict[str, Any]) -> Lease:
    members = {name: row[name] for name in ("license_id", "product_code", "station", "feature", "seats", "state")}
    return Lease(
        **members,
        lease_id=row["whole"] or row["id"],
        user=row["user_id"],
        granted_at=from_micros(row["granted_at"]),
        expires_at=from_micros(row["expires_at"]),
    )


def _granted(granted: Granted, token: str) -> GrantedLease:
    first = granted.parts[0]
    several = zip(granted.licenses, granted.parts, strict=True) if len(granted.parts) > 1 else ()
    third = (first.expires_at - granted.now) // SECOND // 3
    return GrantedLease(
        lease_id=first.lease_id,
        license_id=granted.licenses[0],
        product_code=granted.product_code,
        user=first.user_id,
        station=first.station,
        feature=first.feature,
        seats=sum(part.seats for part in granted.parts),
        licenses=[LicenseSeats(license_id=license_id, seats=part.seats) for license_id, part in several],
        granted_at=from_micros(first.granted_at),
        expires_at=from_micros(first.expires_at),
        state=first.state,  # type: ignore[arg-type]
        seats_in_use=granted.in_use,
        seats_total=granted.total,
        renew_after_seconds=min(WEEK, max(1, third)),
        token=token,
        created=granted.created,
    )
