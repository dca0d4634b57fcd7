"""Activations: licenses put into containers, taken back, moved."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from licentia.errors import (
    Conflict,
    ContainerKindNotAllowed,
    ContainerUnknown,
    InvalidRequest,
    LicenseExpired,
    LicenseWithdrawn,
    NotFound,
    NotLicensed,
    TicketExhausted,
)

ADA = {"kind": "cloud-lite", "user": "ada"}
BEN = {"kind": "cloud-lite", "user": "ben"}
VAULT = """
from licentia.containers import ContainerBackend, ContainerRef, Delivery, OfflineDelivery
class Plugin(ContainerBackend, OfflineDelivery):
    device_bound = True
    async def _provision(self, wanted):
        return ContainerRef(binding=wanted.request.decode() or "nowhere", user=wanted.user)
    async def _apply(self, ref, update):
        text = " ".join(f"{one.product_code}={one.quantity}" for one in update.contents)
        return Delivery(media_type="text/plain", filename="vault.txt", content=f"{update.sequence}: {text}".encode())
    async def _read(self, ref): return await self.host.contents(self.kind, ref.binding)
    async def _retire(self, ref): return None
    async def _confirm(self, ref, receipt): return int(receipt)
"""
BAG = VAULT.replace("device_bound = True", "device_bound = False")


@pytest.fixture
async def both(open_desk: Callable[..., Any], install: Callable[..., None]) -> Any:
    """A desk with cloud-lite and two offline containers of somebody else, one of them device-bound."""
    install("containers", "vault", VAULT)
    install("containers", "bag", BAG)
    return await open_desk(containers=("cloud-lite", "vault", "bag"))


def placed(activation: Any) -> dict[str, int]:
    """The seats of an activation by product code."""
    return {license.product_code: license.quantity for license in activation.licenses}


async def test_all_that_is_left_is_the_default(desk: Any) -> None:
    """Without a choice every license of the ticket goes in, with all its seats."""
    await desk.product("cad", quantity=3)
    await desk.product("cam")
    order = await desk.order("1", ("1", "cad", 1), ("2", "cam", 2))
    activation = await desk.activate(order.ticket)
    assert placed(activation) == {"cad": 3, "cam": 2}
    assert (activation.state, activation.user, activation.kind, activation.delivery) == (
        "confirmed", "ada", "cloud-lite", None,
    )  # fmt: skip
    assert await desk("GetActivation", activation_id=activation.activation_id) == activation
    refusal = await desk.refused(TicketExhausted, "ActivateTicket", code=order.ticket, container=BEN)
    assert "activated" in refusal.detail


async def test_some_licenses_of_a_ticket(desk: Any) -> None:
    """Only those that are named go in, once each; what is left goes in later."""
    await desk.product("cad")
    await desk.product("cam")
    order = await desk.order("1", ("1", "cad", 1), ("2", "cam", 1))
    chosen = order.licenses[1].license_id
    assert placed(await desk.activate(order.ticket, license_ids=[chosen, chosen])) == {"cam": 1}
    assert placed(await desk.activate(order.ticket)) == {"cad": 1}


async def test_a_license_of_another_ticket_is_pointed_at(desk: Any) -> None:
    """A license id that is not on the ticket is refused by its place, and nothing is activated."""
    await desk.product()
    order, other = await desk.order("1"), await desk.order("2")
    refusal = await desk.refused(InvalidRequest, "ActivateTicket", code=order.ticket, container=ADA,
                                 license_ids=[order.licenses[0].license_id, other.licenses[0].license_id])  # fmt: skip
    assert [problem.pointer for problem in refusal.problems] == ["/license_ids/1"]
    assert await desk.sql("SELECT id FROM activation") == []


async def test_two_containers_share_a_license(desk: Any) -> None:
    """Parts of a license go to several users, each with seats of their own, until none is left."""
    await desk.product()
    order = await desk.order("1", ("1", "cad", 3))
    await desk.activate(order.ticket, "ada", quantity=2)
    refusal = await desk.refused(TicketExhausted, "ActivateTicket", code=order.ticket, container=BEN, quantity=2)
    assert "1 of 3 seats are left; 2 were asked for" in refusal.detail
    await desk.activate(order.ticket, "ben", quantity=1)
    assert (await desk.checkout("a", "ada", seats=2)).seats_total == 2
    assert (await desk.checkout("b", "ben")).seats_total == 1
    await desk.refused(TicketExhausted, "ActivateTicket", code=order.ticket, container=ADA)


async def test_a_user_has_one_container(desk: Any) -> None:
    """What is activated later for the same user comes into the same container, and is claimed from either license."""
    await desk.product()
    first = await desk.activate((await desk.order("1")).ticket)
    second = await desk.activate((await desk.order("2")).ticket)
    assert first.container_id == second.container_id
    assert first.activation_id != second.activation_id
    leases = [await desk.checkout(f"l{number}") for number in range(2)]
    assert len({lease.license_id for lease in leases}) == 2


async def test_the_last_seat_goes_to_one(desk: Any) -> None:
    """Of many who activate the same seats at once exactly one gets them."""
    await desk.product()
    order = await desk.order("1", ("1", "cad", 2))
    outcomes = await asyncio.gather(
        *[desk.activate(order.ticket, f"user{number}", quantity=1) for number in range(12)], return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes if isinstance(outcome, Exception)] == [TicketExhausted] * 10


@pytest.mark.parametrize(
    ("container", "error", "pointer"),
    [
        ({"kind": "cloud-lite"}, InvalidRequest, "/container/user"),
        ({"kind": "cloud-lite", "container_id": "c"}, InvalidRequest, "/container/user"),
        ({"kind": "cloud-lite", "user": "ada", "request": "QQ=="}, InvalidRequest, "/container/request"),
        ({"kind": "cloud-lite", "user": "ada", "request": "A"}, InvalidRequest, "/container/request"),
        ({"kind": "dongle", "user": "ada"}, ContainerUnknown, None),
    ],
)
async def test_a_container_that_cannot_be(desk: Any, container: Any, error: Any, pointer: str | None) -> None:
    """A container that lacks its user, or is of a kind nobody serves, is refused and nothing is activated."""
    await desk.product()
    order = await desk.order()
    refusal = await desk.refused(error, "ActivateTicket", code=order.ticket, container=container)
    assert [problem.pointer for problem in refusal.problems] == ([pointer] if pointer else [])
    if error is ContainerUnknown:
        assert "cloud-lite" in refusal.detail
    assert (await desk("GetTicket", code=order.ticket)).licenses[0].available == 1


async def test_a_product_names_only_kinds_that_are_served(desk: Any) -> None:
    """A product for a kind of container that is not active here could never be activated, so it is refused."""
    refusal = await desk.refused(InvalidRequest, "PutProduct", sku="cad", name="CAD", items=[
        {"product_code": "cam"}, {"product_code": "cad", "containers": ["cloud-lite", "dongle"]},
    ])  # fmt: skip
    assert [problem.pointer for problem in refusal.problems] == ["/items/1/containers/1"]
    assert "dongle" in refusal.detail


async def test_a_license_goes_only_where_its_terms_allow(both: Any) -> None:
    """The kinds of a product are kept: by default the licenses that fit go in, a named one that does not is refused."""
    await both.product("cad", containers=["vault"])
    await both.product("cam")
    order = await both.order("1", ("1", "cad", 1), ("2", "cam", 1))
    refusal = await both.refused(ContainerKindNotAllowed, "ActivateTicket", code=order.ticket, container=ADA,
                                 license_ids=[order.licenses[0].license_id])  # fmt: skip
    assert "vault" in refusal.detail
    assert placed(await both.activate(order.ticket)) == {"cam": 1}
    await both.refused(ContainerKindNotAllowed, "ActivateTicket", code=order.ticket, container=ADA)


async def test_a_node_locked_license_wants_a_machine(both: Any) -> None:
    """A container that neither leases to a named node nor is a machine's own takes no node-locked license."""
    await both.product(license_model="node_locked")
    order = await both.order()
    bag = {"kind": "bag"}
    refusal = await both.refused(ContainerKindNotAllowed, "ActivateTicket", code=order.ticket, container=bag)
    assert "node-locked" in refusal.detail
    vault = {"kind": "vault", "request": "bWFjaGluZTE="}
    assert placed(await both("ActivateTicket", code=order.ticket, container=vault)) == {"cad": 1}


