"""The server half: takes the one piece of evidence that there is, and seals nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from licentia.bindings import Challenge, Identity, ServerHalf
from licentia.errors import BindingEvidenceInvalid
from licentia_plugins.bindings.none import record as records


class UnboundServer(ServerHalf):
    """Names nobody."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(name, settings)
        records.check(settings)

    async def _verify(self, evidence: bytes, challenge: Challenge) -> Identity:
        if evidence != records.EVIDENCE:
            raise BindingEvidenceInvalid("This is not what the binding to nothing sends.")
        return Identity(weak=True)

    async def _seal(self, evidence: bytes, secret: bytes) -> bytes:
        return records.encode(secret)
