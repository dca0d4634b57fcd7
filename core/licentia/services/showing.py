"""An activation as a caller may see it."""

from __future__ import annotations

import base64
import binascii

from licentia.contract.activations import (
    ActivatedLicense,
    Activation,
)
from licentia.errors import (
    InvalidRequest,
    NotFound,
)
from licentia.services.context import Context
from licentia.services.stock import terms_of, validity_of
from licentia.storage import models


async def locked(activation_id: str, context: Context) -> models.Activation:
    """An activation, locked."""
    found = await models.Activation.filter(id=activation_id).select_for_update().first()
    return await own(found, activation_id, context)


async def own(activation: models.Activation | None, activation_id: str, context: Context) -> models.Activation:
    """The activation, if there is one and the caller may see it: an end user sees the own ones only."""
    subject = context.caller.subject
    if activation is not None and subject is not None:
        container = await models.Container.get(id=activation.container_id)
        if container.user_id != subject.user:
            activation = None
    if activation is None:
        raise NotFound(f"There is no activation {activation_id!r}.")
    return activation


async def shown(activation: models.Activation) -> Activation:
    """An activation as callers see it."""
    container = await models.Container.get(id=activation.container_id)
    ticket = await models.Ticket.get(id=activation.ticket_id)
    pools = {pool.license_id: pool for pool in await models.SeatPool.filter(activation_id=activation.id)}
    licenses = await models.License.filter(id__in=list(pools)).order_by("id")
    return Activation(
        activation_id=activation.id,
        ticket=ticket.code,
        kind=container.kind,
        container_id=container.id,
        user=container.user_id,
        state=activation.state,  # type: ignore[arg-type]
        licenses=[
            ActivatedLicense(
                license_id=license.id,
                sku=license.sku,
                product_code=license.product_code,
                name=license.name,
                quantity=pools[license.id].seats,
                expires_at=validity_of(license, terms_of(license)).until,
            )
            for license in licenses
        ],
        activated_at=activation.activated_at,
        ended_at=activation.ended_at,
    )


def decoded(content: str | None, pointer: str) -> bytes:
    """The bytes that a caller sent in base64."""
    try:
        return base64.b64decode(content or "", validate=False)
    except binascii.Error as error:
        raise InvalidRequest.at(pointer, f"not valid base64: {error}") from None
