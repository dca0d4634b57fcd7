"""A license in an act-file: what the application is shown, and what its terms allow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from licentia.client.actfile.held import check, consume, shown, terms_of
from licentia.contract.products import Terms
from licentia.errors import (
    FeatureNotLicensed,
    LicenseExpired,
    LicenseNotYetValid,
    LicensingError,
    MaintenanceEnded,
    UnitsExhausted,
    UpdateRequired,
)
from licentia.exchange.messages import Held, Use

NOW = datetime(2027, 1, 15, 8, tzinfo=UTC)
DAY = timedelta(days=1)


def at(**days: float) -> int:
    """Seconds since 1970, so many days from now."""
    return int((NOW + timedelta(**days)).timestamp())


def held(terms: dict[str, Any] | None = None, **fields: Any) -> Held:
    """A license with these terms."""
    given = {"activation_id": "act", "license_id": "lic", "product_code": "cad", "name": "CAD", "quantity": 1}
    return Held(terms={"license_model": "floating"} | (terms or {}), **{**given, **fields})  # type: ignore[arg-type]


def used(first: int | None = None, **units: int) -> Use:
    """What was used of it."""
    return Use(activation_id="act", license_id="lic", first_used_at=first, units=units)


def allowed(license: Held, use: Use | None = None, now: datetime = NOW, **wanted: Any) -> None:
    """Check it; everything else allows it."""
    check(license, use, now, **({"feature": None, "release_date": None} | wanted))


@pytest.mark.parametrize(
    ("terms", "fields", "use", "wanted", "error"),
    [
        ({}, {}, None, {}, None),
        ({"activation_at": "2027-01-15T08:00:00Z"}, {}, None, {}, None),
        ({"activation_at": "2027-01-15T08:00:01Z"}, {}, None, {}, LicenseNotYetValid),
        ({}, {"valid_until": at(seconds=1)}, None, {}, None),
        ({}, {"valid_until": at()}, None, {}, LicenseExpired),
        ({}, {"contact_by": at(seconds=1)}, None, {}, None),
        ({}, {"contact_by": at()}, None, {}, UpdateRequired),
        ({"usage_period_days": 3}, {}, None, {}, None),
        ({"usage_period_days": 3}, {}, used(at(days=-2)), {}, None),
        ({"usage_period_days": 3}, {}, used(at(days=-3)), {}, LicenseExpired),
        ({"usage_period_days": 3}, {"valid_until": at(days=-1)}, used(at()), {}, LicenseExpired),
        ({"features": ["pro"]}, {}, None, {"feature": "pro"}, None),
        ({"features": ["pro"]}, {}, None, {"feature": "max"}, FeatureNotLicensed),
        ({"maintenance_until": "2027-01-01T00:00:00Z"}, {}, None, {"release_date": NOW}, MaintenanceEnded),
        ({"maintenance_until": "2027-01-01T00:00:00Z"}, {}, None, {"release_date": NOW - 20 * DAY}, None),
        ({"maintenance_until": "2027-01-01T00:00:00Z"}, {}, None, {}, None),
    ],
)
def test_what_the_terms_allow(
    terms: dict[str, Any],
    fields: dict[str, Any],
    use: Use | None,
    wanted: dict[str, Any],
    error: type[LicensingError] | None,
) -> None:
    """Each bound lets through up to its last second and refuses from then on, by its own name."""
    if error is None:
        allowed(held(terms, **fields), use, **wanted)
    else:
        with pytest.raises(error):
            allowed(held(terms, **fields), use, **wanted)


def test_a_checkpoint_says_what_to_do() -> None:
    """Who has been away for too long is told until when, and how to make contact."""
    with pytest.raises(UpdateRequired, match=r"2027-01-15 08:00 UTC") as refusal:
        allowed(held(contact_by=at()))
    assert "contact" in refusal.value.next_step


def test_what_is_shown() -> None:
    """The application sees what is left, and the end that comes first."""
    terms = {"features": ["basic", "pro"], "usage_period_days": 3, "protected_data": "for the application"}
    license = held(terms, valid_until=at(days=9), contact_by=at(days=2), units={"": 100, "pages": 5}, quantity=7)
    fresh = shown(license, None)
    assert (fresh.expires_at, fresh.contact_by) == (NOW + 9 * DAY, NOW + 2 * DAY)
    assert (fresh.quantity, fresh.features, fresh.units) == (7, ("basic", "pro"), {"": 100, "pages": 5})
    assert fresh.data == "for the application"
    after = shown(license, Use(activation_id="act", license_id="lic", first_used_at=at(), units={"": 40}))
    assert (after.expires_at, after.units) == (NOW + 3 * DAY, {"": 60, "pages": 5})


def test_terms_of_a_newer_server_are_left_aside() -> None:
    """A term that this version does not know changes nothing."""
    assert terms_of(held({"quantum_days": 3})) == terms_of(held())
    assert isinstance(terms_of(held()), Terms)


@given(total=st.integers(0, 1000), wishes=st.lists(st.integers(1, 400), max_size=20))
def test_never_more_units_than_there_are(total: int, wishes: list[int]) -> None:
    """Units are used up to the last one, and a wish for more than is left takes nothing."""
    license, use, left = held(units={"": total}), used(), total
    for units in wishes:
        if units <= left:
            use, left = consume(license, use, "", units), left - units
        else:
            with pytest.raises(UnitsExhausted, match=f"{left} units are left"):
                consume(license, use, "", units)
        assert use.units.get("", 0) == total - left


def test_meters_do_not_mix() -> None:
    """Each meter has its own units; one that the license lacks has none."""
    license = held(units={"": 1, "pages": 2})
    use = consume(license, used(), "pages", 2)
    assert consume(license, use, "", 1).units == {"pages": 2, "": 1}
    with pytest.raises(UnitsExhausted):
        consume(license, use, "films", 1)
    assert msgspec.structs.replace(use) == use
