"""The book: seats of one claim out of several licenses, and leases that are borrowed."""

from __future__ import annotations

from typing import Any

from licentia.domain.instants import DAY, SECOND
from licentia.domain.seats import Full
from licentia.errors import BorrowNotAllowed, Conflict, LicenseWithdrawn, NotLicensed

LATE = "2099-01-01T00:00:00Z"


def test_one_license_with_room_for_all_comes_first(tables: Any) -> None:
    """Nothing is split that need not be, even if a license that ends sooner has a part of it."""
    tables.pool("p1", seats=2, expires_at=LATE)
    tables.pool("p2", seats=3)
    assert tables.claim("a", seats=3).licenses == ("license of p2",)
    assert tables.claim("b", seats=2).licenses == ("license of p1",)


def test_else_seats_are_spread_soonest_end_first(tables: Any) -> None:
    """All that a license has left is taken before the next one is touched; the rows are ID, ID+1, ID+2."""
    tables.pool("p1", seats=3)
    tables.pool("p2", seats=1, expires_at=LATE)
    tables.pool("p3", seats=2)
    granted = tables.claim("a", seats=5)
    shown = [(part.id, part.pool_id, part.seats, part.parts, part.lease_id) for part in granted.parts]
    assert shown == [("a", "p2", 1, 3, "a"), ("a+1", "p1", 3, 3, "a"), ("a+2", "p3", 1, 3, "a")]
    assert (granted.in_use, granted.total) == (5, 6)
    assert granted.licenses == ("license of p2", "license of p1", "license of p3")
    assert isinstance(tables.claim("b", seats=2), Full)


def test_a_split_lease_ends_as_one(tables: Any) -> None:
    """All parts end with that which ends first, are renewed together and given back together."""
    tables.pool("p1", lease_ttl_seconds=100)
    tables.pool("p2", lease_ttl_seconds=50)
    granted = tables.claim("a", seats=2)
    assert {part.expires_at for part in granted.parts} == {tables.now + 50 * SECOND}
    tables.after(seconds=40)
    renewed = tables.claim("a", seats=2)
    assert (renewed.created, len(renewed.parts)) == (False, 2)
    assert {part.expires_at for part in renewed.parts} == {tables.now + 50 * SECOND}
    tables.release("a")
    assert tables.seats == {}
    tables.claim("a", seats=2)
    tables.after(seconds=50)
    assert tables.claim("a", seats=2).created


def test_what_fits_no_part_takes_nothing(tables: Any) -> None:
    """A license without the feature, or that counts stations, gives no part; all or none."""
    tables.pool("p1", features=["mesh"])
    tables.pool("p2")
    tables.pool("p3", license_model="station_share", features=["mesh"])
    assert isinstance(tables.claim("a", seats=3, feature="mesh", station="ws1"), Full)
    assert tables.seats == {}


def test_a_part_that_is_withdrawn_takes_the_rest_along(tables: Any) -> None:
    """The next renewal is refused and frees the other seats, whether the part is gone or only closing."""
    for state, error in (("closed", NotLicensed), ("closing", LicenseWithdrawn)):
        tables.pool("p1")
        tables.pool("p2")
        tables.claim("a", seats=2)
        tables.pools["p2"].state = state
        if state == "closed":
            del tables.seats["a+1"]
            tables.pools["p2"].in_use = 0
        assert isinstance(tables.claim("a", seats=2), error)
        assert tables.seats == {}


def test_a_usage_period_that_begins_with_a_part_ends_all_parts(tables: Any) -> None:
    """No part is promised for longer than another, though the first use shortens one of the licenses."""
    tables.pool("p1", offline_days=30)
    tables.pool("p2", offline_days=30, usage_period_days=10)
    granted = tables.claim("a", seats=2, borrow_days=30)
    assert {part.expires_at for part in granted.parts} == {tables.now + 10 * DAY}


def test_parts_that_linger_differently_are_one_release(tables: Any) -> None:
    """A lease that was released, part of which lingers, can be claimed again by its own id."""
    tables.pool("p1", linger_seconds=60)
    tables.pool("p2")
    tables.claim("a", seats=2)
    tables.release("a")
    again = tables.claim("a", seats=2)
    assert sum(part.seats for part in again.parts) == 2


def test_a_lease_that_lingers_in_part_is_not_anybodys(tables: Any) -> None:
    """An end user who names the lease of another is told so, and its seats linger on."""
    tables.pool("p1", linger_seconds=60)
    tables.pool("p2")
    tables.claim("a", seats=2)
    tables.release("a")
    assert isinstance(tables.claim("a", user="eve", owner="eve", bindings=("ada",)), Conflict)
    assert tables.pools["p1"].in_use == 1


def test_a_borrowed_lease_lasts_as_many_days_as_the_license_allows(tables: Any) -> None:
    """As wished, but no more than `offline_days`, and never beyond the license's own end."""
    tables.pool(seats=3, offline_days=14)
    assert tables.claim("a", borrow_days=3).parts[0].expires_at == tables.now + 3 * DAY
    assert tables.claim("b", borrow_days=365).parts[0].expires_at == tables.now + 14 * DAY
    tables.pools["p1"].until = tables.now + DAY
    assert tables.claim("c", borrow_days=5).parts[0].expires_at == tables.now + DAY
    assert {seat.state for seat in tables.seats.values()} == {"borrowed"}


def test_a_renewal_never_shortens_what_is_borrowed(tables: Any) -> None:
    """With or without days it ends no sooner than it did, and can be prolonged."""
    tables.pool(offline_days=14)
    ends = tables.claim(borrow_days=10).parts[0].expires_at
    tables.after(days=1)
    for fields in ({}, {"borrow_days": 2}):
        renewed = tables.claim(**fields).parts[0]
        assert (renewed.expires_at, renewed.state) == (ends, "borrowed")
    assert tables.claim(borrow_days=14).parts[0].expires_at == tables.now + 14 * DAY


def test_a_live_lease_becomes_a_borrowed_one(tables: Any) -> None:
    """Who goes offline asks for days with the lease that there is."""
    tables.pool(offline_days=14)
    tables.claim()
    borrowed = tables.claim(borrow_days=2)
    assert (borrowed.created, borrowed.parts[0].state) == (False, "borrowed")
    assert tables.kinds() == ["lease.granted", "lease.borrowed"]


def test_a_borrowed_seat_is_free_at_once_when_given_back(tables: Any) -> None:
    """Before its end, and without lingering."""
    tables.pool(offline_days=14, linger_seconds=600)
    tables.claim("a", borrow_days=14)
    assert isinstance(tables.claim("b"), Full)
    tables.release("a")
    assert tables.claim("b").in_use == 1


def test_a_license_without_offline_days_is_not_borrowed(tables: Any) -> None:
    """Neither at the claim nor later, where the lease stays as it was; another license that allows it is found."""
    tables.pool("p1")
    before = tables.claim("a").parts[0]
    assert isinstance(tables.claim("a", borrow_days=1), BorrowNotAllowed)
    assert tables.seats["a"] == before
    assert isinstance(tables.claim("b", borrow_days=1), BorrowNotAllowed)
    tables.pool("p2", offline_days=1)
    assert tables.claim("b", borrow_days=1).licenses == ("license of p2",)


def test_a_split_lease_is_borrowed_whole(tables: Any) -> None:
    """Every part allows it, and all end with the shortest."""
    tables.pool("p1", offline_days=14)
    tables.pool("p2", offline_days=7)
    granted = tables.claim("a", seats=2, borrow_days=10)
    assert {(part.state, part.expires_at) for part in granted.parts} == {("borrowed", tables.now + 7 * DAY)}
