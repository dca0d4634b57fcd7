"""Tickets: the pick-up code and the licenses behind it."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from licentia.contract.licenses import MeterReading
from licentia.contract.operation import Operation, Reply, Request
from licentia.contract.types import (
    Count,
    Feature,
    Id,
    Instant,
    LicenseModel,
    LicenseState,
    Name,
    ProductCode,
    Sku,
    TicketCode,
)
from licentia.errors import TicketUnknown


class GetTicket(Request):
    """What a ticket holds and how much of it is left."""

    code: TicketCode


class TicketLicense(Reply):
    """One license on a ticket. `available` of `quantity` seats are not activated yet."""

    license_id: Id
    line_id: Id
    sku: Sku
    product_code: ProductCode
    name: Name
    license_model: LicenseModel
    quantity: Count
    available: Count
    state: LicenseState
    container_id: Annotated[Id | None, Meta(description="Where it is activated; the first, if in several.")] = None
    expires_at: Instant | None = None
    features: list[Feature] = []
    units_total: Count | None = None
    units_remaining: Count | None = None
    meters: list[MeterReading] = []


class Ticket(Reply):
    """A ticket with its licenses."""

    ticket: Annotated[str, Meta(description="The pick-up code, in its printed form.")]
    source: Id
    order_number: Id
    customer: Annotated[str, Meta(description="The customer's name, or id if no name was given.")]
    licenses: list[TicketLicense]


OPERATIONS = (
    Operation(
        "GetTicket", "depot", "GET", "/v1/tickets/{code}", "tickets:get_ticket", GetTicket, Ticket,
        "Read a ticket.", (TicketUnknown,),
    ),
)
