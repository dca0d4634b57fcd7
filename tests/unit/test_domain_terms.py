"""Terms: when a license may be used, for what, and whose leases count as one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licentia.contract.products import Terms
from licentia.contract.types import LicenseModel
from licentia.domain.terms import Validity, check_use, check_validity, share_key, validity
from licentia.errors import FeatureNotLicensed, LicenseExpired, LicenseNotYetValid, MaintenanceEnded

NOW = datetime(2026, 5, 1, 12, 30, tzinfo=UTC)
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)
EVENTS = {"activated_at": NOW, "first_used_at": NOW + DAY}


@pytest.mark.parametrize(
    ("terms", "events", "until"),
    [
        ({}, EVENTS, None),
        ({"expires_at": NOW + 9 * DAY}, {}, NOW + 9 * DAY),
        ({"expires_after_days": 3}, EVENTS, NOW + 3 * DAY),
        ({"expires_after_days": 3}, {}, None),
        ({"usage_period_days": 5}, EVENTS, NOW + 6 * DAY),
        ({"usage_period_days": 5}, {"activated_at": NOW}, None),
        ({"expires_at": NOW + 9 * DAY, "expires_after_days": 3}, EVENTS, NOW + 3 * DAY),
        ({"expires_at": NOW + 2 * DAY, "expires_after_days": 3, "usage_period_days": 5}, EVENTS, NOW + 2 * DAY),
        ({"expires_at": NOW + 9 * DAY, "expires_after_days": 8, "usage_period_days": 1}, EVENTS, NOW + 2 * DAY),
    ],
)
def test_a_license_ends_at_the_earliest_of_its_ends(terms: dict[str, Any], events: Any, until: datetime | None) -> None:
    """Each term ends the license alone, and the first of several wins."""
    assert validity(Terms(**terms), **events) == Validity(None, until)


def test_a_license_begins_when_its_terms_say() -> None:
    """Only `activation_at` delays a license."""
    assert validity(Terms(activation_at=NOW), **EVENTS) == Validity(NOW, None)


@pytest.mark.parametrize(
    ("at", "refusal"),
    [
        (NOW - TICK, LicenseNotYetValid),
        (NOW, None),
        (NOW + DAY - TICK, None),
        (NOW + DAY, LicenseExpired),
        (NOW + 9 * DAY, LicenseExpired),
    ],
)
def test_both_ends_are_exact(at: datetime, refusal: type[Exception] | None) -> None:
    """The first instant is inside, the last is outside, to the microsecond."""
    valid = Validity(NOW, NOW + DAY)
    if refusal is None:
        check_validity(valid, at)
    else:
        with pytest.raises(refusal, match=r"2026-05-0[12] 12:30 UTC"):
            check_validity(valid, at)


@given(st.datetimes(timezones=st.just(UTC)))
def test_no_end_never_refuses(at: datetime) -> None:
    """A license without bounds is valid at any time."""
    check_validity(Validity(None, None), at)


def test_a_feature_must_be_part_of_the_license() -> None:
    """A license without the feature refuses it and names those it has; asking for none is always allowed."""
    terms = Terms(features=["mesh", "export"])
    check_use(terms, feature="mesh", release_date=None)
    check_use(terms, feature=None, release_date=None)
    with pytest.raises(FeatureNotLicensed, match=r"'render'.*mesh, export"):
        check_use(terms, feature="render", release_date=None)
    with pytest.raises(FeatureNotLicensed, match="it has: none"):
        check_use(Terms(), feature="render", release_date=None)


def test_maintenance_covers_releases_up_to_its_end() -> None:
    """A release at the very end is covered, one after it is not; use itself goes on for ever."""
    terms = Terms(maintenance_until=NOW)
    check_use(terms, feature=None, release_date=NOW)
    check_use(terms, feature=None, release_date=None)
    check_use(Terms(), feature=None, release_date=NOW + DAY)
    with pytest.raises(MaintenanceEnded, match=r"release of 2026-05-02 .* maintenance, 2026-05-01"):
        check_use(terms, feature=None, release_date=NOW + DAY)


def key(model: LicenseModel, lease_id: str, user: str, station: str | None) -> str:
    """What a lease under this license model is counted by: its share key, or itself."""
    return share_key(Terms(license_model=model), user=user, station=station) or f"lease {lease_id}"


PLACES = st.tuples(
    st.sampled_from(["l1", "l2", "user ada"]), st.sampled_from(["ada", "l1"]), st.sampled_from(["ada", "l1", None])
)


@given(st.sampled_from(get_args(LicenseModel)), PLACES, PLACES)
def test_leases_count_once_per_user_or_station_only(model: LicenseModel, one: Any, other: Any) -> None:
    """Two leases share seats exactly if the model counts by the user or by the station that both name."""
    same_lease = one[0] == other[0]
    if model == "named_user":
        shared = one[1] == other[1]
    elif model in ("station_share", "exclusive", "node_locked"):
        shared = one[2] == other[2] if one[2] and other[2] else same_lease and one[2] == other[2]
    else:
        shared = same_lease
    assert (key(model, *one) == key(model, *other)) is shared
