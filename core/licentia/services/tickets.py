"""Tickets: look one up, but not by guessing."""

from __future__ import annotations

import msgspec

from licentia.contract.orders import Customer
from licentia.contract.tickets import GetTicket, Ticket
from licentia.domain.tickets import read_ticket
from licentia.errors import TicketUnknown
from licentia.services.context import Context
from licentia.services.stock import shown
from licentia.storage import models


async def get_ticket(request: GetTicket, context: Context) -> Ticket:
    """A ticket with its licenses."""
    ticket = await find_ticket(request.code, context)
    order = await models.Order.get(id=ticket.order_id)
    customer = msgspec.json.decode(order.customer, type=Customer)
    licenses = await models.License.filter(ticket_id=ticket.id)
    return Ticket(
        ticket=ticket.code,
        source=order.source,
        order_number=order.order_number,
        customer=customer.name or customer.id,
        licenses=await shown(licenses, await context.db.now()),
    )


async def find_ticket(typed: str, context: Context) -> models.Ticket:
    """The ticket that a person typed.

    Raises:
        TicketUnknown: there is none; counted against the caller.
        TooManyRequests: the caller has missed too often.
    """
    guesser = f"{context.caller.actor} {context.caller.address}"
    if context.caller.address:
        await context.misses.check(guesser)
    code = read_ticket(typed)
    ticket = await models.Ticket.get_or_none(code=code) if code is not None else None
    if ticket is None:
        if context.caller.address and await context.misses.failed(guesser):
            context.audit("ticket.missed", address=context.caller.address)
        raise TicketUnknown("There is no such ticket.")
    return ticket
