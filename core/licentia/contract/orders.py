"""Orders: pushed by a business system, answered with a ticket."""

from __future__ import annotations

from typing import Annotated

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


class Order(Reply):
    """An order with its ticket. `version` counts the contents it had, `to_reclaim` the activated seats owed back."""

    order_id: Id
    source: Id
    order_number: Id
    status: OrderStatus
    version: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    customer: Customer
    lines: list[OrderLine]
    ticket: Annotated[str, Meta(description="The pick-up code, five groups of five characters.")]
    licenses: list[TicketLicense]
    to_reclaim: Annotated[int, Meta(ge=0, le=2**53 - 1, description="Activated seats that the order no longer covers.")]
    created_at: Instant
    updated_at: Instant


class CreateOrderReply(Order):
    """The order as it is now; `created` is false on a repeat and on a new version."""

    created: bool


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
)
