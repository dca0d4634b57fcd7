"""Usage: what the report counts, by license and by product."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from licentia.errors import Forbidden, InvalidRequest, NoFreeSeats


async def shift(desk: Any, seconds: int) -> None:
    """Let everything that happened so far be older."""
    micros = seconds * 1_000_000
    await desk.sql("UPDATE lease SET granted_at = granted_at - $1, expires_at = expires_at - $1", micros)
    await desk.sql("UPDATE past_lease SET granted_at = granted_at - $1, ended_at = ended_at - $1", micros)
    await desk.sql("UPDATE denial SET minute = minute - $1", micros)


def counts(usage: Any) -> list[tuple[Any, ...]]:
    """The numbers of a report, per product."""
    return [(one.product_code, one.checkouts, one.denials, one.seat_seconds, one.peak) for one in usage.products]


async def test_leases_add_up(desk: Any) -> None:
    """Checkouts, denials, seat-seconds and peak of two products, live leases counted up to now."""
    await desk.sold("cad", quantity=3)
    await desk.sold("cam")
    await desk.checkout("a", seats=2)
    await desk.checkout("b")
    await desk.full(NoFreeSeats)
    await desk.full(NoFreeSeats)
    await shift(desk, 100)
    await desk("ReleaseLease", lease_id="a")
    await desk.checkout("c", product_code="cam")
    usage = await desk("GetUsage")
    # c has lived a moment only; a and b 100 seconds each.
    assert counts(usage) == [("cad", 2, 2, 300, 3), ("cam", 1, 0, 0, 1)]
    assert usage.from_ == (usage.to - timedelta(days=30)).replace(minute=0, second=0, microsecond=0)
    by_license = [(one.product_code, one.checkouts, one.denials, one.seat_seconds, one.peak) for one in usage.licenses]
    assert sorted(by_license) == counts(usage)


async def test_a_renewal_is_no_checkout(desk: Any) -> None:
    """A lease counts once however often it was renewed."""
    await desk.sold()
    for _ in range(3):
        await desk.checkout()
    assert counts(await desk("GetUsage")) == [("cad", 1, 0, 0, 1)]


async def test_only_the_time_asked_for_counts(desk: Any) -> None:
    """From the start, up to but without the end; what lies outside is not there."""
    await desk.sold()
    lease = await desk.checkout("a")
    await shift(desk, 3600)
    await desk("ReleaseLease", lease_id="a")
    start = lease.granted_at - timedelta(seconds=3600)
    # The lease ended with its life of 600 seconds, though the release came much later.
    window = {"from": (start + timedelta(seconds=500)).isoformat(), "to": (start + timedelta(seconds=900)).isoformat()}
    assert counts(await desk("GetUsage", **window)) == [("cad", 0, 0, 100, 1)]
    before = {"from": (start - timedelta(seconds=9)).isoformat(), "to": start.isoformat()}
    assert counts(await desk("GetUsage", **before)) == []
    assert counts(await desk("GetUsage", **{"from": start.isoformat()})) == [("cad", 1, 0, 600, 1)]


async def test_a_lease_nobody_cleared_away_counts_to_its_end(desk: Any) -> None:
    """A lease that ran out counts for its life, not for the time since."""
    await desk.sold()
    await desk.checkout("a", ttl_seconds=60)
    await shift(desk, 1000)
    assert counts(await desk("GetUsage")) == [("cad", 1, 0, 60, 1)]


async def test_seats_that_are_shared_are_counted_once(desk: Any) -> None:
    """Five leases of one named user are one seat in the report too, at its peak and over its time."""
    await desk.sold(license_model="named_user")
    for number in range(5):
        await desk.checkout(f"l{number}")
    await shift(desk, 100)
    await desk("ReleaseLease", lease_id="l0")
    assert counts(await desk("GetUsage")) == [("cad", 5, 0, 100, 1)]


async def test_a_handed_on_seat_is_no_peak_of_two(desk: Any) -> None:
    """Who gets the seat that another just gave back makes no second one."""
    await desk.sold(quantity=2)
    for number in range(4):
        await desk.checkout(f"l{number}")
        await desk("ReleaseLease", lease_id=f"l{number}")
    assert counts(await desk("GetUsage")) == [("cad", 4, 0, 0, 1)]


async def test_a_time_that_ends_before_it_starts(desk: Any) -> None:
    """Is refused by the field; the ends of the calendar are an answer, not a failure."""
    for window in ({"from": "2026-05-01T00:00:00Z", "to": "2026-05-01T00:00:00Z"}, {"from": "9999-01-01T00:00:00Z"}):
        refusal = await desk.refused(InvalidRequest, "GetUsage", **window)
        assert [problem.pointer for problem in refusal.problems] == ["/from"]
    assert counts(await desk("GetUsage", **{"from": "1970-01-01T00:00:00Z", "to": "9999-12-31T23:59:59Z"})) == []
    with contextlib.suppress(InvalidRequest):
        await desk("GetUsage", to="0001-01-02T00:00:00Z")


async def test_a_user_does_not_read_the_usage_of_all(desk: Any, user: Callable[..., Any]) -> None:
    """The report is the vendor's."""
    await desk.refused(Forbidden, "GetUsage", caller=user("ada"))
