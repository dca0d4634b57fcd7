"""Seats of one call out of several licenses, and one lease made of them."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from licentia.errors import Conflict, LicenseWithdrawn, NoFreeSeats, NotLicensed


async def sell(desk: Any, *quantities: int, **terms: Any) -> list[str]:
    """Sell licenses of so many seats to ada, the later ones ending sooner; their ids."""
    found = []
    for number, quantity in enumerate(quantities):
        await desk.product(expires_at=f"{2090 - number}-01-01T00:00:00Z", **terms)
        activation = await desk.activate((await desk.order(str(number), ("1", "cad", quantity))).ticket)
        found.append(activation.licenses[0].license_id)
    return found


def parts(lease: Any) -> list[tuple[str, int]]:
    """Where the seats come from."""
    return [(part.license_id, part.seats) for part in lease.licenses]


async def test_seats_are_spread_only_if_no_license_has_all(desk: Any) -> None:
    """Else those that end soonest are emptied first; the answer and the token tell where from."""
    first, second, third = await sell(desk, 3, 2, 1)
    whole = await desk.checkout("whole", seats=3)
    assert (whole.license_id, whole.licenses) == (first, [])
    await desk("ReleaseLease", lease_id="whole")
    spread = await desk.checkout("spread", seats=5)
    assert parts(spread) == [(third, 1), (second, 2), (first, 2)]
    assert (spread.license_id, spread.seats, spread.seats_in_use, spread.seats_total) == (third, 5, 5, 6)
    part = spread.token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    assert claims["seats"] == 5
    assert claims["licenses"] == [{"license_id": id, "seats": seats} for id, seats in parts(spread)]
    await desk.full(NoFreeSeats, seats=2)
    assert (await desk.checkout("last")).license_id == first


async def test_a_spread_lease_is_one_lease(desk: Any) -> None:
    """It is renewed, listed by its id, given back and run out as a whole."""
    await sell(desk, 1, 1)
    await desk.checkout("a", seats=2)
    renewed = await desk.checkout("a", seats=2)
    assert (renewed.created, len(renewed.licenses)) == (False, 2)
    await desk.full(Conflict, "a", seats=1)
    assert await desk.leases() == ["a", "a"]
    await desk("ReleaseLease", lease_id="a")
    assert await desk.leases() == []
    await desk.checkout("a", seats=2, ttl_seconds=5)
    await desk.sql("UPDATE lease SET expires_at = expires_at - $1", 5_000_000)
    assert (await desk.checkout("b")).seats_in_use == 1
    assert (await desk.checkout("c")).seats_in_use == 1
    usage = await desk("GetUsage")
    assert usage.products[0].peak == 2


@pytest.mark.parametrize("mode", ["now", "at_next_contact"])
async def test_a_part_that_is_withdrawn_ends_the_rest_at_the_renewal(desk: Any, mode: str) -> None:
    """Half a lease is none: the other seats are free for others."""
    first, second = await sell(desk, 1, 1)
    await desk.checkout("a", seats=2)
    await desk("WithdrawLicense", license_id=second, reason="unpaid", mode=mode)
    await desk.full(NotLicensed if mode == "now" else LicenseWithdrawn, "a", seats=2)
    assert await desk.leases() == []
    assert (await desk.checkout("b")).license_id == first


async def test_a_spread_lease_is_borrowed_whole_and_keeps_its_activations(desk: Any) -> None:
    """None of the licenses that it draws on can be returned meanwhile."""
    await sell(desk, 1, 1, offline_days=5)
    lease = await desk.checkout("a", seats=2, borrow_days=5)
    assert lease.state == "borrowed"
    for row in await desk.sql("SELECT id FROM activation"):
        await desk.refused(Conflict, "ReturnActivation", activation_id=row["id"])
    await desk("ReleaseLease", lease_id="a")
    assert (await desk.checkout("b", seats=2)).created


async def test_a_usage_period_ends_all_parts_of_a_lease(desk: Any) -> None:
    """The first use shortens one of the licenses; no part is promised for longer than that."""
    await desk.product(offline_days=30)
    await desk.activate((await desk.order("1")).ticket)
    await desk.product(offline_days=30, usage_period_days=10)
    await desk.activate((await desk.order("2")).ticket)
    lease = await desk.checkout("a", seats=2, borrow_days=30)
    assert {one.expires_at for one in (await desk("ListLeases")).leases} == {lease.expires_at}
    assert (lease.expires_at - lease.granted_at).days == 10


async def test_the_list_of_leases_goes_on_after_a_part(desk: Any) -> None:
    """Pages that end within a spread lease leave out nothing and repeat nothing."""
    await sell(desk, 2, 2, 3)
    await desk.checkout("l1", seats=6)
    await desk.checkout("l10")
    for limit in (1, 2, 3):
        found: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            page = await desk("ListLeases", limit=limit, cursor=cursor)
            found += [lease.lease_id for lease in page.leases]
            cursor = page.next_cursor
        assert found == ["l1", "l1", "l1", "l10"]