async def test_an_offline_container_gets_bytes_to_carry(both: Any) -> None:
    """What an offline container should hold is delivered with its number, and seats in it cannot be claimed here."""
    await both.product(quantity=2)
    order = await both.order()
    vault = {"kind": "vault", "user": "ada", "request": "bWFjaGluZTE="}
    first = await both("ActivateTicket", code=order.ticket, container=vault, quantity=1)
    assert (first.state, first.delivery.content, first.delivery.filename) == (
        "delivered", "MTogY2FkPTE=", "vault.txt",
    )  # fmt: skip
    second = await both("ActivateTicket", code=order.ticket, container=vault, quantity=1)
    assert second.delivery.content == "MjogY2FkPTEgY2FkPTE="
    await both.full(NotLicensed)
    assert (await both("ListLicenses", user="ada")).licenses == []


async def test_an_offline_container_of_somebody_else_confirms_and_returns(both: Any) -> None:
    """A container that only confirms is emptied by an update; its receipt says that the licenses are in it, or out."""
    await both.product(quantity=2)
    order = await both.order()
    vault = {"kind": "vault", "user": "ada", "request": "bWFjaGluZTE="}
    activation = (await both("ActivateTicket", code=order.ticket, container=vault)).activation_id
    confirmed = await both("ConfirmActivation", activation_id=activation, receipt="MQ==")
    assert confirmed.state == "confirmed"
    returning = await both("ReturnActivation", activation_id=activation)
    assert (returning.state, returning.delivery.content) == ("returning", "Mjog")
    await both.refused(Conflict, "ReturnActivation", activation_id=activation, receipt="MQ==")
    returned = await both("ReturnActivation", activation_id=activation, receipt="Mg==")
    assert returned.state == "returned"
    assert (await both("GetTicket", code=order.ticket)).licenses[0].available == 2
    refusal = await both.refused(
        InvalidRequest, "ConfirmActivation", activation_id=(await both.activate(order.ticket)).activation_id, receipt=""
    )
    assert refusal.problems[0].pointer == "/receipt"


