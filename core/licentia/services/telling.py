"""What a container holds, and how it is told."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

import msgspec

from licentia import containers
from licentia.containers import ContainerBackend, ContainerRef, Content, Update
from licentia.contract.activations import Delivery
from licentia.contract.products import Terms
from licentia.services.context import Context
from licentia.services.stock import terms_of, validity_of
from licentia.storage import models


async def tell(container: models.Container, backend: ContainerBackend) -> containers.Delivery | None:
    """Tell a container what it holds from now on."""
    container.sequence += 1
    await container.save(update_fields=["sequence"])
    contents = await recorded_contents(container)
    ref = ContainerRef(binding=container.binding, user=container.user_id)
    return await backend.apply(ref, Update(sequence=container.sequence, contents=contents))


async def tell_all(container_ids: Iterable[str], context: Context) -> int:
    """Tell these containers what they hold from now on; how many of them have yet to get it."""
    pending = 0
    for container in await models.Container.filter(id__in=[*container_ids]).order_by("id").select_for_update():
        delivery = await tell(container, context.plugins.container(container.kind))
        pending += delivery is not None
    return pending


async def recorded_contents(container: models.Container) -> tuple[Content, ...]:
    """What the core has recorded as the contents of a container, by license and activation."""
    found = models.SeatPool.filter(container_id=container.id, state="open")
    if not (pools := await found.order_by("license_id", "activation_id")):
        return ()
    licenses = await models.License.in_bulk({pool.license_id for pool in pools}, "id")
    units: dict[tuple[str, str], dict[str, int]] = {}
    for each in await models.Allotment.filter(activation_id__in=[pool.activation_id for pool in pools]):
        units.setdefault((each.activation_id, each.license_id), {})[each.meter] = each.units
    contents = []
    for pool in pools:
        license = licenses[pool.license_id]
        terms = terms_of(license)
        contents.append(
            Content(
                license_id=license.id,
                product_code=license.product_code,
                quantity=pool.seats,
                terms=_given(terms),
                activation_id=pool.activation_id,
                name=license.name,
                valid_until=validity_of(license, terms).until,
                units=units.get((pool.activation_id, license.id), {}),
            )
        )
    return tuple(contents)


def _given(terms: Terms) -> dict[str, Any]:
    """The terms that are not as they are where nothing is said."""
    every, default = msgspec.to_builtins(terms), msgspec.to_builtins(Terms())
    return {name: value for name, value in every.items() if value != default[name]}


def encoded(delivery: containers.Delivery) -> Delivery:
    """A delivery as callers see it."""
    return Delivery(
        media_type=delivery.media_type,
        filename=delivery.filename,
        content=base64.b64encode(delivery.content).decode(),
    )
