"""The client half."""

from __future__ import annotations

from pathlib import Path

import msgspec
from Crypto.Cipher import AES

from licentia.bindings import ClientHalf, Unsealed
from licentia.errors import BindingEvidenceInvalid, BindingMismatch, FieldProblem
from licentia_binding_myname.shared import NONCE, SALT_BYTES, TAG_BYTES, Evidence, key


class Client(ClientHalf):
    """Reads the machine-id anew each time: it may have changed since."""

    def _collect(self, nonce: str) -> bytes:
        return msgspec.json.encode(Evidence(machine_id=self._machine_id(), nonce=nonce))

    def _unseal(self, record: bytes) -> Unsealed:
        salt, tag, box = record[:SALT_BYTES], record[SALT_BYTES:][:TAG_BYTES], record[SALT_BYTES + TAG_BYTES :]
        try:
            cipher = AES.new(key(self._machine_id(), salt), AES.MODE_GCM, nonce=NONCE)
            return Unsealed(secret=cipher.decrypt_and_verify(box, tag))
        except ValueError:
            changed = FieldProblem("/features/machine_id", "it is not the one that this was sealed to")
            raise BindingMismatch("This was sealed to another machine.", problems=[changed]) from None

    def _machine_id(self) -> str:
        file = Path(self.settings.get("file", "/etc/machine-id"))
        try:
            return file.read_text("ascii").strip()
        except (OSError, ValueError):
            raise BindingEvidenceInvalid(f"This machine has no machine-id in {file}.") from None