async def test_a_broken_container_changes_nothing(open_desk: Callable[..., Any], install: Callable[..., None]) -> None:
    """A plugin that fails leaves the ticket as it was; the answer names the plugin, not its secrets."""
    from licentia.errors import Unavailable

    install("containers", "vault", VAULT.replace("text = ", "raise RuntimeError('secret')\n        text = "))
    desk = await open_desk(containers=("cloud-lite", "vault"))
    await desk.product()
    order = await desk.order()
    refusal = await desk.refused(Unavailable, "ActivateTicket", code=order.ticket, container={"kind": "vault"})
    assert "container(vault)" in refusal.detail
    assert "secret" not in refusal.detail
    assert (await desk("GetTicket", code=order.ticket)).licenses[0].available == 1
    assert (await desk.activate(order.ticket)).state == "confirmed"


async def test_a_return_gives_the_seats_back_and_ends_their_leases(desk: Any) -> None:
    """The user can claim no more at once, and the ticket can be activated elsewhere."""
    await desk.product(quantity=2)
    order = await desk.order()
    activation = await desk.activate(order.ticket)
    await desk.checkout("a")
    returned = await desk("ReturnActivation", activation_id=activation.activation_id)
    assert (returned.state, returned.activated_at) == ("returned", activation.activated_at)
    assert returned.ended_at >= activation.activated_at
    assert await desk.leases() == []
    await desk.full(NotLicensed, "a")
    assert (await desk("GetTicket", code=order.ticket)).licenses[0].available == 2
    assert placed(await desk.activate(order.ticket, "ben")) == {"cad": 2}
    assert (await desk.kinds())[-4:] == ["lease.granted", "lease.ended", "activation.returned", "activation.created"]


async def test_returning_twice_changes_nothing(desk: Any) -> None:
    """The second return, also at the same instant, gets the same answer."""
    activation = await desk.sold()
    id = activation.activation_id
    answers = await asyncio.gather(*[desk("ReturnActivation", activation_id=id) for _ in range(5)])
    assert answers == [answers[0]] * 5
    assert (await desk.kinds()).count("activation.returned") == 1
    await desk.refused(NotFound, "ReturnActivation", activation_id="act_none")
    await desk.refused(NotFound, "GetActivation", activation_id="act_none")


async def test_a_return_takes_no_receipt_of_a_container_on_the_server(desk: Any) -> None:
    """Only an offline container has a receipt to give."""
    activation = await desk.sold()
    refusal = await desk.refused(
        InvalidRequest, "ReturnActivation", activation_id=activation.activation_id, receipt="QQ=="
    )
    assert [problem.pointer for problem in refusal.problems] == ["/receipt"]


