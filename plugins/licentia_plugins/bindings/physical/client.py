"""The client half: reads the machine, and opens what was sealed to it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from licentia.bindings import ClientHalf, Features, Fingerprint, Unsealed
from licentia.errors import BindingEvidenceInvalid
from licentia.settings import table
from licentia_plugins.bindings.physical import evidence, opening
from licentia_plugins.bindings.physical import record as records
from licentia_plugins.bindings.physical.features import digests
from licentia_plugins.bindings.physical.settings import ClientSettings


class PhysicalClient(ClientHalf, Fingerprint):
    """Reads files of the system only; what it may not read, it does without."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(name, settings)
        self._settings = table(settings, ClientSettings, f"binding.{name}")

    def _collect(self, nonce: str) -> bytes:
        features = self._features(None)
        if not features.values:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in features.absent.items())
            raise BindingEvidenceInvalid(f"Nothing can be read of this machine. {reasons}.")
        return self._evidence_of(features.values)

    def _unseal(self, record: bytes) -> Unsealed:
        return self._unseal_with(record, self._features(None).values)

    def _features(self, report: str | None) -> Features:
        if report is not None:
            from licentia_plugins.bindings.physical.report import read_report

            return read_report(report)
        if sys.platform == "win32":
            from licentia_plugins.bindings.physical.windows import read_windows

            return read_windows()
        if sys.platform == "darwin":
            from licentia_plugins.bindings.physical.macos import read_macos

            return read_macos()
        from licentia_plugins.bindings.physical.linux import read_linux

        return read_linux(Path(self._settings.root))

    def _evidence_of(self, features: Mapping[str, str]) -> bytes:
        return evidence.encode(digests(features))

    def _unseal_with(self, record: bytes, features: Mapping[str, str]) -> Unsealed:
        return opening.unseal(records.decode(record), digests(features))
