"""What the terms of a license allow, when, and how its seats are counted."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from licentia.contract.products import Terms
from licentia.errors import FeatureNotLicensed, LicenseExpired, LicenseNotYetValid, MaintenanceEnded


class Validity(msgspec.Struct, frozen=True):
    """From when and until when a license may be used; None: without that bound. `until` itself is outside."""

    since: datetime | None
    until: datetime | None


def validity(terms: Terms, *, activated_at: datetime | None = None, first_used_at: datetime | None = None) -> Validity:
    """The time in which the license may be used: the earliest of all ends that its terms name."""
    ends = [terms.expires_at]
    if terms.expires_after_days is not None and activated_at is not None:
        ends.append(activated_at + timedelta(days=terms.expires_after_days))
    if terms.usage_period_days is not None and first_used_at is not None:
        ends.append(first_used_at + timedelta(days=terms.usage_period_days))
    return Validity(terms.activation_at, min((end for end in ends if end is not None), default=None))


def check_validity(valid: Validity, now: datetime) -> None:
    """Refuse a use outside the time.

    Raises:
        LicenseNotYetValid, LicenseExpired: with the time in the message.
    """
    if valid.since is not None and now < valid.since:
        raise LicenseNotYetValid(f"The license is valid from {valid.since:%Y-%m-%d %H:%M} UTC.")
    if valid.until is not None and now >= valid.until:
        raise LicenseExpired(f"The license expired at {valid.until:%Y-%m-%d %H:%M} UTC.")


def check_use(terms: Terms, *, feature: str | None, release_date: datetime | None) -> None:
    """Refuse a feature or a release that the terms do not cover.

    Raises:
        FeatureNotLicensed: with the features that are.
        MaintenanceEnded: the release is later than the maintenance.
    """
    if feature is not None and feature not in terms.features:
        known = ", ".join(terms.features) or "none"
        raise FeatureNotLicensed(f"The feature {feature!r} is not part of the license; it has: {known}.")
    if terms.maintenance_until is not None and release_date is not None and release_date > terms.maintenance_until:
        raise MaintenanceEnded(
            f"The release of {release_date:%Y-%m-%d} is later than the maintenance, {terms.maintenance_until:%Y-%m-%d}."
        )


def share_key(terms: Terms, *, user: str, station: str | None) -> str | None:
    """Leases of one key count once: per station, per node or per user. None: each by itself.

    A station that was not named shares with nobody.
    """
    if terms.license_model == "named_user":
        return f"user {user}"
    if terms.license_model in ("station_share", "exclusive", "node_locked") and station is not None:
        return f"station {station}"
    return None