async def test_moving_to_another_user(desk: Any) -> None:
    """The first user loses the seats and their leases as the second gets them."""
    activation = await desk.sold(quantity=2)
    await desk.checkout("a")
    moved = await desk("MoveActivation", activation_id=activation.activation_id, container=BEN)
    assert (moved.user, placed(moved), moved.ticket) == ("ben", {"cad": 2}, activation.ticket)
    assert moved.activation_id != activation.activation_id
    await desk.full(NotLicensed, "a")
    assert (await desk.checkout("b", "ben")).seats_total == 2
    assert (await desk("GetActivation", activation_id=activation.activation_id)).state == "returned"
    refusal = await desk.refused(Conflict, "MoveActivation", activation_id=activation.activation_id, container=ADA)
    assert "ended already" in refusal.detail
    moves = [event.data for event in await desk.events() if event.kind == "activation.moved"]
    assert [move["moved_from"] for move in moves] == [activation.activation_id]


async def test_a_move_that_fails_moves_nothing(both: Any) -> None:
    """All or nothing: the first user keeps seats and leases when the other container refuses."""
    activation = await both.sold(containers=["cloud-lite"])
    await both.checkout("a")
    vault = {"kind": "vault", "request": "bWFjaGluZTE="}
    for container, error in ((vault, ContainerKindNotAllowed), ({"kind": "cloud-lite"}, InvalidRequest),
                             ({"kind": "dongle"}, ContainerUnknown)):  # fmt: skip
        await both.refused(error, "MoveActivation", activation_id=activation.activation_id, container=container)
    assert await both.leases() == ["a"]
    assert (await both("GetActivation", activation_id=activation.activation_id)).state == "confirmed"


async def test_moves_in_both_directions_at_once(desk: Any) -> None:
    """Users who swap their licenses at the same instant both succeed."""
    ours = await desk.sold("cad", "ada")
    theirs = await desk.sold("cam", "ben")
    for _ in range(4):
        ours, theirs = await asyncio.gather(
            desk("MoveActivation", activation_id=ours.activation_id, container=BEN if ours.user == "ada" else ADA),
            desk("MoveActivation", activation_id=theirs.activation_id, container=ADA if theirs.user == "ben" else BEN),
        )
    assert (ours.user, theirs.user) == ("ada", "ben")


async def test_a_move_does_not_restart_the_clock(desk: Any) -> None:
    """Days of validity count from the first activation, wherever the license goes then."""
    activation = await desk.sold(expires_after_days=10)
    ends = activation.activated_at + timedelta(days=10)
    assert activation.licenses[0].expires_at == ends
    moved = await desk("MoveActivation", activation_id=activation.activation_id, container=BEN)
    assert moved.licenses[0].expires_at == ends
    await desk("ReturnActivation", activation_id=moved.activation_id)
    again = await desk.activate(activation.ticket)
    assert again.licenses[0].expires_at == ends
    assert (await desk("GetTicket", code=activation.ticket)).licenses[0].expires_at == ends


async def test_an_expired_license_is_not_activated(desk: Any) -> None:
    """What has ended is refused; what is still to begin may wait in its container."""
    await desk.product("old", expires_at="2020-01-01T00:00:00Z")
    await desk.product("new", activation_at="2099-01-01T00:00:00Z")
    old, new = await desk.order("1", ("1", "old", 1)), await desk.order("2", ("1", "new", 1))
    assert old.licenses[0].state == "expired"
    await desk.refused(LicenseExpired, "ActivateTicket", code=old.ticket, container=ADA)
    assert placed(await desk.activate(new.ticket)) == {"new": 1}


async def test_one_expired_license_does_not_hold_back_the_others(desk: Any) -> None:
    """By default what can be activated is activated, as it is with kinds of containers."""
    await desk.product("old", expires_at="2020-01-01T00:00:00Z")
    await desk.product("cad")
    order = await desk.order("1", ("1", "old", 1), ("2", "cad", 1))
    assert placed(await desk.activate(order.ticket)) == {"cad": 1}


async def test_a_withdrawn_license_is_not_activated(desk: Any) -> None:
    """Who names a license that the vendor took back is told so, with or without a quantity."""
    await desk.product()
    order = await desk.order("1", ("1", "cad", 2))
    license_id = order.licenses[0].license_id
    await desk("WithdrawLicense", license_id=license_id, reason="fraud")
    for choice in ({"license_ids": [license_id]}, {"license_ids": [license_id], "quantity": 1}):
        await desk.refused(LicenseWithdrawn, "ActivateTicket", code=order.ticket, container=ADA, **choice)
    refusal = await desk.refused(TicketExhausted, "ActivateTicket", code=order.ticket, container=ADA)
    assert "withdrawn" in refusal.detail
