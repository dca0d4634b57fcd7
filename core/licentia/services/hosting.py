"""What the core offers to the plugins of containers, within the transaction of the call that runs."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from licentia.bindings import Binding, Identity, ServerHalf
from licentia.containers import Content
from licentia.crypto import sealing
from licentia.crypto.issuingkey import IssuingKey
from licentia.crypto.manifest import Manifest
from licentia.crypto.signing import Signer
from licentia.errors import BindingEvidenceInvalid
from licentia.plugins import Bindings
from licentia.services.context import running
from licentia.services.telling import recorded_contents
from licentia.storage import models

LABEL = b"licentia container state\0"


class CoreHost:
    """The host of all containers of this server; see `licentia.containers.Host`.

    Args:
        master: the server's master secret; what plugins keep of containers is encrypted with it.
        issuing: the key that signs for containers.
        bindings: those in use.
    """

    def __init__(self, master: bytes, issuing: IssuingKey, bindings: Bindings) -> None:
        self._master = master
        self._issuing = issuing
        self._bindings = bindings

    async def contents(self, kind: str, binding: str) -> tuple[Content, ...]:
        """The recorded contents, by license id; none if there is no such container."""
        container = await models.Container.get_or_none(kind=kind, binding=binding)
        return () if container is None else await recorded_contents(container)

    async def recall(self, kind: str, binding: str) -> bytes | None:
        """What the plugin remembered."""
        key = _key(kind, binding)
        row = await models.ContainerState.filter(id=key).select_for_update().first()
        return None if row is None else sealing.unseal(self._master, LABEL + key.encode(), base64.b64decode(row.state))

    async def remember(self, kind: str, binding: str, state: bytes, facts: Mapping[str, str]) -> None:
        """Keep what the plugin wants to remember."""
        key = _key(kind, binding)
        sealed = base64.b64encode(sealing.seal(self._master, LABEL + key.encode(), state)).decode()
        told = msgspec.json.encode(facts).decode()
        if not await models.ContainerState.filter(id=key).update(state=sealed, facts=told):
            await models.ContainerState.create(id=key, state=sealed, facts=told)

    def remember_refusal(self, kind: str, binding: str, state: bytes, facts: Mapping[str, str]) -> None:
        """Keep it although the call is refused."""
        running().after_refusal.append(lambda: self.remember(kind, binding, state, facts))

    async def claim(self, binding: str, identity: Identity, container: str) -> None:
        """Note the use of this evidence."""
        key = _key(binding, identity.name)
        known = await models.Identity.filter(id=key).select_for_update().first()
        if known is None:
            await models.Identity.create(id=key, container=container)
        elif known.container != container and not identity.fresh:
            raise BindingEvidenceInvalid(
                f"Evidence of {identity.name!r} by {binding} was used for another container before, and may be a copy.",
                help="Return or restore what the other container holds first.",
            )
        elif known.container != container:
            await models.Identity.filter(id=key).update(container=container)

    async def now(self) -> datetime:
        """The database's clock."""
        return await running().db.now()

    def bindings(self) -> tuple[str, ...]:
        """The bindings in use."""
        return self._bindings.names

    def binding(self, name: str) -> Binding:
        """A binding in use."""
        return self._bindings.binding(name)

    def half(self, binding: str) -> ServerHalf:
        """The server half of one."""
        return self._bindings.half(binding)

    def issuer(self) -> tuple[Signer, tuple[Manifest, ...]]:
        """The key that signs now, and the manifests that vouch for it."""
        return self._issuing.current(), self._issuing.manifests()

    def note(self, kind: str, /, **data: Any) -> None:
        """Note it in the audit trail."""
        running().audit(kind, **data)


async def facts_of(containers: list[models.Container]) -> dict[str, dict[str, str]]:
    """What their plugins tell of containers, by the container's id."""
    keys = {_key(container.kind, container.binding): container.id for container in containers}
    rows = await models.ContainerState.filter(id__in=[*keys]) if keys else []
    return {keys[row.id]: msgspec.json.decode(row.facts, type=dict[str, str]) for row in rows}


def _key(kind: str, name: str) -> str:
    return hashlib.sha256(f"{kind}\0{name}".encode()).hexdigest()
