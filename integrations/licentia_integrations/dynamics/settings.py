"""The settings of `[connector.dynamics]`."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from licentia_integrations.incoming import Secrets
from licentia_integrations.remote import Api

Entity = Literal["salesOrders", "salesInvoices", "salesCreditMemos", "salesorder"]
Status = Annotated[str, Meta(min_length=1, max_length=50)]


class DynamicsSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of Business Central or of Dataverse; docs/plugins/dynamics.md explains each."""

    secret: Secrets
    secret_header: Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{1,100}$")] | None = None
    entities: Annotated[tuple[Entity, ...], Meta(min_length=1)] = (
        "salesOrders",
        "salesInvoices",
        "salesCreditMemos",
        "salesorder",
    )
    placed_statuses: Annotated[tuple[Status, ...], Meta(min_length=1)] = ("Open", "Paid")
    placed_states: Annotated[tuple[int, ...], Meta(min_length=1)] = (1, 3, 4)
    api: Api | None = None
