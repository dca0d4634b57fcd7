"""What both halves know: the form of the evidence and of the record, and how the key is made."""

from __future__ import annotations

from typing import Annotated

import msgspec
from Crypto.Hash import SHA256
from Crypto.Protocol.KDF import HKDF

SALT_BYTES, TAG_BYTES = 32, 16
NONCE = bytes(12)
"""Each record has a key of its own, so its one nonce may be zero."""


class Evidence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the client half says: the machine-id, and the nonce that it was asked with."""

    machine_id: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}\Z")]
    nonce: str


def key(machine_id: str, salt: bytes) -> bytes:
    """The AES-256 key of one record, made from the machine-id (RFC 5869)."""
    made = HKDF(machine_id.encode(), 32, salt, SHA256, context=b"licentia-binding-myname/1")
    assert isinstance(made, bytes)  # one key was asked for; of several it makes a tuple
    return made
