"""The book: seats are claimed, renewed, given back and freed by time, within what the license allows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from licentia.domain.instants import DAY, SECOND
from licentia.domain.seats import Again, Full, Granted
from licentia.errors import (
    Conflict,
    FeatureNotLicensed,
    LicenseExpired,
    LicenseNotYetValid,
    LicenseWithdrawn,
    MaintenanceEnded,
    NotLicensed,
    ProductUnknown,
)

LATE = "2099-01-01T00:00:00Z"


def test_a_claim_takes_a_seat_and_a_repeat_renews_it(tables: Any) -> None:
    """The same id a second time has no seat more, the same beginning and a later end."""
    tables.pool(seats=2)
    claimed = tables.claim()
    assert (claimed.created, claimed.in_use, claimed.total) == (True, 1, 2)
    assert claimed.parts[0].expires_at == tables.now + 600 * SECOND
    tables.after(seconds=100)
    renewed = tables.claim()
    assert (renewed.created, renewed.in_use) == (False, 1)
    assert renewed.parts[0].granted_at == claimed.parts[0].granted_at
    assert renewed.parts[0].expires_at == tables.now + 600 * SECOND
    assert tables.kinds() == ["lease.granted"]


def test_who_comes_when_all_is_taken_is_refused(tables: Any) -> None:
    """The refusal knows the pools and how many seats they have; the denial is counted for the license."""
    tables.pool(seats=1, overdraft=1)
    tables.claim("a")
    tables.claim("b")
    full = tables.claim("c")
    assert isinstance(full, Full)
    assert (full.pools, full.seats) == (("p1",), 2)
    assert dict(tables.book.denied) == {("license of p1", "cad", "no_free_seats"): 1}


def test_an_ended_lease_holds_its_seat_until_somebody_needs_it(tables: Any) -> None:
    """Expiry is a write: it happens in the books when the seat is needed, and not before."""
    tables.pool(seats=2)
    tables.claim("a", ttl_seconds=10)
    tables.after(seconds=10)
    assert tables.claim("b").in_use == 2
    assert tables.claim("c").in_use == 2
    assert tables.kinds() == ["lease.granted", "lease.granted", "lease.expired", "lease.granted"]
    assert [seat.id for seat in tables.book.ended] == ["a"]


def test_a_lease_lives_up_to_its_end_and_not_at_it(tables: Any) -> None:
    """One microsecond before the end it is renewed, at the end it is claimed anew."""
    tables.pool()
    ends = tables.claim(ttl_seconds=10).parts[0].expires_at
    tables.now = ends - 1
    assert not tables.claim(ttl_seconds=10).created
    tables.after(seconds=10)
    assert tables.claim().created


def test_a_release_frees_at_once_and_again_changes_nothing(tables: Any) -> None:
    """What is gone, or never was, is as good as released."""
    tables.pool()
    tables.claim("a")
    for _ in range(2):
        assert tables.release("a") is None
    assert tables.release("never") is None
    assert tables.claim("b").in_use == 1
    assert tables.kinds() == ["lease.granted", "lease.released", "lease.granted"]


def test_only_the_owner_may_touch_a_lease(tables: Any) -> None:
    """An end user who knows the id of another's lease can neither release nor renew it."""
    tables.pool()
    tables.claim("a")
    assert tables.release("a", owner="ben") is None
    assert isinstance(tables.claim("a", owner="ben"), Conflict)
    assert tables.live() == ["a"]
    assert tables.claim("a", owner="ada").created is False


@pytest.mark.parametrize("other", [{"user": "ben"}, {"product_code": "cam"}, {"seats": 2}])
def test_an_id_stands_for_one_claim(tables: Any, other: dict[str, Any]) -> None:
    """The id of a live lease with another user, product or number of seats is a conflict, and changes nothing."""
    tables.pool(seats=5)
    tables.pool("p2", seats=5, product_code="cam")
    before = tables.claim("a").parts[0]
    assert isinstance(tables.claim("a", **other), Conflict)
    assert tables.seats["a"] == before


def test_a_lease_of_a_pool_that_was_not_locked_is_asked_again(tables: Any) -> None:
    """A book without the pool of a lease judges nothing about it."""
    tables.pool("p1")
    tables.claim("a")
    pool = tables.pools.pop("p1")
    tables.check = lambda: None
    assert isinstance(tables.claim("a"), Again)
    assert isinstance(tables.release("a"), Again)
    assert pool.in_use == 1


def test_a_seat_lingers_after_its_release(tables: Any) -> None:
    """It is taken until the linger time is over; a second release prolongs nothing; its client gets it back."""
    tables.pool(linger_seconds=60)
    tables.claim("a")
    tables.release("a")
    tables.after(seconds=50)
    tables.release("a")
    assert tables.seats["a"].state == "lingering"
    assert isinstance(tables.claim("b"), Full)
    back = tables.claim("a")
    assert (back.created, back.parts[0].state) == (False, "live")
    tables.release("a")
    tables.after(seconds=60)
    assert tables.claim("b").created


