"""The settings of `[connector.salesforce]`."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

import httpx
import msgspec
from msgspec import Meta

from licentia_integrations.incoming import Secret, Secrets
from licentia_integrations.remote import Api, Url
from licentia_integrations.salesforce.login import JwtBearer, private_key

Stage = Annotated[str, Meta(min_length=1, max_length=255)]
Field = Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,78}__c$")]
"""A field that the organization has added; those of Salesforce itself belong to others."""


class SalesforceApi(Api, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table `[connector.salesforce.api]`: as `Api`, or with a private key in the place of the password.

    Attributes:
        private_key: of the connected app, RSA in PEM.
        username: whom the app works as.
        audience: the login server; sandboxes have another one.
    """

    password: Secret = ""
    private_key: Secret | None = None
    username: Secret | None = None
    audience: Url = "https://login.salesforce.com"

    def __post_init__(self) -> None:
        Api.__post_init__(self)
        if bool(self.password) == (self.private_key is not None):
            raise ValueError("one of `password` and `private_key` is needed, and only one")
        if self.private_key is not None:
            if self.username is None or self.token_url is None:
                raise ValueError("`private_key` needs `user`, `username` and `token_url`")
            private_key(self.private_key)

    def login(self) -> httpx.Auth:
        """What puts the credentials into requests; keep it, as it keeps the token."""
        if self.private_key is None or self.token_url is None:
            return Api.login(self)
        claims = {"iss": self.user or "", "sub": self.username or "", "aud": self.audience}
        return JwtBearer(self.token_url, private_key(self.private_key), claims)


class SalesforceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of the organization; docs/plugins/salesforce.md explains each."""

    secret: Secrets | None = None
    certificate_header: Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{1,100}$")] | None = None
    certificate: Secrets | None = None
    organization_id: Annotated[str, Meta(pattern=r"^00D[A-Za-z0-9]{12}([A-Za-z0-9]{3})?$")] | None = None
    won_stages: tuple[Stage, ...] = ("Closed Won",)
    lost_stages: tuple[Stage, ...] = ("Closed Lost",)
    reduction_orders: bool = False
    poll_objects: tuple[Literal["Order", "Opportunity"], ...] = ()
    poll_from: date | None = None
    ticket_field: Field | None = None
    problem_field: Field | None = None
    api_version: Annotated[str, Meta(pattern=r"^\d{2,3}\.0$")] = "60.0"
    api: SalesforceApi | None = None

    def __post_init__(self) -> None:
        if (self.certificate_header is None) != (self.certificate is None):
            raise ValueError("`certificate_header` and `certificate` belong together")
        if self.secret is None and self.certificate is None:
            raise ValueError("one of `secret` and `certificate` is needed, as Salesforce signs nothing")
