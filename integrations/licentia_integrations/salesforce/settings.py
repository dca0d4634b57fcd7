"""The settings of `[connector.salesforce]`."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from licentia_integrations.incoming import Secrets
from licentia_integrations.remote import Api

Stage = Annotated[str, Meta(min_length=1, max_length=255)]


class SalesforceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of the organization; docs/plugins/salesforce.md explains each."""

    secret: Secrets | None = None
    certificate_header: Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{1,100}$")] | None = None
    certificate: Secrets | None = None
    organization_id: Annotated[str, Meta(pattern=r"^00D[A-Za-z0-9]{12}([A-Za-z0-9]{3})?$")] | None = None
    won_stages: tuple[Stage, ...] = ("Closed Won",)
    lost_stages: tuple[Stage, ...] = ("Closed Lost",)
    reduction_orders: bool = False
    api_version: Annotated[str, Meta(pattern=r"^\d{2,3}\.0$")] = "60.0"
    api: Api | None = None

    def __post_init__(self) -> None:
        if (self.certificate_header is None) != (self.certificate is None):
            raise ValueError("`certificate_header` and `certificate` belong together")
        if self.secret is None and self.certificate is None:
            raise ValueError("one of `secret` and `certificate` is needed, as Salesforce signs nothing")
