"""Leases: time-limited claims on seats."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from licentia.contract.operation import Operation, Reply, Request
from licentia.contract.types import (
    Count,
    Cursor,
    Days,
    Feature,
    Id,
    Instant,
    LeaseState,
    PageSize,
    ProductCode,
    Quantity,
    Station,
    TtlSeconds,
    User,
)
from licentia.errors import (
    BorrowNotAllowed,
    Conflict,
    FeatureNotLicensed,
    LicenseExpired,
    LicenseNotYetValid,
    LicenseWithdrawn,
    MaintenanceEnded,
    NoFreeSeats,
    NotLicensed,
    ProductUnknown,
)


class CheckoutLicense(Request):
    """Claim seats, or renew the claim: the id is the client's own, so a repeat renews.

    With `borrow_days` the lease is for working offline: its seats stay taken until it is released or
    ends, and a renewal never shortens it.
    """

    lease_id: Annotated[Id, Meta(description="The client's own id of the lease.")]
    product_code: ProductCode
    user: User
    feature: Feature | None = None
    seats: Quantity = 1
    station: Station | None = None
    ttl_seconds: Annotated[TtlSeconds | None, Meta(description="Wanted life; never beyond the license's own.")] = None
    release_date: Annotated[Instant | None, Meta(description="The application's release, for maintenance.")] = None
    borrow_days: Annotated[Days | None, Meta(description="Days to work offline; never beyond the license's own.")] = None
    wait_seconds: Annotated[
        int, Meta(ge=0, le=300, description="How long to wait for one's turn, first come first served, if all seats are taken.")
    ] = 0


class ReleaseLease(Request):
    """Give the seats back. Releasing what is gone already is no error."""

    lease_id: Id


class ListLeases(Request):
    """Who holds what."""

    product_code: ProductCode | None = None
    license_id: Id | None = None
    cursor: Cursor | None = None
    limit: PageSize = 100


class LicenseSeats(Reply):
    """Seats of one license."""

    license_id: Id
    seats: Quantity


class Lease(Reply, kw_only=True):
    """A live lease. One over several licenses is listed once for each."""

    lease_id: Id
    license_id: Id
    product_code: ProductCode
    user: User
    station: Station | None = None
    feature: Feature | None = None
    seats: Quantity
    granted_at: Instant
    expires_at: Instant
    state: Annotated[LeaseState, Meta(description="`lingering`: released, and its seats are free at `expires_at`.")] = "live"


class GrantedLease(Lease, kw_only=True):
    """The claim. `token` is the lease signed as a compact JWS (RFC 7515), to be checked offline with `GET /v1/keys`."""

    licenses: Annotated[
        list[LicenseSeats], Meta(description="Where the seats come from, if that is more than one license.")
    ] = []
    seats_in_use: Count
    seats_total: Annotated[Count | None, Meta(description="Absent: unlimited.")] = None
    renew_after_seconds: Annotated[int, Meta(ge=1, le=604_800, description="When to renew: a third of the life, at most a week.")]
    token: str
    created: Annotated[bool, Meta(description="True when claimed, false when renewed.")]


class LeasePage(Reply):
    """A page of live leases; without `next_cursor` it is the last."""

    leases: list[Lease]
    next_cursor: Cursor | None = None


_REFUSALS = (
    NoFreeSeats, NotLicensed, ProductUnknown, FeatureNotLicensed, LicenseExpired, LicenseNotYetValid, LicenseWithdrawn,
    MaintenanceEnded, BorrowNotAllowed, Conflict,
)

OPERATIONS = (
    Operation(
        "CheckoutLicense", "licensing", "PUT", "/v1/leases/{lease_id}", "leases:checkout_license", CheckoutLicense,
        GrantedLease, "Claim seats or renew the claim.", _REFUSALS, mutates=True, batched=True, waits=True, user=lambda request: request.user,
    ),
    Operation(
        "ReleaseLease", "licensing", "DELETE", "/v1/leases/{lease_id}", "leases:release_lease", ReleaseLease, None,
        "Give the seats back.", mutates=True, batched=True,
    ),
    Operation(
        "ListLeases", "licensing", "GET", "/v1/leases", "leases:list_leases", ListLeases, LeasePage,
        "List the live leases.",
    ),
)
