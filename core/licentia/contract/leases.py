"""Leases: time-limited claims on seats, and the usage they add up to."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from licentia.contract.operation import Operation, Reply, Request
from licentia.contract.types import (
    Count,
    Cursor,
    Feature,
    Id,
    Instant,
    PageSize,
    ProductCode,
    Quantity,
    Station,
    TtlSeconds,
    User,
)
from licentia.errors import (
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
    """Claim seats, or renew the claim: the id is the client's own, so a repeat renews."""

    lease_id: Annotated[Id, Meta(description="The client's own id of the lease.")]
    product_code: ProductCode
    user: User
    feature: Feature | None = None
    seats: Quantity = 1
    station: Station | None = None
    ttl_seconds: Annotated[TtlSeconds | None, Meta(description="Wanted life; never beyond the license's own.")] = None
    release_date: Annotated[Instant | None, Meta(description="The application's release, for maintenance.")] = None


class ReleaseLease(Request):
    """Give the seats back. Releasing what is gone already is no error."""

    lease_id: Id


class ListLeases(Request):
    """Who holds what."""

    product_code: ProductCode | None = None
    license_id: Id | None = None
    cursor: Cursor | None = None
    limit: PageSize = 100


class GetUsage(Request):
    """Use over a time: from `from`, up to but not including `to`."""

    from_: Annotated[Instant | None, Meta(description="Absent: 30 days before `to`.")] = field(name="from", default=None)
    to: Annotated[Instant | None, Meta(description="Absent: now.")] = None


class Lease(Reply, kw_only=True):
    """A live lease."""

    lease_id: Id
    license_id: Id
    product_code: ProductCode
    user: User
    station: Station | None = None
    feature: Feature | None = None
    seats: Quantity
    granted_at: Instant
    expires_at: Instant


class GrantedLease(Lease, kw_only=True):
    """The claim. `token` is the lease signed as a compact JWS (RFC 7515), to be checked offline with `GET /v1/keys`."""

    seats_in_use: Count
    seats_total: Annotated[Count | None, Meta(description="Absent: unlimited.")] = None
    renew_after_seconds: Annotated[int, Meta(ge=1, le=604_800, description="When to renew: a third of the life.")]
    token: str
    created: Annotated[bool, Meta(description="True when claimed, false when renewed.")]


class LeasePage(Reply):
    """A page of live leases; without `next_cursor` it is the last."""

    leases: list[Lease]
    next_cursor: Cursor | None = None


class LicenseUsage(Reply):
    """Use of one license. `seat_seconds` adds up seats times seconds held, `peak` is the most seats at one instant."""

    license_id: Id
    product_code: ProductCode
    checkouts: Count
    denials: Count
    seat_seconds: Count
    peak: Count


class ProductUsage(Reply):
    """Use of one product code, over all its licenses."""

    product_code: ProductCode
    checkouts: Count
    denials: Count
    seat_seconds: Count
    peak: Count


class Usage(Reply):
    """Use over a time, per license and per product code."""

    from_: Instant = field(name="from")
    to: Instant
    licenses: list[LicenseUsage]
    products: list[ProductUsage]


_REFUSALS = (
    NoFreeSeats, NotLicensed, ProductUnknown, FeatureNotLicensed, LicenseExpired, LicenseNotYetValid, LicenseWithdrawn,
    MaintenanceEnded, Conflict,
)

OPERATIONS = (
    Operation(
        "CheckoutLicense", "licensing", "PUT", "/v1/leases/{lease_id}", "leases:checkout_license", CheckoutLicense,
        GrantedLease, "Claim seats or renew the claim.", _REFUSALS, mutates=True, user=lambda request: request.user,
    ),
    Operation(
        "ReleaseLease", "licensing", "DELETE", "/v1/leases/{lease_id}", "leases:release_lease", ReleaseLease, None,
        "Give the seats back.", mutates=True,
    ),
    Operation(
        "ListLeases", "licensing", "GET", "/v1/leases", "leases:list_leases", ListLeases, LeasePage,
        "List the live leases.",
    ),
    Operation(
        "GetUsage", "licensing", "GET", "/v1/usage", "usage:get_usage", GetUsage, Usage, "Read the use over a time.",
    ),
)
