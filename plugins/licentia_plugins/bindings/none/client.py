"""The client half: reads the secret from the record, on any machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from licentia.bindings import ClientHalf, Unsealed
from licentia_plugins.bindings.none import record as records


class UnboundClient(ClientHalf):
    """Asks the machine nothing."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(name, settings)
        records.check(settings)

    def _collect(self, nonce: str) -> bytes:
        return records.EVIDENCE

    def _unseal(self, record: bytes) -> Unsealed:
        return Unsealed(secret=records.decode(record), weak=True)
