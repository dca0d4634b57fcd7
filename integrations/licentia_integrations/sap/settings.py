"""The settings of `[connector.sap]`."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import msgspec
from msgspec import Meta

from licentia_integrations.incoming import Secrets
from licentia_integrations.remote import Api

Code = Annotated[str, Meta(min_length=1, max_length=10)]


class SapSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of the SAP system; docs/plugins/sap.md explains each."""

    secret: Secrets
    return_types: tuple[Code, ...] = ("RE", "RE2", "CBRE", "CBAR")
    hold_blocked: bool = True
    poll_from: date | None = None
    poll_returns: bool = True
    text_id: Annotated[str, Meta(pattern=r"^[A-Z0-9]{1,4}$")] | None = None
    text_language: Annotated[str, Meta(pattern=r"^[A-Z0-9]{2}$")] = "EN"
    client: Annotated[str, Meta(pattern=r"^\d{3}$")] | None = None
    api: Api | None = None
