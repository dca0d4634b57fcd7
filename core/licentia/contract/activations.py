"""Activations: licenses put into a container, taken back, moved."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from licentia.contract.operation import Operation, Reply, Request
from licentia.contract.types import (
    ActivationState,
    ContainerKind,
    Content,
    Delivered,
    Id,
    Instant,
    Name,
    ProductCode,
    Quantity,
    Sku,
    Text,
    TicketCode,
    User,
)
from licentia.errors import (
    BindingEvidenceInvalid,
    BindingMismatch,
    Conflict,
    ContainerKindNotAllowed,
    ContainerUnknown,
    DocumentInvalid,
    ForkDetected,
    LicenseExpired,
    LicenseWithdrawn,
    NotFound,
    TicketExhausted,
    TicketUnknown,
    UpdateOutOfOrder,
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


class ConfirmActivation(Request):
    """Say that an update took effect in a container away from the server."""

    activation_id: Id
    receipt: Annotated[Content, Meta(description="The container's receipt, in base64.")]


class ReturnActivation(Request):
    """Give the licenses of an activation back to their ticket.

    A container away from the server gives them up first and makes a receipt of it. Without that, the
    activation is `returning`, and an update to carry to the container is made; its receipt ends it.
    """

    activation_id: Id
    receipt: Annotated[Content | None, Meta(description="The container's receipt, where it is offline.")] = None


class MoveActivation(Request):
    """Return an activation and activate the same licenses elsewhere, all or nothing."""

    activation_id: Id
    container: Container
    receipt: Annotated[Content | None, Meta(description="The container's receipt, where it is offline.")] = None


class RestoreActivation(Request):
    """Activate the licenses of a lost device elsewhere, within the vendor's limits.

    Where the vendor wants time or approval first, the answer is `restoring`, and the call is to be
    repeated later. The lost container gets the licenses withdrawn at its next contact.
    """

    activation_id: Id
    container: Container


class ApproveRestore(Request):
    """Allow an activation to be restored now, whatever its waiting time and its limit."""

    activation_id: Id
    reason: Annotated[Text, Meta(description="Why; kept in the audit trail.")]


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
    content: Delivered


class Activation(Reply, kw_only=True):
    """An activation.

    `delivered` waits for a receipt, `confirmed` is in the container for sure; `returning` waits for the
    receipt that it is out of it, `restoring` for time or the vendor's approval.
    """

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
    restorable_at: Annotated[
        Instant | None, Meta(description="When a restore that was asked for may go on, if no approval is missing.")
    ] = None


class RestoredActivation(Activation):
    """The new activation, or the old one if the restore has to wait; `created` tells them apart."""

    created: bool


SPEAKING = (DocumentInvalid, UpdateOutOfOrder, ForkDetected, BindingEvidenceInvalid, BindingMismatch)
"""How what a container away from the server says may be refused."""
_ACTIVATING = (TicketExhausted, ContainerKindNotAllowed, ContainerUnknown, LicenseExpired, LicenseWithdrawn, *SPEAKING)

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
        "Give an activation's licenses back to the ticket.", (NotFound, Conflict, *SPEAKING), mutates=True,
    ),
    Operation(
        "ConfirmActivation", "depot", "POST", "/v1/activations/{activation_id}/confirm",
        "activations:confirm_activation", ConfirmActivation, Activation,
        "Confirm that an update took effect in a container.", (NotFound, Conflict, *SPEAKING), mutates=True,
    ),
    Operation(
        "RestoreActivation", "depot", "POST", "/v1/activations/{activation_id}/restore",
        "restores:restore_activation", RestoreActivation, RestoredActivation,
        "Restore the licenses of a lost device elsewhere.", (NotFound, Conflict, *_ACTIVATING),
        mutates=True, keyed=True, creates=True, user=lambda request: request.container.user,
    ),
    Operation(
        "ApproveRestore", "admin", "POST", "/v1/activations/{activation_id}/approval",
        "restores:approve_restore", ApproveRestore, Activation, "Approve a restore.", (NotFound, Conflict),
        mutates=True,
    ),
    Operation(
        "MoveActivation", "depot", "POST", "/v1/activations/{activation_id}/move", "activations:move_activation",
        MoveActivation, Activation, "Move an activation to another container.",
        (NotFound, Conflict, *_ACTIVATING),
        mutates=True, keyed=True, creates=True, user=lambda request: request.container.user,
    ),
)
