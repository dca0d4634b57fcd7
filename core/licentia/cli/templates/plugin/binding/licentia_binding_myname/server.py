"""The server half."""

from __future__ import annotations

import hashlib
from secrets import token_bytes

import msgspec
from Crypto.Cipher import AES

from licentia.bindings import Challenge, Identity, ServerHalf
from licentia.errors import BindingEvidenceInvalid
from licentia_binding_myname.shared import NONCE, SALT_BYTES, Evidence, key


class Server(ServerHalf):
    """Nobody vouches for a machine-id, so the evidence is never fresh: the core lets one container have each."""

    async def _verify(self, evidence: bytes, challenge: Challenge) -> Identity:
        told = self._told(evidence)
        if told.nonce != challenge.nonce:
            raise BindingEvidenceInvalid("The evidence was collected for another request.")
        return Identity(name=hashlib.sha256(told.machine_id.encode()).hexdigest())

    async def _seal(self, evidence: bytes, secret: bytes) -> bytes:
        salt = token_bytes(SALT_BYTES)
        cipher = AES.new(key(self._told(evidence).machine_id, salt), AES.MODE_GCM, nonce=NONCE)
        box, tag = cipher.encrypt_and_digest(secret)
        return salt + tag + box

    def _told(self, evidence: bytes) -> Evidence:
        try:
            return msgspec.json.decode(evidence, type=Evidence)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise BindingEvidenceInvalid("This is not what the client half collects.") from None
