"""Borrowing: a lease for working offline, which nothing but its end or its release takes back from who is away."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

from licentia.errors import BorrowNotAllowed, Conflict, LicenseWithdrawn, NoFreeSeats

DAY = 86_400_000_000


async def pass_days(desk: Any, days: float) -> None:
    """Let all leases be older."""
    micros = int(days * DAY)
    await desk.sql("UPDATE lease SET granted_at = granted_at - $1, expires_at = expires_at - $1", micros)


async def test_a_borrowed_seat_is_taken_until_it_ends(desk: Any) -> None:
    """For the days wished, with a token that says so; the seat is free after that without anybody's doing."""
    await desk.sold(offline_days=14)
    lease = await desk.checkout("away", borrow_days=3)
    assert (lease.state, lease.expires_at - lease.granted_at) == ("borrowed", timedelta(days=3))
    part = lease.token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    assert (claims["borrowed"], claims["exp"]) == (True, int(lease.expires_at.timestamp()))
    await pass_days(desk, 2.9)
    assert "ada until 20" in (await desk.full(NoFreeSeats)).detail
    assert (await desk("ListLeases")).leases[0].state == "borrowed"
    await pass_days(desk, 0.2)
    assert (await desk.checkout("next")).seats_in_use == 1


async def test_no_more_days_than_the_license_allows(desk: Any) -> None:
    """More are cut to `offline_days`, and none outlives the license."""
    await desk.sold(quantity=2, offline_days=14, expires_after_days=20)
    lease = await desk.checkout("a", borrow_days=365)
    assert lease.expires_at - lease.granted_at == timedelta(days=14)
    await desk.sql("UPDATE license SET first_activated_at = first_activated_at - $1", 15 * DAY)
    assert (await desk.checkout("b", borrow_days=14)).expires_at < lease.granted_at + timedelta(days=6)


async def test_a_renewal_keeps_what_was_borrowed(desk: Any) -> None:
    """Being online for a moment shortens nothing; only more days prolong it."""
    await desk.sold(offline_days=14)
    lease = await desk.checkout(borrow_days=10)
    await pass_days(desk, 1)
    for fields in ({}, {"ttl_seconds": 60}, {"borrow_days": 1}):
        renewed = await desk.checkout(**fields)
        assert (renewed.state, renewed.expires_at) == ("borrowed", lease.expires_at - timedelta(days=1))
    assert (await desk.checkout(borrow_days=14)).expires_at > lease.expires_at
    assert (await desk.kinds()).count("lease.borrowed") == 2


async def test_who_comes_back_early_gives_the_seat_back(desk: Any) -> None:
    """It is free at once, though released seats of the license linger."""
    await desk.sold(offline_days=14, linger_seconds=600)
    await desk.checkout(borrow_days=14)
    await desk("ReleaseLease", lease_id="l1")
    assert (await desk.checkout("b", "ada")).created


async def test_a_license_without_offline_days_stays_online(desk: Any) -> None:
    """The refusal says which term is missing; a live lease goes on as it is."""
    await desk.sold()
    lease = await desk.checkout("a")
    for lease_id in ("a", "b"):
        assert "offline_days" in (await desk.full(BorrowNotAllowed, lease_id, borrow_days=1)).detail
    assert [(one.lease_id, one.expires_at) for one in (await desk("ListLeases")).leases] == [("a", lease.expires_at)]


async def test_an_activation_is_kept_while_somebody_is_away(desk: Any) -> None:
    """Returning or moving it would sell the seat twice: it is refused, until the lease was released or has ended."""
    activation = await desk.sold(quantity=2, offline_days=14)
    await desk.checkout("away", borrow_days=7)
    await desk.checkout("here")
    refusal = await desk.refused(Conflict, "ReturnActivation", activation_id=activation.activation_id)
    assert "'away', by ada" in refusal.detail
    container = {"kind": "cloud-lite", "user": "ben"}
    await desk.refused(Conflict, "MoveActivation", activation_id=activation.activation_id, container=container)
    assert await desk.leases() == ["away", "here"]
    await pass_days(desk, 7)
    moved = await desk("MoveActivation", activation_id=activation.activation_id, container=container)
    await desk.checkout("away", "ben", borrow_days=7)
    await desk("ReleaseLease", lease_id="away")
    assert (await desk("ReturnActivation", activation_id=moved.activation_id)).state == "returned"


async def test_the_vendor_may_take_back_what_is_borrowed(desk: Any) -> None:
    """A withdrawal at the next contact waits for who is away; one that is to be now does not."""
    activation = await desk.sold(offline_days=14)
    await desk.checkout("away", borrow_days=7)
    withdraw = {"license_id": activation.licenses[0].license_id, "reason": "unpaid"}
    assert (await desk("WithdrawLicense", mode="at_next_contact", **withdraw)).state == "withdraw_pending"
    assert await desk.leases() == ["away"]
    assert (await desk("WithdrawLicense", mode="now", **withdraw)).leases_ended == 1
    await desk.full(LicenseWithdrawn, "away", borrow_days=7)
