"""act-file: an encrypted license file that opens on one machine only, also without a network.

The machine sends a request and gets an update, which only it can open; a receipt says that it did. The
exchange is `licentia.exchange`, what it is bound to are the bindings of the setting `bindings`, and
what an application opens it with is `licentia.client.actfile`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from licentia.containers import (
    Contact,
    ContainerBackend,
    ContainerRef,
    ContainerRequest,
    Content,
    Delivery,
    Host,
    OfflineDelivery,
    Received,
    Update,
)
from licentia.errors import DocumentInvalid, InvalidRequest
from licentia.exchange.keeper import Keeper, read
from licentia.exchange.policy import Policy

MEDIA_TYPE = "application/vnd.licentia.updates"


class ActFile(ContainerBackend, OfflineDelivery, Contact):
    """One container per machine that asks, known by the key that it made for itself."""

    device_bound: ClassVar[bool] = True

    def __init__(self, kind: str, host: Host, settings: Mapping[str, Any]) -> None:
        super().__init__(kind, host, settings)
        self._keeper = Keeper(kind, host, Policy.of(settings, host))

    async def _provision(self, wanted: ContainerRequest) -> ContainerRef:
        if not wanted.request:
            raise InvalidRequest.at(
                "/container/request", "an act-file asks by its request; `licentia container request` writes one"
            )
        ref = await self._whose(wanted.request)
        await self._keeper.receive(wanted.request)
        return ref

    async def _whose(self, message: bytes) -> ContainerRef:
        said, _ = read(message)
        return ContainerRef(binding=said.container, request_id=said.request_id.hex())

    async def _receive(self, ref: ContainerRef, message: bytes) -> Received:
        return await self._keeper.receive(message)

    async def _apply(self, ref: ContainerRef, update: Update) -> Delivery | None:
        return self._delivery(ref, await self._keeper.issue(ref.binding, update.sequence, update.contents))

    async def _pending(self, ref: ContainerRef) -> Delivery | None:
        chain = await self._keeper.pending(ref.binding)
        return None if chain is None else self._delivery(ref, chain)

    async def _reinstate(self, ref: ContainerRef) -> bool:
        return await self._keeper.reinstate(ref.binding)

    async def _confirm(self, ref: ContainerRef, receipt: bytes) -> int:
        said, is_request = read(receipt)
        if is_request or said.container != ref.binding:
            raise DocumentInvalid("This is no receipt of this container.")
        return (await self._keeper.receive(receipt)).change

    async def _read(self, ref: ContainerRef) -> tuple[Content, ...]:
        return await self.host.contents(self.kind, ref.binding)

    async def _retire(self, ref: ContainerRef) -> None:
        return None

    def _delivery(self, ref: ContainerRef, chain: bytes) -> Delivery:
        return Delivery(media_type=MEDIA_TYPE, filename=f"licentia-{ref.binding[:8]}.update", content=chain)
