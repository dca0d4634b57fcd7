"""Seats that stay whose they are: a named user's for some days, a node's for good."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from licentia.domain.instants import DAY, FOREVER
from licentia.errors import Conflict, InvalidRequest, LicenseWithdrawn, NoFreeSeats

TEAM = """
from licentia.directories import Subject, UserDirectory
class Plugin(UserDirectory):
    async def _identify(self, claim):
        return Subject(user=claim.user, groups=("group:team",)) if claim.user else None
"""


@pytest.fixture
async def team(open_desk: Callable[..., Any], install: Callable[..., None]) -> Any:
    """A desk whose users are all in one team."""
    install("directories", "company", TEAM)
    return await open_desk(directories=("company",))


async def pass_days(desk: Any, days: float) -> None:
    """Let all leases and assignments be older, but for those that never end."""
    await desk.sql("UPDATE lease SET expires_at = expires_at - $1 WHERE expires_at < $2", int(days * DAY), FOREVER)


async def test_a_named_users_seat_can_be_given_to_another_after_the_days(team: Any) -> None:
    """Until then it is kept, with leases or without, and the refusal says for whom and until when."""
    await team.sold("cad", "group:team", license_model="named_user", reassign_after_days=30)
    await team.checkout("a", "ada")
    await team("ReleaseLease", lease_id="a")
    assert await team.leases() == []
    assert "ada until" in (await team.full(NoFreeSeats, user="ben")).detail
    await pass_days(team, 29)
    await team.full(NoFreeSeats, user="ben")
    assert (await team.checkout("a", "ada")).seats_in_use == 1
    await pass_days(team, 1)
    assert (await team.checkout("b", "ben")).seats_in_use == 1
    await team.full(NoFreeSeats, "a", user="ada")
    kinds = [kind for kind in await team.kinds() if kind.startswith("seat.")]
    assert kinds == ["seat.assigned", "seat.unassigned", "seat.assigned"]


async def test_who_uses_the_seat_at_the_end_of_the_days_goes_on(team: Any) -> None:
    """The assignment ends, the lease does not; when the lease is over another may have the seat."""
    await team.sold("cad", "group:team", license_model="named_user", reassign_after_days=1, lease_ttl_seconds=604_800)
    await team.checkout("a", "ada")
    await pass_days(team, 2)
    await team.full(NoFreeSeats, user="ben")
    assert not (await team.checkout("a", "ada")).created
    await team("ReleaseLease", lease_id="a")
    assert (await team.checkout("b", "ben")).seats_in_use == 1


async def test_without_the_term_a_named_users_seat_is_free_with_the_last_lease(team: Any) -> None:
    """Nothing is assigned."""
    await team.sold("cad", "group:team", license_model="named_user")
    await team.checkout("a", "ada")
    await team("ReleaseLease", lease_id="a")
    assert (await team.checkout("b", "ben")).created


async def test_a_node_has_its_seat_for_good(desk: Any) -> None:
    """However long it is away; another node is refused by name, and one that does not say its name."""
    activation = await desk.sold(quantity=2, license_model="node_locked")
    for station in ("ws1", "ws2"):
        await desk.checkout(station, station=station)
        await desk("ReleaseLease", lease_id=station)
    await pass_days(desk, 9000)
    refusal = await desk.full(NoFreeSeats, station="ws3")
    assert "ada at ws1 for good" in refusal.detail
    refused = await desk.refused(InvalidRequest, "CheckoutLicense", lease_id="x", user="ada", product_code="cad")
    assert [problem.pointer for problem in refused.problems] == ["/station"]
    assert (await desk.checkout("again", station="ws2")).seats_in_use == 2
    await desk.full(Conflict, "again", station="ws1")
    assert await desk.leases() == ["again"]
    (shown,) = (await desk("ListLicenses", user="ada")).licenses
    assert (shown.seats_total, shown.seats_in_use) == (2, 2)
    await desk("ReturnActivation", activation_id=activation.activation_id)
    assert await desk.sql("SELECT * FROM lease") == []


async def test_a_return_lets_a_node_go(desk: Any) -> None:
    """After the license is activated anew, another node may be the one."""
    activation = await desk.sold(license_model="node_locked")
    await desk.checkout("a", station="ws1")
    await desk("ReturnActivation", activation_id=activation.activation_id)
    await desk.activate(activation.ticket)
    assert (await desk.checkout("b", station="ws2")).seats_in_use == 1


@pytest.mark.parametrize(
    "terms", [{"license_model": "node_locked"}, {"license_model": "named_user", "reassign_after_days": 9}]
)
async def test_a_kept_seat_does_not_put_off_a_withdrawal(desk: Any, terms: dict[str, Any]) -> None:
    """With no lease that lives there is nothing to wait for, though seats are assigned."""
    activation = await desk.sold(**terms)
    await desk.checkout("a", station="ws1")
    await desk("ReleaseLease", lease_id="a")
    license_id = activation.licenses[0].license_id
    withdrawn = await desk("WithdrawLicense", license_id=license_id, reason="unpaid", mode="at_next_contact")
    assert (withdrawn.state, withdrawn.leases_ended) == ("withdrawn", 0)
    await desk.full(LicenseWithdrawn, station="ws1")


async def test_an_assigned_seat_is_no_lease(desk: Any) -> None:
    """Neither the list nor the count of ended leases nor the usage shows it."""
    activation = await desk.sold(license_model="node_locked")
    await desk.checkout("a", station="ws1")
    assert await desk.leases() == ["a"]
    license_id = activation.licenses[0].license_id
    assert (await desk("WithdrawLicense", license_id=license_id, reason="")).leases_ended == 1
    assert [one.checkouts for one in (await desk("GetUsage")).products] == [1]