def test_what_the_terms_do_not_cover(tables: Any) -> None:
    """A feature that is not there, a release after the maintenance; both cost no seat and are counted as denials."""
    tables.pool(features=["mesh"], maintenance_until="2026-01-01T00:00:00Z")
    assert isinstance(tables.claim(feature="render"), FeatureNotLicensed)
    assert isinstance(tables.claim(release_date=datetime(2026, 1, 2, tzinfo=UTC)), MaintenanceEnded)
    assert tables.claim(feature="mesh", release_date=datetime(2026, 1, 1, tzinfo=UTC)).in_use == 1


def test_a_license_is_used_in_its_time_only(tables: Any) -> None:
    """Not before it begins, not from its end on; no lease outlives it, and a renewal after its end ends the lease."""
    tables.pool()
    tables.pools["p1"].since, tables.pools["p1"].until = tables.now + 10 * SECOND, tables.now + 20 * SECOND
    assert isinstance(tables.claim(), LicenseNotYetValid)
    tables.after(seconds=10)
    assert tables.claim().parts[0].expires_at == tables.pools["p1"].until
    tables.pools["p1"].until -= 5 * SECOND
    tables.after(seconds=5)
    assert isinstance(tables.claim(), LicenseExpired)
    assert (tables.seats, tables.kinds()[-1]) == ({}, "lease.ended")
    assert isinstance(tables.claim(), LicenseExpired)


def test_a_usage_period_begins_with_the_first_use(tables: Any) -> None:
    """For every pool of the license; a later use does not begin it anew."""
    first, second = tables.pool("p1", usage_period_days=2), tables.pool("p2", usage_period_days=2, user_id="ben")
    second.license_id = first.license_id
    tables.claim("a")
    ends = tables.now + 2 * DAY
    assert (first.until, second.until, tables.book.first_used) == (ends, ends, {first.license_id})
    tables.after(days=1)
    tables.claim("b", user="ben")
    assert (second.until, tables.book.first_used) == (ends, set())


def test_who_has_nothing_learns_why(tables: Any) -> None:
    """No such product, no license of it, one that was withdrawn."""
    tables.pool(user_id="ben")
    assert isinstance(tables.claim(product_code="nope"), ProductUnknown)
    assert isinstance(tables.claim(), NotLicensed)
    tables.pool("p2", state="closing")
    assert isinstance(tables.claim(), LicenseWithdrawn)
    tables.pool("p3", leasing=False)
    assert isinstance(tables.claim(), LicenseWithdrawn)


def test_a_withdrawn_license_is_not_renewed(tables: Any) -> None:
    """The renewal is refused and frees the seat."""
    tables.pool()
    tables.claim()
    tables.pools["p1"].state = "closing"
    assert isinstance(tables.claim(), LicenseWithdrawn)
    assert tables.seats == {}


def test_who_left_the_group_is_not_renewed(tables: Any) -> None:
    """The seat that the group lent is free again."""
    tables.pool(user_id="team")
    assert isinstance(tables.claim(bindings=("ada", "team")), Granted)
    assert isinstance(tables.claim(bindings=("ada",)), NotLicensed)
    assert tables.seats == {}


def test_the_license_that_ends_first_is_used_first_then_the_smaller_id(tables: Any) -> None:
    """The order in which pools are read does not matter."""
    for id, end in {"p4": None, "p3": LATE, "p2": "2098-01-01T00:00:00Z", "p1": None}.items():
        tables.pool(id, expires_at=end)
    used = [tables.claim(f"l{number}").licenses[0] for number in range(4)]
    assert used == [f"license of {id}" for id in ("p2", "p3", "p1", "p4")]


def test_the_own_licenses_and_those_of_groups_are_drawn_on_in_one_order(tables: Any) -> None:
    """A user and two groups, each named twice: what ends first is used first, whoever it belongs to."""
    early, earlier = "2098-01-01T00:00:00Z", "2097-01-01T00:00:00Z"
    ends = {"p1": ("ada", None), "p2": ("team", LATE), "p3": ("crew", early), "p4": ("ada", earlier)}
    for id, (user, end) in ends.items():
        tables.pool(id, user_id=user, expires_at=end)
    tables.pool("p0", user_id="others", expires_at="2090-01-01T00:00:00Z")
    bindings = ("ada", "team", "crew") * 2
    wishes = [tables.wish(f"l{number}", bindings=bindings) for number in range(5)]
    *granted, full = tables.settle(*wishes)
    assert [each.licenses[0] for each in granted] == [f"license of {id}" for id in ("p4", "p3", "p2", "p1")]
    assert full.pools == ("p4", "p3", "p2", "p1")
