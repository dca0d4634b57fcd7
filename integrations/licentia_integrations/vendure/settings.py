"""The settings of `[connector.vendure]`."""

from __future__ import annotations

from datetime import date

from licentia_integrations.remote import Api
from licentia_integrations.standard import StandardSettings


class VendureSettings(StandardSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of the shop; docs/plugins/vendure.md explains each."""

    item_field: str = "licenceItem"
    ticket_field: str = "licenceTicket"
    test_methods: tuple[str, ...] = ()
    poll_from: date | None = None
    api: Api | None = None

    def __post_init__(self) -> None:
        if self.api and (self.api.token_url or self.api.scope):
            raise ValueError("`api` has a `url`, a `user` and a `password`, or a `url` and an API key as `password`")
