"""Orders: one content, one ticket, and licenses that always fit the newest version."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from licentia.errors import Conflict, InvalidRequest, NotFound, ProductUnknown, TicketExhausted


def seats(order: Any) -> dict[tuple[str, str, str], int]:
    """The seats of an order by line, SKU and product code."""
    return {
        (license.line_id, license.sku, license.product_code): license.quantity
        for license in order.licenses
        if license.quantity
    }


async def test_an_order_gives_a_ticket_and_its_licenses(desk: Any) -> None:
    """The licenses have the seats that lines times units give, and what was sent is answered."""
    await desk("PutProduct", sku="suite", name="Suite", items=[
        {"product_code": "201001", "quantity": 3, "features": ["mesh"]},
        {"product_code": "201002", "units": 1000, "name": "Render"},
    ])  # fmt: skip
    order = await desk("CreateOrder", source="erp", order_number="4711", customer={"id": "acme", "name": "Acme GmbH"},
                       lines=[{"line_id": "10", "sku": "suite", "quantity": 2}])  # fmt: skip
    assert order.created
    assert (order.status, order.version, order.to_reclaim) == ("fulfilled", 1, 0)
    assert seats(order) == {("10", "suite", "201001"): 6, ("10", "suite", "201002"): 2}
    assert [(one.name, one.units_total, one.state) for one in order.licenses] == [
        ("Suite", None, "available"),
        ("Render", 2000, "available"),
    ]
    read = await desk("GetOrder", source="erp", order_number="4711")
    assert (read.ticket, read.licenses, read.customer.name) == (order.ticket, order.licenses, "Acme GmbH")
    assert await desk.kinds() == ["product.put", "license.issued", "license.issued", "order.placed"]


async def test_a_repeat_gives_the_same_ticket(desk: Any) -> None:
    """The same content again, its lines in any order, changes nothing and is recorded nowhere."""
    await desk.product()
    first = await desk.order("1", ("1", "cad", 1), ("2", "cad", 2))
    events = len(await desk.events())
    again = await desk.order("1", ("2", "cad", 2), ("1", "cad", 1))
    assert (again.created, again.ticket, again.licenses, again.version, again.updated_at) == (
        False, first.ticket, first.licenses, 1, first.updated_at,
    )  # fmt: skip
    assert len(await desk.events()) == events


async def test_a_hundred_at_once_make_one_ticket(desk: Any) -> None:
    """However often and however fast an order is pushed, it exists once, and exactly one caller made it."""
    await desk.product()
    orders = await asyncio.gather(*[desk.order() for _ in range(100)])
    assert len({order.ticket for order in orders}) == 1
    assert len({order.order_id for order in orders}) == 1
    assert sum(order.created for order in orders) == 1
    assert await desk.sql("SELECT COUNT(*) AS n FROM license") == [{"n": 1}]


async def test_versions_at_once_end_in_one_of_them(desk: Any) -> None:
    """Different contents at the same instant are applied one after the other, never mixed."""
    await desk.product()
    orders = await asyncio.gather(*[desk.order("1", ("1", "cad", quantity)) for quantity in range(1, 21)])
    last = max(orders, key=lambda order: order.version)
    now = await desk("GetOrder", source="erp", order_number="1")
    assert last.version == now.version == 20
    assert now.licenses == last.licenses
    assert seats(now) == {("1", "cad", "cad"): now.lines[0].quantity}


async def test_numbers_belong_to_their_source(desk: Any) -> None:
    """Two business systems may use the same order number."""
    await desk.product()
    lines = [{"line_id": "1", "sku": "cad", "quantity": 1}]
    tickets = {
        (await desk("CreateOrder", source=source, order_number="1", customer={"id": "c"}, lines=lines)).ticket
        for source in ("erp", "shop")
    }
    assert len(tickets) == 2
    await desk.refused(NotFound, "GetOrder", source="crm", order_number="1")


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        ([("1", "cad", 5)], {("1", "cad", "cad"): 10}),
        ([("1", "cad", 1)], {("1", "cad", "cad"): 2}),
        ([("1", "cad", 2), ("2", "cam", 1)], {("1", "cad", "cad"): 4, ("2", "cam", "cam"): 1}),
        ([("2", "cad", 1)], {("2", "cad", "cad"): 2}),
        ([("1", "cam", 3)], {("1", "cam", "cam"): 3}),
        ([("1", "cad", 2), ("2", "cad", 2)], {("1", "cad", "cad"): 4, ("2", "cad", "cad"): 4}),
    ],
    ids=["more", "less", "a line more", "another line", "another SKU", "a second line of the SKU"],
)
async def test_a_new_version_changes_the_licenses_on_the_same_ticket(desk: Any, lines: Any, wanted: Any) -> None:
    """More issues the difference, less and lines that are gone take back, all on one ticket."""
    await desk.product("cad", quantity=2)
    await desk.product("cam")
    first = await desk.order("1", ("1", "cad", 2))
    second = await desk.order("1", *lines)
    assert not second.created
    assert (second.ticket, second.version, second.to_reclaim) == (first.ticket, 2, 0)
    assert seats(second) == wanted
    third = await desk.order("1", ("1", "cad", 2))
    assert seats(third) == {("1", "cad", "cad"): 4}
    assert third.version == 3
    assert third.licenses[0].license_id == first.licenses[0].license_id


async def test_seats_in_use_are_owed_until_a_return_pays_them(desk: Any) -> None:
    """Less than what is activated takes nothing away from a user, and a return pays the debt before anything else."""
    await desk.product()
    order = await desk.order("1", ("1", "cad", 5))
    first = await desk.activate(order.ticket, "ada", quantity=2)
    second = await desk.activate(order.ticket, "ben", quantity=2)
    less = await desk.order("1", ("1", "cad", 1))
    assert (less.to_reclaim, less.licenses[0].quantity, less.licenses[0].available) == (3, 4, 0)
    assert (await desk.checkout(seats=2)).seats_in_use == 2
    await desk("ReleaseLease", lease_id="l1")
    await desk("ReturnActivation", activation_id=first.activation_id)
    paid = await desk("GetOrder", source="erp", order_number="1")
    assert (paid.to_reclaim, paid.licenses[0].quantity, paid.licenses[0].available) == (1, 2, 0)
    await desk.refused(TicketExhausted, "ActivateTicket", code=order.ticket,
                       container={"kind": "cloud-lite", "user": "cy"})  # fmt: skip
    await desk("ReturnActivation", activation_id=second.activation_id)
    done = await desk("GetOrder", source="erp", order_number="1")
    assert (done.to_reclaim, done.licenses[0].quantity, done.licenses[0].available) == (0, 1, 1)


async def test_more_forgives_the_debt(desk: Any) -> None:
    """A version that covers the activated seats again owes nothing."""
    await desk.product()
    order = await desk.order("1", ("1", "cad", 3))
    await desk.activate(order.ticket)
    assert (await desk.order("1", ("1", "cad", 1))).to_reclaim == 2
    more = await desk.order("1", ("1", "cad", 4))
    assert (more.to_reclaim, more.licenses[0].quantity, more.licenses[0].available) == (0, 4, 1)


async def test_units_follow_the_order_but_never_below_what_was_used(desk: Any) -> None:
    """A line of pay per use gives and takes units; those consumed stay consumed."""
    await desk.product("run", units=100)
    order = await desk.order("1", ("1", "run", 2))
    await desk.activate(order.ticket)
    await desk("ConsumeUnits", user="ada", product_code="run", units=150, request_id="r1")
    assert (await desk.order("1", ("1", "run", 3))).licenses[0].units_remaining == 150
    less = (await desk.order("1", ("1", "run", 1))).licenses[0]
    assert (less.units_total, less.units_remaining) == (150, 0)


async def test_cancelling_before_the_activation_takes_everything(desk: Any) -> None:
    """What nobody activated is withdrawn at once; cancelling again changes nothing."""
    await desk.product()
    order = await desk.order()
    cancelled = await desk("CancelOrder", source="erp", order_number="1", reason="typing error")
    assert (cancelled.status, cancelled.licenses[0].state, cancelled.licenses[0].quantity) == (
        "cancelled", "withdrawn", 0,
    )  # fmt: skip
    assert await desk("CancelOrder", source="erp", order_number="1") == cancelled
    assert (await desk.kinds()).count("order.cancelled") == 1
    await desk.refused(TicketExhausted, "ActivateTicket", code=order.ticket,
                       container={"kind": "cloud-lite", "user": "ada"})  # fmt: skip


async def test_cancelling_after_the_activation_waits_for_a_decision(desk: Any) -> None:
    """Activated seats go on working and are flagged; their return completes the cancellation."""
    await desk.product()
    order = await desk.order("1", ("1", "cad", 3))
    activation = await desk.activate(order.ticket, quantity=2)
    cancelled = await desk("CancelOrder", source="erp", order_number="1")
    assert (cancelled.status, cancelled.to_reclaim, cancelled.licenses[0].quantity) == ("cancel_pending", 2, 2)
    assert (await desk.checkout()).seats_in_use == 1
    await desk("ReturnActivation", activation_id=activation.activation_id)
    done = await desk("GetOrder", source="erp", order_number="1")
    assert (done.status, done.to_reclaim, done.licenses[0].state) == ("cancelled", 0, "withdrawn")


async def test_a_cancelled_order_repeats_but_takes_no_new_version(desk: Any) -> None:
    """The repeat of a lost answer gets the cancelled order; other content is refused and changes nothing."""
    await desk.product()
    order = await desk.order()
    await desk("CancelOrder", source="erp", order_number="1")
    again = await desk.order()
    assert (again.created, again.status, again.ticket) == (False, "cancelled", order.ticket)
    with pytest.raises(Conflict, match="was cancelled"):
        await desk.order("1", ("1", "cad", 7))
    assert (await desk("GetOrder", source="erp", order_number="1")).version == 1


async def test_cancelling_what_is_not_there(desk: Any) -> None:
    """An order that never came cannot be cancelled."""
    await desk.refused(NotFound, "CancelOrder", source="erp", order_number="1")


async def test_unknown_skus_are_pointed_at_and_nothing_is_half_done(desk: Any) -> None:
    """Every line with an unknown SKU is named, and neither order nor ticket nor license is there."""
    await desk.product()
    with pytest.raises(ProductUnknown) as refusal:
        await desk.order("1", ("1", "cad", 1), ("2", "nope", 1), ("3", "nada", 1))
    assert [problem.pointer for problem in refusal.value.problems] == ["/lines/1/sku", "/lines/2/sku"]
    await desk.refused(NotFound, "GetOrder", source="erp", order_number="1")
    for table in ("purchase_order", "ticket", "license"):
        assert await desk.sql(f"SELECT COUNT(*) AS n FROM {table}") == [{"n": 0}]
    assert await desk.kinds() == ["product.put"]
    assert (await desk.order()).created


async def test_a_new_version_with_an_unknown_sku_changes_nothing(desk: Any) -> None:
    """The order stays as it was."""
    await desk.product()
    before = await desk.order()
    with pytest.raises(ProductUnknown):
        await desk.order("1", ("1", "cad", 9), ("2", "nope", 1))
    after = await desk("GetOrder", source="erp", order_number="1")
    assert (after.version, after.licenses) == (1, before.licenses)


async def test_a_line_id_twice_is_refused(desk: Any) -> None:
    """Lines are told apart by their ids."""
    await desk.product()
    with pytest.raises(InvalidRequest) as refusal:
        await desk.order("1", ("1", "cad", 1), ("1", "cad", 2))
    assert [problem.pointer for problem in refusal.value.problems] == ["/lines/1/line_id"]


async def test_a_replaced_product_leaves_licenses_as_they_were_sold(desk: Any) -> None:
    """Licenses keep their terms, also for seats ordered later on the same line; new lines get the new terms."""
    await desk.product(quantity=2, features=["mesh"])
    await desk.order("1", ("1", "cad", 1))
    replaced = await desk.product(quantity=5, features=["export"])
    assert not replaced.created
    order = await desk.order("1", ("1", "cad", 3), ("2", "cad", 1))
    assert {license.line_id: (license.quantity, license.features) for license in order.licenses} == {
        "1": (6, ["mesh"]),
        "2": (5, ["export"]),
    }


async def test_the_largest_order_is_refused_or_exact(small_desk: Any) -> None:
    """The largest quantity of the largest product gives numbers that a reply may hold, or is refused."""
    await small_desk.product("big", quantity=1_000_000, units=1_000_000_000_000)
    with contextlib.suppress(InvalidRequest):
        await small_desk.order("1", ("1", "big", 1_000_000))
