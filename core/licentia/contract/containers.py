"""Containers: what the vendor sees of them, and how one that is away from the server speaks to it."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from licentia.contract.activations import SPEAKING, Delivery
from licentia.contract.operation import Operation, Reply, Request
from licentia.contract.types import ContainerKind, Content, Cursor, Id, Instant, Name, PageSize, Text, User
from licentia.errors import Conflict, ContainerUnknown, NotFound


class ContactContainer(Request):
    """Speak with the server as a container: the message is signed by it, so no key is needed.

    A request is answered with the updates that follow what the container holds; a receipt is taken
    note of. This is the checkpoint of licenses that have `checkpoint_days`.
    """

    kind: ContainerKind
    message: Annotated[Content, Meta(description="The request or the receipt, in base64.")]


class Contacted(Reply):
    """What the container is known to hold, and what to carry to it."""

    container_id: Id
    delivery: Delivery | None = None


class ListContainers(Request):
    """The containers, in the order of their ids."""

    kind: ContainerKind | None = None
    cursor: Cursor | None = None
    limit: PageSize = 100


class Fact(Reply):
    """Something that a container's plugin tells the vendor of it."""

    name: Name
    value: Text


class KnownContainer(Reply, kw_only=True):
    """A container: `binding` is what makes it the same one next time."""

    container_id: Id
    kind: ContainerKind
    binding: str
    user: User | None = None
    created_at: Instant
    facts: list[Fact] = []


class ContainerPage(Reply):
    """A page of containers; without `next_cursor` it is the last."""

    containers: list[KnownContainer]
    next_cursor: Cursor | None = None


class ReinstateContainer(Request):
    """Forget that a container was found to be copied or set back; from now on it counts as one again."""

    container_id: Id
    reason: Annotated[Text, Meta(description="Why; kept in the audit trail.")]


OPERATIONS = (
    Operation(
        "ContactContainer", "depot", "POST", "/v1/containers/contact", "containers:contact_container",
        ContactContainer, Contacted, "Speak with the server as a container.", (ContainerUnknown, Conflict, *SPEAKING),
        mutates=True, open=True,
    ),
    Operation(
        "ListContainers", "admin", "GET", "/v1/containers", "containers:list_containers", ListContainers,
        ContainerPage, "List the containers.",
    ),
    Operation(
        "ReinstateContainer", "admin", "POST", "/v1/containers/{container_id}/reinstate",
        "containers:reinstate_container", ReinstateContainer, KnownContainer,
        "Reinstate a container that was found to be copied.", (NotFound, ContainerUnknown), mutates=True,
    ),
)
