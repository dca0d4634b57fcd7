"""cloud-lite: the licenses of a user, kept on this server.

For vendors whose application runs as a service: the application asks the server what a user may use
and claims seats there. The container is nothing but the record of what was activated for the user; its
binding is the user's id in the vendor's own user management. It has no settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from licentia.containers import ContainerBackend, ContainerRef, ContainerRequest, Content, Delivery, Host, Update
from licentia.errors import InvalidRequest
from licentia.settings import SettingsError


class CloudLite(ContainerBackend):
    """One container per user; whatever is activated for the user counts at once."""

    leasing: ClassVar[bool] = True

    def __init__(self, kind: str, host: Host, settings: Mapping[str, Any]) -> None:
        super().__init__(kind, host, settings)
        if settings:
            raise SettingsError(f"there is no setting `{next(iter(settings))}`: this kind has none")

    async def _provision(self, wanted: ContainerRequest) -> ContainerRef:
        if wanted.request:
            raise InvalidRequest.at("/container/request", f"a {self.kind} container takes no request")
        if not wanted.user:
            raise InvalidRequest.at("/container/user", f"a {self.kind} container belongs to a user; name them")
        return ContainerRef(binding=wanted.user, user=wanted.user)

    async def _apply(self, ref: ContainerRef, update: Update) -> Delivery | None:
        return None

    async def _read(self, ref: ContainerRef) -> tuple[Content, ...]:
        return await self.host.contents(self.kind, ref.binding)

    async def _retire(self, ref: ContainerRef) -> None:
        return None
