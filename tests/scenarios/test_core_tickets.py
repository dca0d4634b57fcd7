"""Tickets: found however they are typed, never by guessing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from licentia.errors import TicketUnknown, TooManyRequests
from licentia.services.identity import OPERATOR, Caller
from licentia.settings import Limits

MISSING = "00000-00000-00000-00000-00000"
STORE = frozenset({"depot"})


def caller(address: str, actor: str = "web") -> Caller:
    """A key of the customer's web shop, as seen from an address."""
    return Caller(actor=actor, scopes=STORE, address=address)


async def test_a_ticket_is_found_however_it_is_typed(desk: Any) -> None:
    """Lower case, spaces and missing dashes lead to the same ticket, shown in its printed form."""
    await desk.product(features=["mesh"], expires_at="2099-01-01T00:00:00Z")
    order = await desk.order("1", ("1", "cad", 2))
    plain = order.ticket.replace("-", "")
    for typed in (order.ticket, plain, order.ticket.lower(), f" {order.ticket.replace('-', ' - ')} ",
                  plain.replace("1", "i").replace("0", "O")):  # fmt: skip
        ticket = await desk("GetTicket", code=typed)
        assert (ticket.ticket, ticket.source, ticket.order_number, ticket.customer) == (
            order.ticket, "erp", "1", "acme",
        )  # fmt: skip
        assert ticket.licenses == order.licenses
    assert (await desk.activate(plain.lower())).ticket == order.ticket


async def test_a_ticket_tells_what_is_left_and_where_the_rest_is(desk: Any) -> None:
    """The seats that are not activated yet, and the container of the first that are."""
    await desk.product()
    order = await desk.order("1", ("1", "cad", 3))
    first = await desk.activate(order.ticket, "ada", quantity=1)
    await desk.activate(order.ticket, "ben", quantity=1)
    (license,) = (await desk("GetTicket", code=order.ticket)).licenses
    assert (license.quantity, license.available, license.state) == (3, 1, "activated")
    assert license.container_id is not None
    await desk("ReturnActivation", activation_id=first.activation_id)
    (license,) = (await desk("GetTicket", code=order.ticket)).licenses
    assert license.available == 2
    assert license.container_id != first.container_id


@pytest.mark.parametrize("code", [MISSING, "0000", "U" * 25, "-"])
async def test_what_is_no_ticket_is_unknown(small_desk: Any, code: str) -> None:
    """A code that cannot be one is as unknown as one that does not exist, so that nothing is learned."""
    refusal = await small_desk.refused(TicketUnknown, "GetTicket", code=code)
    assert refusal.detail == "There is no such ticket."
    await small_desk.refused(
        TicketUnknown, "ActivateTicket", code=code, container={"kind": "cloud-lite", "user": "ada"}
    )


async def test_misses_are_recorded_without_the_code(desk: Any) -> None:
    """Each miss is in the trail with the caller's key and address, whether it was a look or an activation."""
    await desk.refused(TicketUnknown, "GetTicket", code=MISSING, caller=caller("192.0.2.1"))
    await desk.refused(TicketUnknown, "ActivateTicket", code=MISSING, caller=caller("192.0.2.2"),
                       container={"kind": "cloud-lite", "user": "ada"})  # fmt: skip
    events = await desk.events()
    assert [(event.kind, event.actor, event.data) for event in events] == [
        ("ticket.missed", "web", {"address": "192.0.2.1"}),
        ("ticket.missed", "web", {"address": "192.0.2.2"}),
    ]


async def test_guessing_is_slow(open_desk: Callable[..., Any]) -> None:
    """After too many misses even the right code is refused, with the time to wait and no more events."""
    desk = await open_desk(limits=Limits(ticket_misses_per_minute=3))
    await desk.product()
    order = await desk.order()
    guesser = caller("192.0.2.1")
    for _ in range(3):
        await desk.refused(TicketUnknown, "GetTicket", code=MISSING, caller=guesser)
    for code in (MISSING, order.ticket):
        refusal = await desk.refused(TooManyRequests, "GetTicket", code=code, caller=guesser)
        assert 1 <= refusal.retry_after_seconds <= 60
    await desk.refused(TooManyRequests, "ActivateTicket", code=order.ticket, caller=guesser,
                       container={"kind": "cloud-lite", "user": "ada"})  # fmt: skip
    assert (await desk.kinds()).count("ticket.missed") == 3
    for other in (caller("192.0.2.2"), caller("192.0.2.1", "another key"), OPERATOR):
        assert (await desk("GetTicket", code=order.ticket, caller=other)).ticket == order.ticket


async def test_the_window_moves(open_desk: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute after the first miss there is room for one more try."""
    desk = await open_desk(limits=Limits(ticket_misses_per_minute=2))
    start = time.time()
    for seconds, error in ((0, TicketUnknown), (30, TicketUnknown), (59, TooManyRequests), (61, TicketUnknown),
                           (62, TooManyRequests), (91, TicketUnknown)):  # fmt: skip
        monkeypatch.setattr(time, "time", lambda now=start + seconds: now)
        await desk.refused(error, "GetTicket", code=MISSING, caller=caller("192.0.2.1"))


async def test_a_right_ticket_is_no_miss(open_desk: Callable[..., Any]) -> None:
    """Who knows the ticket may look at it as often as need be."""
    desk = await open_desk(limits=Limits(ticket_misses_per_minute=1))
    await desk.product()
    order = await desk.order()
    for _ in range(5):
        await desk("GetTicket", code=order.ticket, caller=caller("192.0.2.1"))
    await desk.refused(TicketUnknown, "GetTicket", code=MISSING, caller=caller("192.0.2.1"))
