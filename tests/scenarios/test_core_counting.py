"""Counting: who shares a seat with whom, exact whatever is claimed, renewed, released or left to run out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from licentia.errors import NoFreeSeats, NotLicensed

GROUPS = """
from licentia.directories import Subject, UserDirectory
class Plugin(UserDirectory):
    async def _identify(self, claim):
        return Subject(user=claim.user, groups=tuple(self.settings.get(claim.user, ()))) if claim.user else None
"""


async def pass_time(desk: Any, seconds: float) -> None:
    """Let all leases be older by so many seconds."""
    await desk.sql("UPDATE lease SET expires_at = expires_at - $1", int(seconds * 1_000_000))


async def test_a_named_user_is_counted_once(desk: Any) -> None:
    """All leases of one user are one seat, wherever they are; another user needs another."""
    activation = await desk.sold(license_model="named_user")
    for number in range(3):
        lease = await desk.checkout(f"l{number}", station=f"ws{number}")
        assert (lease.seats_in_use, lease.created) == (1, True)
    await desk("ReleaseLease", lease_id="l0")
    await desk("ReleaseLease", lease_id="l1")
    assert (await desk.checkout("l3")).seats_in_use == 1
    assert activation.licenses[0].quantity == 1


async def test_leases_of_one_station_share_a_seat(desk: Any) -> None:
    """Every station is one seat however many users it has; who names no station shares with nobody."""
    await desk.sold(quantity=2, license_model="station_share")
    assert [(await desk.checkout(f"l{number}", station="ws1")).seats_in_use for number in range(3)] == [1, 1, 1]
    assert (await desk.checkout("alone")).seats_in_use == 2
    await desk.full(NoFreeSeats, station="ws2")
    await desk.full(NoFreeSeats)
    assert (await desk.checkout("l9", station="ws1")).seats_in_use == 2


@pytest.mark.parametrize("how", ["release", "expire"])
async def test_the_seat_is_handed_over_when_the_charged_lease_ends(desk: Any, how: str) -> None:
    """While one lease of a station lives, the station keeps its seat, whichever was the first."""
    await desk.sold(quantity=1, license_model="station_share")
    await desk.checkout("first", station="ws1", ttl_seconds=10)
    await desk.checkout("second", station="ws1", ttl_seconds=500)
    if how == "release":
        await desk("ReleaseLease", lease_id="first")
    else:
        await pass_time(desk, 11)
    await desk.full(NoFreeSeats, station="ws2")
    await desk.audit()
    await desk("ReleaseLease", lease_id="second")
    assert (await desk.checkout("third", station="ws2")).seats_in_use == 1


async def test_a_station_is_charged_for_its_largest_claim(desk: Any) -> None:
    """Shared seats follow the largest claim that lives, up and down."""
    await desk.sold(quantity=5, license_model="station_share")
    use = [(await desk.checkout(f"l{seats}", station="ws1", seats=seats)).seats_in_use for seats in (2, 5, 1)]
    assert use == [2, 5, 5]
    await desk.full(NoFreeSeats, station="ws2")
    await desk("ReleaseLease", lease_id="l5")
    assert (await desk.checkout("other", station="ws2", seats=3)).seats_in_use == 5
    await desk("ReleaseLease", lease_id="l2")
    assert (await desk.checkout("more", station="ws2", seats=4)).seats_in_use == 5


async def test_an_exclusive_station_runs_once(desk: Any) -> None:
    """A second lease of the same station is refused, though seats are free for other stations."""
    await desk.sold(quantity=3, license_model="exclusive")
    await desk.checkout("a", station="ws1", ttl_seconds=10)
    assert "ws1" in (await desk.full(NoFreeSeats, station="ws1")).detail
    assert not (await desk.checkout("a", station="ws1", ttl_seconds=10)).created
    await desk.checkout("b", station="ws2")
    assert (await desk.checkout("c")).seats_in_use == 3
    await desk.full(NoFreeSeats, station="ws3")
    await pass_time(desk, 11)
    assert (await desk.checkout("d", station="ws1")).created


async def test_a_group_may_share_a_license(open_desk: Callable[..., Any], install: Callable[..., None]) -> None:
    """What is activated for a group of the vendor's directory is claimed by each of its members, and counted once."""
    install("directories", "company", GROUPS)
    members = {"ada": ["group:cad"], "ben": ["group:cad", "group:cam"]}
    desk = await open_desk(directories=("company",), directory={"company": members})
    await desk.sold("cad", "group:cad", quantity=2)
    leases = [await desk.checkout("a", "ada"), await desk.checkout("b", "ben")]
    assert [(lease.user, lease.seats_in_use) for lease in leases] == [("ada", 1), ("ben", 2)]
    assert "ada until" in (await desk.full(NoFreeSeats, user="ben")).detail
    await desk.full(NotLicensed, user="cy")
    assert [one.product_code for one in (await desk("ListLicenses", user="ada")).licenses] == ["cad"]
    await desk.sold("run", "group:cam", units=10)
    consumed = await desk("ConsumeUnits", user="ben", product_code="run", units=4, request_id="r")
    assert consumed.remaining == 6
    await desk.refused(NotLicensed, "ConsumeUnits", user="ada", product_code="run", units=1, request_id="s")


async def test_a_member_who_left_the_group_is_not_renewed(
    open_desk: Callable[..., Any], install: Callable[..., None], data: Any
) -> None:
    """The next renewal after somebody left the group is refused."""
    install("directories", "company", GROUPS)
    desk = await open_desk(directories=("company",), directory={"company": {"ada": ["group:cad"]}})
    await desk.sold("cad", "group:cad")
    await desk.checkout()
    desk = await open_desk(directories=("company",))
    await desk.full(NotLicensed, "l1")


@pytest.mark.parametrize("tasks", [40])
async def test_many_claims_at_once_never_oversell(desk: Any, tasks: int) -> None:
    """Exactly as many of the claims that come at the same instant are granted as there are seats."""
    await desk.product(overdraft=1)
    order = await desk.order("1", ("1", "cad", 6))
    await desk.activate(order.ticket, quantity=3)
    await desk.activate(order.ticket, quantity=3)
    outcomes = await asyncio.gather(*[desk.checkout(f"l{number}") for number in range(tasks)], return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert {type(outcome) for outcome in refused} == {NoFreeSeats}
    assert tasks - len(refused) == 7
    usage = await desk("GetUsage")
    assert (usage.products[0].checkouts, usage.products[0].denials, usage.products[0].peak) == (7, tasks - 7, 7)


async def test_one_id_claimed_at_once_is_one_lease(desk: Any) -> None:
    """A client that is impatient and sends its claim many times holds one seat."""
    await desk.sold(quantity=5)
    replies = await asyncio.gather(*[desk.checkout() for _ in range(20)])
    assert sum(reply.created for reply in replies) == 1
    assert {reply.seats_in_use for reply in replies} == {1}
    assert await desk.leases() == ["l1"]


async def test_seats_freed_and_claimed_at_once(desk: Any) -> None:
    """Claims, renewals and releases in any interleaving leave the books in order and lose no seat."""
    await desk.sold(quantity=3)

    async def client(name: str) -> None:
        for _ in range(6):
            try:
                await desk.checkout(name)
                await desk.checkout(name)
            except NoFreeSeats:
                continue
            await desk("ReleaseLease", lease_id=name)

    await asyncio.gather(*[client(f"l{number}") for number in range(8)])
    assert await desk.leases() == []
    await desk.audit()
    assert [(await desk.checkout(f"n{number}")).seats_in_use for number in range(3)] == [1, 2, 3]
