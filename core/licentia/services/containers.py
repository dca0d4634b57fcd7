"""Containers: contact with those that are away, and what the vendor sees of all."""

from __future__ import annotations

from licentia.containers import Contact, ContainerRef
from licentia.contract.containers import (
    ContactContainer,
    Contacted,
    ContainerPage,
    Fact,
    KnownContainer,
    ListContainers,
    ReinstateContainer,
)
from licentia.errors import ContainerUnknown, InvalidRequest, NotFound
from licentia.services.context import Context
from licentia.services.hosting import facts_of
from licentia.services.receiving import note_received
from licentia.services.showing import decoded
from licentia.services.stock import lock_licenses
from licentia.services.telling import encoded, tell
from licentia.storage import ledger, models


async def contact_container(request: ContactContainer, context: Context) -> Contacted:
    """Take a message of a container; a request is answered with what it does not hold yet."""
    backend = context.plugins.container(request.kind)
    if not isinstance(backend, Contact):
        raise InvalidRequest.at("/kind", f"a container of kind {request.kind!r} does not speak by itself")
    message = decoded(request.message, "/message")
    ref = await backend.whose(message)
    container = await models.Container.get_or_none(kind=request.kind, binding=ref.binding)
    if container is None:
        raise ContainerUnknown(
            "Nothing was ever activated into this container.", help="Activate a ticket with the container's request."
        )
    pools = await context.tx.run(ledger.lock_pools("container_id", container.id))
    await lock_licenses(id__in=[pool.license_id for pool in pools])
    container = await models.Container.filter(id=container.id).select_for_update().get()
    received = await backend.receive(ref, message)
    await note_received(backend, container, received, context)
    if not received.asks:
        return Contacted(container_id=container.id, delivery=None)
    await container.refresh_from_db()  # what came of it may have told the container already
    delivery = await backend.pending(ref) if received.answered else await tell(container, backend)
    context.record("container.contacted", container_id=container.id, again=received.answered)
    return Contacted(container_id=container.id, delivery=None if delivery is None else encoded(delivery))


async def list_containers(request: ListContainers, context: Context) -> ContainerPage:
    """A page of containers."""
    if request.cursor is not None and len(request.cursor) > 64:
        raise InvalidRequest.at("/cursor", "not a cursor that this server gave")
    query = models.Container.filter(id__gt=request.cursor or "")
    if request.kind is not None:
        query = query.filter(kind=request.kind)
    found = await query.order_by("id").limit(request.limit + 1)
    page = found[: request.limit]
    facts = await facts_of(page)
    return ContainerPage(
        containers=[_shown(container, facts.get(container.id, {})) for container in page],
        next_cursor=page[-1].id if len(found) > len(page) else None,
    )


async def reinstate_container(request: ReinstateContainer, context: Context) -> KnownContainer:
    """Count a container as one again; doing it again changes nothing."""
    container = await models.Container.filter(id=request.container_id).select_for_update().first()
    if container is None:
        raise NotFound(f"There is no container {request.container_id!r}.")
    backend = context.plugins.container(container.kind)
    if not isinstance(backend, Contact):
        raise InvalidRequest.at("/container_id", f"a container of kind {container.kind!r} is on the server")
    if await backend.reinstate(ContainerRef(binding=container.binding, user=container.user_id)):
        context.record("container.reinstated", container_id=container.id, reason=request.reason)
    return _shown(container, (await facts_of([container])).get(container.id, {}))


def _shown(container: models.Container, facts: dict[str, str]) -> KnownContainer:
    return KnownContainer(
        container_id=container.id,
        kind=container.kind,
        binding=container.binding,
        user=container.user_id,
        created_at=container.created_at,
        facts=[Fact(name=name, value=value) for name, value in facts.items()],
    )
