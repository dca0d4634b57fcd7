"""The small rules of a claim: its time, its terms, how long it lasts, what it shares, and what its refusal says."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from licentia.contract.products import Terms
from licentia.domain import seating
from licentia.domain.instants import DAY, FOREVER, SECOND
from licentia.domain.terms import share_key
from licentia.errors import LicenseExpired, LicenseNotYetValid


def terms(**fields: Any) -> Terms:
    """Terms with these fields."""
    return msgspec.convert(fields, Terms)


@pytest.mark.parametrize(
    ("wished", "days", "lasts"),
    [
        (None, None, 600 * SECOND),
        (60, None, 60 * SECOND),
        (3600, None, 600 * SECOND),
        (60, 3, 3 * DAY),
        (None, 8, 7 * DAY),
    ],
)
def test_how_long_a_lease_lasts(tables: Any, wished: int | None, days: int | None, lasts: int) -> None:
    """As wished up to the license's own time; borrowed, the days count and not the seconds."""
    pool = tables.pool(lease_ttl_seconds=600, offline_days=7)
    wish = tables.wish(ttl_seconds=wished, borrow_days=days)
    assert seating.expiry(wish, pool, tables.now) == tables.now + lasts
    pool.until = tables.now + 5
    assert seating.expiry(wish, pool, tables.now) == tables.now + 5


def test_the_time_of_a_license_has_a_beginning_and_no_last_instant(tables: Any) -> None:
    """At its beginning it may be used, at its end no more."""
    pool = tables.pool()
    seating.check_time(pool, 0)
    pool.since, pool.until = 10 * SECOND, 20 * SECOND
    with pytest.raises(LicenseNotYetValid):
        seating.check_time(pool, 10 * SECOND - 1)
    seating.check_time(pool, 10 * SECOND)
    seating.check_time(pool, 20 * SECOND - 1)
    with pytest.raises(LicenseExpired):
        seating.check_time(pool, 20 * SECOND)


def test_a_first_use_shortens_a_license_and_never_prolongs_it(tables: Any) -> None:
    """The usage period counts from the first use, up to whatever end there is already."""
    pool = tables.pool(usage_period_days=2)
    seating.start_period(pool, tables.now)
    assert (pool.first_used_at, pool.until) == (tables.now, tables.now + 2 * DAY)
    pool.until = tables.now + DAY
    seating.start_period(pool, tables.now)
    assert pool.until == tables.now + DAY


@pytest.mark.parametrize(
    ("model", "station", "key"),
    [
        ("floating", "ws1", None),
        ("unlimited", "ws1", None),
        ("named_user", "ws1", "user ada"),
        ("named_user", None, "user ada"),
        ("station_share", "ws1", "station ws1"),
        ("station_share", None, None),
        ("exclusive", "ws1", "station ws1"),
        ("node_locked", "ws1", "station ws1"),
    ],
)
def test_what_counts_together(model: str, station: str | None, key: str | None) -> None:
    """The user, the station, or nothing; a user and a station of one name are not the same."""
    assert share_key(terms(license_model=model), user="ada", station=station) == key


@pytest.mark.parametrize(
    ("given", "until"),
    [
        ({"license_model": "node_locked"}, FOREVER),
        ({"license_model": "named_user", "reassign_after_days": 30}, 30 * DAY),
        ({"license_model": "named_user"}, None),
        ({"license_model": "floating", "reassign_after_days": 30}, None),
    ],
)
def test_how_long_a_seat_stays_whose_it_is(tables: Any, given: dict[str, Any], until: int | None) -> None:
    """A node's for good, a named user's for the days of the terms, everybody else's as long as the leases."""
    pool = tables.pool(**given)
    assert seating.assigned_until(pool, 0) == until


def test_no_lease_has_the_id_of_an_assignment() -> None:
    """It holds a plus sign, fits its column, and differs by pool and by key."""
    ids = {seating.assignment_id(pool, key) for pool in ("p1", "p2") for key in ("user ada", "user ben" * 40)}
    assert len(ids) == 4
    assert all(id.startswith("+") and len(id) <= 64 for id in ids)


def test_the_refusal_names_who_has_the_seats(tables: Any) -> None:
    """By user, station and end: the hour of a live lease, the day of a borrowed one, `for good` of a node's seat."""
    tables.pool(seats=4, offline_days=3)
    tables.pool("p2", license_model="node_locked")
    tables.claim("a", ttl_seconds=60)
    tables.claim("b", borrow_days=3)
    tables.claim("c", station="ws1", seats=2)
    tables.claim("d", station="ws9")
    holders = sorted(tables.seats.values(), key=lambda seat: (seat.expires_at, seat.id))
    said = seating.all_taken(tables.wish(seats=2), 5, holders).detail
    assert said.startswith("All 5 seats of 'cad' are in use, by ada until 08:01:00 UTC, ada at ws")
    assert "ada until 2027-01-18 08:00 UTC" in said
    assert "ada at ws9 for good" in said
    assert said.endswith(" 2 seats were asked for.")
    assert seating.all_taken(tables.wish(), 1, []).detail == "All 1 seats of 'cad' are in use."
