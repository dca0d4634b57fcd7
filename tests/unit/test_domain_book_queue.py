"""The book: who waits for a seat gets it in turn."""

from __future__ import annotations

from typing import Any

from licentia.domain.seats import Full, Granted, Release, Waiting
from licentia.errors import LicenseWithdrawn


def waiting(tables: Any, id: str, **fields: Any) -> Any:
    """Claim with time to wait."""
    return tables.claim(id, may_wait=True, **fields)


def test_who_waits_is_served_in_the_order_of_coming(tables: Any) -> None:
    """The answer says how many are ahead; whoever asks first after a release, the first in the queue gets the seat."""
    tables.pool()
    tables.claim("holder")
    assert [waiting(tables, id) for id in "abc"] == [Waiting(0), Waiting(1), Waiting(2)]
    assert waiting(tables, "b") == Waiting(1)
    tables.release("holder")
    assert waiting(tables, "c") == Waiting(2)
    assert waiting(tables, "b") == Waiting(1)
    assert isinstance(waiting(tables, "a"), Granted)
    assert (waiting(tables, "b"), tables.pools["p1"].waiters) == (Waiting(0), 2)


def test_a_newcomer_does_not_overtake(tables: Any) -> None:
    """Who will not wait is refused while others do, though a seat is free; with seats for all nobody is held up."""
    tables.pool(seats=2)
    for id in ("h1", "h2"):
        tables.claim(id)
    waiting(tables, "a")
    tables.release("h1")
    assert isinstance(tables.claim("quick"), Full)
    tables.release("h2")
    assert isinstance(tables.claim("quick"), Granted)
    assert isinstance(waiting(tables, "a"), Granted)


def test_a_renewal_needs_no_turn(tables: Any) -> None:
    """Who has a seat keeps it, however many wait for it."""
    tables.pool()
    tables.claim("holder")
    waiting(tables, "a")
    assert tables.claim("holder").created is False


def test_a_seat_that_is_shared_needs_no_turn(tables: Any) -> None:
    """One more lease of a station that has its seat takes nothing from those who wait."""
    tables.pool(license_model="station_share")
    tables.claim("holder", station="ws1")
    waiting(tables, "a", station="ws2")
    assert isinstance(tables.claim("more", station="ws1"), Granted)


def test_who_is_silent_for_three_seconds_has_gone(tables: Any) -> None:
    """The place is lost, and the others move up; who comes back stands at the end."""
    tables.pool()
    tables.claim("holder")
    waiting(tables, "a")
    tables.after(seconds=2)
    waiting(tables, "b")
    tables.after(seconds=0.999)
    assert waiting(tables, "b") == Waiting(1)
    tables.after(seconds=0.001)
    assert waiting(tables, "b") == Waiting(0)
    assert waiting(tables, "a") == Waiting(1)
    assert [waiter.lease_id for waiter in tables.waiters] == ["b", "a"]


def test_a_claim_whose_time_is_over_leaves_the_queue(tables: Any) -> None:
    """It is refused, and holds up nobody after that."""
    tables.pool()
    tables.claim("holder")
    waiting(tables, "a")
    assert isinstance(tables.claim("a"), Full)
    assert (tables.waiters, tables.pools["p1"].waiters) == ([], 0)
    tables.release("holder")
    assert isinstance(tables.claim("b"), Granted)


def test_who_waits_for_several_licenses_leaves_all_queues_at_once(tables: Any) -> None:
    """One place in each, and none when a seat is found."""
    tables.pool("p1")
    tables.pool("p2")
    for id in ("h1", "h2"):
        tables.claim(id)
    waiting(tables, "a")
    assert [waiter.pool_id for waiter in tables.waiters] == ["p1", "p2"]
    tables.release("h2")
    assert isinstance(waiting(tables, "a"), Granted)
    assert [pool.waiters for pool in tables.pools.values()] == [0, 0]


def test_many_seats_are_not_starved_by_single_ones(tables: Any) -> None:
    """A claim for two waits until two are free; those for one that came later do not take them one by one."""
    tables.pool(seats=2)
    for id in ("h1", "h2"):
        tables.claim(id)
    waiting(tables, "big", seats=2)
    waiting(tables, "small")
    tables.release("h1")
    assert waiting(tables, "small") == Waiting(1)
    tables.release("h2")
    assert isinstance(waiting(tables, "big", seats=2), Granted)


def test_an_ended_lease_makes_way_for_who_waits(tables: Any) -> None:
    """Time frees seats for the queue as a release does."""
    tables.pool()
    tables.claim("holder", ttl_seconds=2)
    waiting(tables, "a")
    tables.after(seconds=1)
    waiting(tables, "a")
    waiting(tables, "b")
    tables.after(seconds=1)
    assert waiting(tables, "b") == Waiting(1)
    assert isinstance(waiting(tables, "a"), Granted)


def test_one_transaction_judges_in_the_order_of_coming(tables: Any) -> None:
    """Release, the waiting claim and a newcomer in one batch: the seat goes to who waited."""
    tables.pool()
    tables.claim("holder")
    waiting(tables, "a")
    outcomes = tables.settle(
        Release(lease_id="holder", actor="key"),
        tables.wish("quick"),
        tables.wish("late", may_wait=True),
        tables.wish("a", may_wait=True),
    )
    assert [type(outcome) for outcome in outcomes] == [type(None), Full, Waiting, Granted]


def test_the_vendor_sends_the_queue_home(tables: Any) -> None:
    """Who waits for a license that is withdrawn is told so and leaves no place behind."""
    tables.pool()
    tables.claim("holder")
    waiting(tables, "a")
    tables.pools["p1"].state = "closing"
    assert isinstance(waiting(tables, "a"), LicenseWithdrawn)
    assert tables.waiters == []


def test_who_can_never_be_served_does_not_wait(tables: Any) -> None:
    """A claim for more seats than there are is refused at once, and holds up nobody."""
    tables.pool(seats=3)
    assert isinstance(waiting(tables, "huge", seats=4), Full)
    assert isinstance(tables.claim("one"), Granted)


def test_who_waits_for_a_station_leaves_seats_to_others(tables: Any) -> None:
    """An exclusive license's free seat is not kept for a claim that waits for its own station only."""
    tables.pool(seats=2, license_model="exclusive")
    tables.claim("a", station="ws1")
    assert isinstance(waiting(tables, "again", station="ws1"), Waiting)
    assert isinstance(tables.claim("other", station="ws2"), Granted)
