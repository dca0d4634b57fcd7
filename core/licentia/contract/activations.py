"""Activations: licenses put into a container, taken back, moved."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from licentia.contract.operation import Operation, Reply, Request
from licentia.contract.types import (
    ActivationState,
    ContainerKind,
    Content,
    Id,
    Instant,
    Name,
    ProductCode,
    Quantity,
    Sku,
    TicketCode,
    User,
)
from licentia.errors import (
    Conflict,
    ContainerKindNotAllowed,
    ContainerUnknown,
    LicenseExpired,
    LicenseWithdrawn,
    NotFound,
    TicketExhausted,
    TicketUnknown,
)


class Container(Request):
    """Which container: a kind, and what that kind needs to find or make one."""

    kind: ContainerKind
    user: Annotated[User | None, Meta(description="The user it is bound to (cloud-lite).")] = None
    container_id: Annotated[Id | None, Meta(description="An existing container.")] = None
    request: Annotated[Content | None, Meta(description="The container's own request, in base64.")] = None


class ActivateTicket(Request):
    """Put licenses of a ticket into a container."""

    code: TicketCode
    container: Container
    license_ids: Annotated[
        Annotated[list[Id], Meta(min_length=1, max_length=1000)] | None,
        Meta(description="Which licenses; absent: all that are left."),
    ] = None
    quantity: Annotated[Quantity | None, Meta(description="Seats of each; absent: all that are left.")] = None


class ReturnActivation(Request):
    """Give the licenses of an activation back to their ticket."""

    activation_id: Id
    receipt: Annotated[Content | None, Meta(description="The container's receipt, where it is offline.")] = None


class MoveActivation(Request):
    """Return an activation and activate the same licenses elsewhere, all or nothing."""

    activation_id: Id
    container: Container
    receipt: Annotated[Content | None, Meta(description="The container's receipt, where it is offline.")] = None


class GetActivation(Request):
    """One activation by its id."""

    activation_id: Id


class ActivatedLicense(Reply):
    """So many seats of a license that this activation holds."""

    license_id: Id
    sku: Sku
    product_code: ProductCode
    name: Name
    quantity: Quantity
    expires_at: Instant | None = None


class Delivery(Reply):
    """Bytes to carry to the container."""

    media_type: str
    filename: str
    content: Content


class Activation(Reply, kw_only=True):
    """An activation. `delivered` waits for a receipt, `confirmed` is in the container for sure."""

    activation_id: Id
    ticket: str
    kind: ContainerKind
    container_id: Id
    user: User | None = None
    state: ActivationState
    licenses: list[ActivatedLicense]
    delivery: Delivery | None = None
    activated_at: Instant
    ended_at: Instant | None = None


_ACTIVATING = (TicketExhausted, ContainerKindNotAllowed, ContainerUnknown, LicenseExpired, LicenseWithdrawn)

OPERATIONS = (
    Operation(
        "ActivateTicket", "depot", "POST", "/v1/tickets/{code}/activations", "activations:activate_ticket",
        ActivateTicket, Activation, "Activate licenses of a ticket into a container.",
        (TicketUnknown, NotFound, Conflict, *_ACTIVATING),
        mutates=True, keyed=True, creates=True, user=lambda request: request.container.user,
    ),
    Operation(
        "GetActivation", "depot", "GET", "/v1/activations/{activation_id}", "activations:get_activation",
        GetActivation, Activation, "Read one activation.", (NotFound,),
    ),
    Operation(
        "ReturnActivation", "depot", "POST", "/v1/activations/{activation_id}/return",
        "activations:return_activation", ReturnActivation, Activation,
        "Give an activation's licenses back to the ticket.", (NotFound, Conflict), mutates=True,
    ),
    Operation(
        "MoveActivation", "depot", "POST", "/v1/activations/{activation_id}/move", "activations:move_activation",
        MoveActivation, Activation, "Move an activation to another container.",
        (NotFound, Conflict, *_ACTIVATING),
        mutates=True, keyed=True, creates=True, user=lambda request: request.container.user,
    ),
)
