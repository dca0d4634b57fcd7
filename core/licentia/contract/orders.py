"""Orders: pushed by a business system, answered with a ticket."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from licentia.contract.operation import Operation, Reply, Request
from licentia.contract.tickets import TicketLicense
from licentia.contract.types import Email, Id, Instant, Name, OrderStatus, Quantity, Sku, Text
from licentia.errors import Conflict, NotFound, ProductUnknown


class Customer(Request):
    """Who bought, by the business system's own id."""

    id: Id
    name: Name | None = None
    email: Email | None = None


class OrderLine(Request):
    """One line: so many units of a product. `line_id` is the business system's own and stays."""

    line_id: Id
    sku: Sku
    quantity: Quantity


class CreateOrder(Request):
    """Place an order, or a new version of one.

    The order number is the natural key within its source. The same content again gives the same
    ticket. Other content is a new version: more quantity issues the difference on the same ticket,
    less takes back what is not activated and flags the rest.
    """

    source: Annotated[Id, Meta(description="The business system.")]
    order_number: Annotated[Id, Meta(description="The order's number in its source.")]
    customer: Customer
    lines: Annotated[list[OrderLine], Meta(min_length=1, max_length=1000, description="The lines of this version.")]


class GetOrder(Request):
    """One order by its natural key."""

    source: Id
    order_number: Id


class CancelOrder(Request):
    """Withdraw what is not activated and flag the rest for a decision."""

    source: Id
    order_number: Id
    reason: Text | None = None


class Order(Reply, kw_only=True):
    """An order with its ticket. `version` counts the contents it had, `to_reclaim` the activated seats owed back."""

    order_id: Id
    source: Id
    order_number: Id
    status: OrderStatus
    version: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    test: Annotated[bool, Meta(description="Nobody paid for it: an order of a system's test mode.")] = False
    customer: Customer
    lines: list[OrderLine]
    ticket: Annotated[str, Meta(description="The pick-up code, five groups of five characters.")]
    licenses: list[TicketLicense]
    to_reclaim: Annotated[int, Meta(ge=0, le=2**53 - 1, description="Activated seats that the order no longer covers.")]
    created_at: Instant
    updated_at: Instant


class CreateOrderReply(Order, kw_only=True):
    """The order as it is now; `created` is false on a repeat and on a new version."""

    created: bool


class TraceOrder(Request):
    """What happened to an order: what was sent about it, what came of that, and what was done with its licenses."""

    order_number: Annotated[Id, Meta(description="Its number, or that of a return, a renewal or a subscription of it.")]
    source: Annotated[Id | None, Meta(description="The business system; absent: all that have such an order.")] = None


class Step(Reply):
    """One thing that happened."""

    at: Instant
    kind: Annotated[str, Meta(description="What happened, as `noun.verb`.")]
    actor: Annotated[str, Meta(description="Who did it: a key, a user, a connection, or `operator`.")]
    summary: Annotated[str, Meta(description="The same in words.")]
    data: Annotated[dict[str, Any], Meta(description="The facts; in SOAP a string of JSON.")]


class TracedOrder(Reply, kw_only=True):
    """One order's story, oldest first. `next_step` says what a person would do now, if anything."""

    source: Id
    order_number: Id
    number_there: Annotated[str | None, Meta(description="The number as the business system writes it.")] = None
    status: Annotated[OrderStatus | None, Meta(description="Absent if nothing was licensed yet.")] = None
    ticket: str | None = None
    parked: Annotated[str | None, Meta(description="Why a delivery about it waits.")] = None
    write_back: Annotated[str | None, Meta(description="Whether the business system has the ticket.")] = None
    next_step: str | None = None
    steps: list[Step]


class OrderTrace(Reply):
    """The orders of this number, one of each source that has it."""

    orders: list[TracedOrder]


OPERATIONS = (
    Operation(
        "CreateOrder", "sales", "POST", "/v1/orders", "orders:create_order", CreateOrder, CreateOrderReply,
        "Place an order and get its ticket.", (ProductUnknown, Conflict), mutates=True,
    ),
    Operation(
        "GetOrder", "sales", "GET", "/v1/orders/{source}/{order_number}", "orders:get_order", GetOrder, Order,
        "Read one order.", (NotFound,),
    ),
    Operation(
        "CancelOrder", "sales", "POST", "/v1/orders/{source}/{order_number}/cancel", "orders:cancel_order",
        CancelOrder, Order, "Cancel an order.", (NotFound,), mutates=True,
    ),
    Operation(
        "TraceOrder", "admin", "GET", "/v1/trace/{order_number}", "tracing:trace_order", TraceOrder, OrderTrace,
        "Tell what happened to an order.", (NotFound,),
    ),
)
