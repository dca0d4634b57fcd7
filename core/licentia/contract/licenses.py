"""Licenses: what a user may use, the units they consume, and what the vendor takes back."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from licentia.contract.operation import Operation, Reply, Request
from licentia.contract.types import (
    Count,
    Days,
    Feature,
    Id,
    Instant,
    LicenseModel,
    LicenseState,
    Name,
    ProductCode,
    ProtectedData,
    Sku,
    Text,
    Units,
    User,
    WithdrawMode,
)
from licentia.errors import (
    Conflict,
    LicenseExpired,
    LicenseNotYetValid,
    LicenseWithdrawn,
    NotFound,
    NotLicensed,
    ProductUnknown,
    UnitsExhausted,
)


class WithdrawLicense(Request):
    """Take a license back.

    `now` ends its leases at once. `at_next_contact` lets them run out; the next claim or renewal is
    refused.
    """

    license_id: Id
    reason: Annotated[Text, Meta(description="Why; kept in the audit trail.")]
    mode: WithdrawMode = "now"


class WithdrawnLicense(Reply):
    """The license after the withdrawal, with the number of leases that were ended."""

    license_id: Id
    state: LicenseState
    reason: Text
    leases_ended: Count


class ChangeLicense(Request):
    """Change what a license allows; what is absent stays as it is.

    Whoever uses it meets the change at the next checkout or renewal; a container away from the server,
    at its next contact.
    """

    license_id: Id
    reason: Annotated[Text, Meta(description="Why; kept in the audit trail.")]
    features: Annotated[list[Feature], Meta(max_length=256)] | None = None
    activation_at: Instant | None = None
    expires_at: Instant | None = None
    maintenance_until: Instant | None = None
    checkpoint_days: Days | None = None
    offline_days: Days | None = None
    protected_data: ProtectedData | None = None


class ChangedLicense(Reply, kw_only=True):
    """The license after the change, and how many containers away from the server will be updated."""

    license_id: Id
    features: list[Feature]
    activation_at: Instant | None = None
    expires_at: Instant | None = None
    maintenance_until: Instant | None = None
    updates_pending: Count


class ListLicenses(Request):
    """What a user may use now, with the seats in use."""

    user: User


class MeterReading(Reply):
    """Units of one kind: how many were sold, how many are left."""

    name: Feature
    units_total: Count
    units_remaining: Count


class UserLicense(Reply):
    """A license that the user may draw on, as far as it is in the user's containers."""

    license_id: Id
    sku: Sku
    product_code: ProductCode
    name: Name
    license_model: LicenseModel
    features: list[Feature]
    seats_total: Count
    seats_in_use: Count
    container_id: Id
    units_total: Count | None = None
    units_remaining: Count | None = None
    meters: list[MeterReading] = []
    activation_at: Instant | None = None
    expires_at: Instant | None = None
    maintenance_until: Instant | None = None


class UserLicenses(Reply):
    """The licenses of one user."""

    user: User
    licenses: list[UserLicense]


class ConsumeUnits(Request):
    """Consume units, once per `request_id` however often it is sent."""

    user: User
    product_code: ProductCode
    units: Units
    request_id: Annotated[Id, Meta(description="The caller's own id of this consumption.")]
    meter: Annotated[Feature | None, Meta(description="The kind of units; absent: those of the term `units`.")] = None


class ConsumedUnits(Reply):
    """What is left to the user of this product's units."""

    remaining: Count


OPERATIONS = (
    Operation(
        "WithdrawLicense", "admin", "POST", "/v1/licenses/{license_id}/withdraw", "licenses:withdraw_license",
        WithdrawLicense, WithdrawnLicense, "Withdraw a license.", (NotFound,), mutates=True,
    ),
    Operation(
        "ChangeLicense", "admin", "POST", "/v1/licenses/{license_id}/change", "licenses:change_license",
        ChangeLicense, ChangedLicense, "Change what a license allows.", (NotFound, Conflict, LicenseWithdrawn), mutates=True,
    ),
    Operation(
        "ListLicenses", "licensing", "GET", "/v1/users/{user}/licenses", "licenses:list_licenses", ListLicenses,
        UserLicenses, "List what a user may use now.", user=lambda request: request.user,
    ),
    Operation(
        "ConsumeUnits", "licensing", "POST", "/v1/users/{user}/units", "licenses:consume_units", ConsumeUnits,
        ConsumedUnits, "Consume units.",
        (NotLicensed, ProductUnknown, UnitsExhausted, LicenseExpired, LicenseNotYetValid, LicenseWithdrawn),
        mutates=True, batched=True, user=lambda request: request.user,
    ),
)
