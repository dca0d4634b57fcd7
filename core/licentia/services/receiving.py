"""What a container away from the server says of itself, and what follows from it."""

from __future__ import annotations

from licentia.containers import Contact, ContainerBackend, ContainerRef, OfflineDelivery, Received
from licentia.errors import (
    Conflict,
    InvalidRequest,
)
from licentia.services.away import note_use
from licentia.services.context import Context
from licentia.services.placing import take_back
from licentia.storage import models


async def take_receipt(
    backend: ContainerBackend, container: models.Container, receipt: bytes, context: Context
) -> None:
    """Take what a container away from the server says of itself, and do what follows from it."""
    if not isinstance(backend, OfflineDelivery):
        raise InvalidRequest.at("/receipt", f"a container of kind {container.kind!r} is on the server and gives none")
    ref = ContainerRef(binding=container.binding, user=container.user_id)
    if isinstance(backend, Contact):
        if (await backend.whose(receipt)).binding != container.binding:
            raise Conflict("The receipt is of another container.", help="Send the receipt of the one it is in.")
        received = await backend.receive(ref, receipt)
    else:
        received = Received(change=await backend.confirm(ref, receipt))
    await note_received(backend, container, received, context)


async def note_received(
    backend: ContainerBackend, container: models.Container, received: Received, context: Context
) -> None:
    """What a container holds now, what it gave up, and what it used."""
    await note_use(received, context)
    active = await models.Activation.filter(container_id=container.id, ended_at=None).order_by("id")
    for activation in active:
        if activation.state == "delivered" and activation.change <= received.change:
            activation.state = "confirmed"
            await activation.save(update_fields=["state"])
            context.record("activation.confirmed", activation_id=activation.id, container_id=container.id)
        gone = activation.state == "returning" and activation.change <= received.change
        if gone or activation.id in received.returned:
            await take_back(activation, "returned", context)
