"""The audit trail of a whole story: complete, in order, tamper-evident."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from licentia.domain.events import verify_chain
from licentia.errors import InvalidRequest, NoFreeSeats

STORY = [
    "product.put", "license.issued", "order.placed", "activation.created", "lease.granted", "lease.released",
    "license.resized", "order.changed", "lease.granted", "lease.ended", "activation.returned", "activation.moved",
    "license.withdrawn", "license.resized", "order.cancelled",
]  # fmt: skip


async def tell(desk: Any) -> None:
    """A story with most kinds of change, refusals and repeats."""
    await desk.product()
    order = await desk.order()
    await desk.order()
    activation = await desk.activate(order.ticket)
    await desk.checkout("a", station="Büro 7")
    await desk.checkout("a", station="Büro 7")
    await desk.full(NoFreeSeats)
    await desk("ReleaseLease", lease_id="a")
    await desk("ReleaseLease", lease_id="a")
    await desk.order("1", ("1", "cad", 2))
    await desk.checkout("b")
    container = {"kind": "cloud-lite", "user": "ben"}
    await desk("MoveActivation", activation_id=activation.activation_id, container=container)
    await desk("WithdrawLicense", license_id=order.licenses[0].license_id, reason="unpaid")
    await desk("CancelOrder", source="erp", order_number="1")


async def test_every_change_is_one_event_and_nothing_else_is(desk: Any) -> None:
    """Changes are there in the order they happened; reads, refusals, renewals and repeats are not."""
    await tell(desk)
    events = await desk.events()
    assert [event.kind for event in events] == STORY
    assert verify_chain(events) == []
    assert {event.actor for event in events} == {"operator"}
    granted = events[4].data
    assert (granted["user"], granted["station"], granted["seats"], granted["in_use"]) == ("ada", "Büro 7", 1, 1)


@pytest.mark.parametrize(
    ("column", "value"),
    [("entries", '[["order.forged","nobody",{}]]'), ("at", 1), ("previous_hash", "0" * 64)],
)
async def test_a_change_in_the_database_is_found(desk: Any, column: str, value: Any) -> None:
    """Who edits a row of the trail is found by anyone who reads it."""
    await tell(desk)
    before = await desk.sql(f"SELECT {column} AS old FROM event WHERE last_seq = 6")
    await desk.sql(f"UPDATE event SET {column} = $1 WHERE last_seq = 6", value)
    assert any("0-6 " in fault for fault in verify_chain(await desk.events()))
    await desk.sql(f"UPDATE event SET {column} = $1 WHERE last_seq = 6", before[0]["old"])
    assert verify_chain(await desk.events()) == []


async def test_a_row_that_is_missing_is_found(small_desk: Any) -> None:
    """Deleting an event breaks the chain, until it is back."""
    await tell(small_desk)
    (row,) = await small_desk.sql("SELECT * FROM event WHERE last_seq = 6")
    await small_desk.sql("DELETE FROM event WHERE last_seq = 6")
    assert len(verify_chain(await small_desk.events())) == 2
    marks = ", ".join(f"${place}" for place in range(1, len(row) + 1))
    await small_desk.sql(f"INSERT INTO event ({', '.join(row)}) VALUES ({marks})", *row.values())


async def test_the_trail_has_pages(desk: Any) -> None:
    """Following the cursor gives every event once; the last cursor waits for what comes."""
    await tell(desk)
    found: list[Any] = []
    cursor = ""
    while len(found) < len(STORY):
        page = await desk("ListEvents", cursor=cursor, limit=4)
        found += page.events
        cursor = page.next_cursor
    assert [event.kind for event in found] == STORY
    assert (await desk("ListEvents", cursor=cursor)).events == []
    await desk.product("new")
    assert [event.kind for event in (await desk("ListEvents", cursor=cursor)).events] == ["product.put"]
    refusal = await desk.refused(InvalidRequest, "ListEvents", cursor="mine")
    assert [problem.pointer for problem in refusal.problems] == ["/cursor"]


async def test_an_event_is_small_enough_for_every_reader(desk: Any) -> None:
    """The largest product has one event, and it can be read back as it was."""
    items = [
        {"product_code": f"{number:064}", "features": [f"{feature:064}" for feature in range(256)]}
        for number in range(20)
    ]
    await desk("PutProduct", sku="s", name="Ü" * 200, items=items)
    (event,) = await desk.events()
    assert [item["product_code"] for item in event.data["items"]] == [item["product_code"] for item in items]
    assert msgspec.json.decode(msgspec.json.encode(event), type=type(event)) == event
