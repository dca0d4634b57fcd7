"""Withdrawal: the vendor takes a license back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from licentia.errors import LicenseWithdrawn, NotFound


async def withdraw(desk: Any, license_id: str, mode: str = "now") -> Any:
    """Take a license back."""
    return await desk("WithdrawLicense", license_id=license_id, reason="unpaid", mode=mode)


async def test_withdrawing_now_ends_everything_at_once(desk: Any) -> None:
    """Leases are gone, no new one is granted, nobody can activate what is left, and the number that ended is told."""
    await desk.product()
    order = await desk.order("1", ("1", "cad", 3))
    await desk.activate(order.ticket, quantity=2)
    for lease_id in "ab":
        await desk.checkout(lease_id)
    license_id = order.licenses[0].license_id
    reply = await withdraw(desk, license_id)
    assert (reply.state, reply.leases_ended, reply.reason) == ("withdrawn", 2, "unpaid")
    assert await desk.leases() == []
    for lease_id in "ac":
        await desk.full(LicenseWithdrawn, lease_id)
    assert (await desk("ListLicenses", user="ada")).licenses == []
    (license,) = (await desk("GetTicket", code=order.ticket)).licenses
    assert (license.state, license.available) == ("withdrawn", 0)
    withdrawn = [event.data for event in await desk.events() if event.kind == "license.withdrawn"]
    assert withdrawn == [{"license_id": license_id, "reason": "unpaid", "mode": "now", "leases_ended": 2}]


async def test_withdrawing_at_the_next_contact_lets_leases_run_out(desk: Any) -> None:
    """What was granted goes on until its end; the renewal and every new claim are refused."""
    activation = await desk.sold(quantity=3)
    await desk.checkout("a")
    await desk.checkout("b", ttl_seconds=5)
    license_id = activation.licenses[0].license_id
    reply = await withdraw(desk, license_id, "at_next_contact")
    assert (reply.state, reply.leases_ended) == ("withdraw_pending", 0)
    assert await desk.leases() == ["a", "b"]
    await desk.full(LicenseWithdrawn, "c")
    await desk.full(LicenseWithdrawn, "a")
    assert await desk.leases() == ["b"]
    await desk.sql("UPDATE lease SET expires_at = 1")
    await desk.full(LicenseWithdrawn, "b")
    assert (await withdraw(desk, license_id, "at_next_contact")).state == "withdrawn"


async def test_nothing_to_wait_for(desk: Any) -> None:
    """Without a live lease the next contact is now."""
    activation = await desk.sold()
    await desk.checkout()
    await desk("ReleaseLease", lease_id="l1")
    assert (await withdraw(desk, activation.licenses[0].license_id, "at_next_contact")).state == "withdrawn"


async def test_withdrawing_again_changes_nothing(desk: Any) -> None:
    """A license is withdrawn once; a later, milder withdrawal does not bring it back, a harder one ends the rest."""
    activation = await desk.sold(quantity=2)
    license_id = activation.licenses[0].license_id
    await desk.checkout()
    await withdraw(desk, license_id, "at_next_contact")
    assert (await withdraw(desk, license_id, "now")).leases_ended == 1
    assert (await withdraw(desk, license_id, "at_next_contact")).state == "withdrawn"
    assert (await withdraw(desk, license_id, "now")).leases_ended == 0
    assert (await desk.kinds()).count("license.withdrawn") == 2
    await desk.refused(NotFound, "WithdrawLicense", license_id="lic_none", reason="")


async def test_a_later_order_does_not_undo_a_withdrawal(desk: Any) -> None:
    """The vendor's decision survives every new version of the order."""
    await desk.product()
    order = await desk.order("1", ("1", "cad", 1))
    await desk.activate(order.ticket)
    await withdraw(desk, order.licenses[0].license_id)
    more = await desk.order("1", ("1", "cad", 5))
    assert (more.licenses[0].state, more.licenses[0].available) == ("withdrawn", 0)
    await desk.full(LicenseWithdrawn)


async def test_another_license_of_the_product_goes_on(desk: Any) -> None:
    """Only the withdrawn license is gone for its user."""
    first = await desk.sold()
    second = await desk.activate((await desk.order("2")).ticket)
    await withdraw(desk, first.licenses[0].license_id)
    assert (await desk.checkout()).license_id == second.licenses[0].license_id


@pytest.mark.parametrize("mode", ["now", "at_next_contact"])
async def test_a_withdrawn_license_can_be_returned_and_its_order_settled(desk: Any, mode: str) -> None:
    """After the return of what was withdrawn a cancelled order owes nothing any more."""
    await desk.product()
    order = await desk.order("1", ("1", "cad", 2))
    activation = await desk.activate(order.ticket)
    await desk.checkout()
    await withdraw(desk, order.licenses[0].license_id, mode)
    await desk("ReturnActivation", activation_id=activation.activation_id)
    cancelled = await desk("CancelOrder", source="erp", order_number="1")
    assert (cancelled.to_reclaim, cancelled.status) == (0, "cancelled")


@pytest.mark.parametrize("mode", ["now", "at_next_contact"])
async def test_a_withdrawn_license_does_not_move(desk: Any, mode: str) -> None:
    """Moving what was taken back is refused, and makes no empty activation."""
    activation = await desk.sold()
    await desk.checkout()
    await withdraw(desk, activation.licenses[0].license_id, mode)
    container = {"kind": "cloud-lite", "user": "ben"}
    await desk.refused(LicenseWithdrawn, "MoveActivation", activation_id=activation.activation_id, container=container)
    assert await desk.sql("SELECT COUNT(*) AS n FROM activation") == [{"n": 1}]


async def test_claims_and_a_withdrawal_at_once(desk: Any) -> None:
    """Whoever comes first: after a withdrawal no lease is left and none can be had."""
    activation = await desk.sold(quantity=30)
    outcomes = await asyncio.gather(
        *[desk.checkout(f"l{number}") for number in range(15)],
        withdraw(desk, activation.licenses[0].license_id),
        *[desk.checkout(f"m{number}") for number in range(15)],
        return_exceptions=True,
    )
    failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert {type(failure) for failure in failures} <= {LicenseWithdrawn}
    assert await desk.leases() == []
    await desk.full(LicenseWithdrawn)
