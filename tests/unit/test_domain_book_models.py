"""The book: which leases share a seat, and for how long it stays whose it was, by the license's model."""

from __future__ import annotations

from typing import Any

from licentia.domain.instants import DAY
from licentia.domain.seats import Full
from licentia.errors import Conflict, InvalidRequest


def test_unlimited_counts_and_never_refuses(tables: Any) -> None:
    """There is no total."""
    tables.pool(license_model="unlimited")
    assert tables.claim("a", seats=1_000_000).in_use == 1_000_000
    assert tables.claim("b").total is None


def test_a_named_user_shares_one_seat(tables: Any) -> None:
    """All leases of one user count once, whichever of them ends first; another user needs another seat."""
    tables.pool(license_model="named_user", user_id="team")
    mine = [tables.claim(id, bindings=("team",)).in_use for id in "abc"]
    assert mine == [1, 1, 1]
    assert isinstance(tables.claim("x", user="ben", bindings=("team",)), Full)
    tables.release("a")
    assert isinstance(tables.claim("x", user="ben", bindings=("team",)), Full)
    for id in "bc":
        tables.release(id)
    assert tables.claim("x", user="ben", bindings=("team",)).created


def test_an_assigned_seat_stays_its_users_for_so_long(tables: Any) -> None:
    """From when it was first taken, leases or none, and is somebody else's after that."""
    tables.pool(license_model="named_user", user_id="team", reassign_after_days=30)
    first = tables.now
    tables.claim("a", bindings=("team",))
    tables.release("a")
    tables.after(days=29)
    assert isinstance(tables.claim("x", user="ben", bindings=("team",)), Full)
    assert tables.claim("a", bindings=("team",)).in_use == 1
    (assigned,) = [seat for seat in tables.seats.values() if seat.state == "assigned"]
    assert assigned.expires_at == first + 30 * DAY
    tables.release("a")
    tables.after(days=1)
    assert tables.claim("x", user="ben", bindings=("team",)).created
    assert tables.kinds()[-3:] == ["seat.unassigned", "seat.assigned", "lease.granted"]
    assert isinstance(tables.claim("a", bindings=("team",)), Full)


def test_a_seat_that_is_no_more_assigned_is_kept_by_its_leases(tables: Any) -> None:
    """Who uses the seat when the assignment ends goes on using it."""
    tables.pool(license_model="named_user", user_id="team", reassign_after_days=1)
    tables.claim("a", bindings=("team",))
    for _ in range(200):
        tables.after(seconds=500)
        assert tables.claim("a", bindings=("team",)).in_use == 1
    assert isinstance(tables.claim("x", user="ben", bindings=("team",)), Full)
    assert tables.live() == ["a"]


def test_a_node_keeps_its_seat_for_good(tables: Any) -> None:
    """A station that has ever had a seat has it for ever; one without a name is refused, one too many as well."""
    tables.pool(seats=2, license_model="node_locked")
    for station in ("ws1", "ws2"):
        tables.claim(station, station=station)
        tables.release(station)
    tables.after(days=10_000)
    assert isinstance(tables.claim("l", station="ws3"), Full)
    assert tables.claim("l", station="ws1").in_use == 2
    assert isinstance(tables.claim("m"), InvalidRequest)
    assert isinstance(tables.claim("l", station="ws2"), Conflict)


def test_an_exclusive_license_runs_once_at_a_station(tables: Any) -> None:
    """A second lease of a station is refused though seats are free, until the first ends in whatever way."""
    tables.pool(seats=3, license_model="exclusive")
    tables.claim("a", station="ws1", ttl_seconds=10)
    assert isinstance(tables.claim("b", station="ws1"), Full)
    assert tables.claim("c").in_use == 2
    tables.after(seconds=10)
    assert tables.claim("b", station="ws1").in_use == 2


def test_a_station_is_charged_its_largest_claim(tables: Any) -> None:
    """The count of a station follows its largest lease, up and down; who names no station shares with nobody."""
    tables.pool(seats=6, license_model="station_share")
    assert [tables.claim(f"l{seats}", station="ws1", seats=seats).in_use for seats in (2, 5, 1)] == [2, 5, 5]
    assert tables.claim("alone").in_use == 6
    assert isinstance(tables.claim("alone too"), Full)
    for gone, left in (("l5", 3), ("l2", 2), ("l1", 1)):
        tables.release(gone)
        assert tables.pools["p1"].in_use == left
