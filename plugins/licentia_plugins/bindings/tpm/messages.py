"""What goes from the device to the server and back: the evidence, and the record."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from licentia.errors import DocumentInvalid
from licentia_plugins.bindings.tpm.structures import StructureError

CERTIFICATE_LIMIT = 8192
RECORD_LIMIT = 4096


class Evidence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Two public keys, the maker's certificate for the first if there is one, and a quote signed by the second."""

    v: Literal[1] = 1
    endorsement_key: bytes
    endorsement_certificate: Annotated[bytes, Meta(max_length=CERTIFICATE_LIMIT)] = b""
    identity_key: bytes
    quote: bytes
    signature: bytes


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A credential (see `credential`) for the key of this name; `weak`: no maker has vouched for the TPM."""

    v: Literal[1] = 1
    name: Annotated[bytes, Meta(min_length=34, max_length=34)]
    integrity: Annotated[bytes, Meta(min_length=32, max_length=32)]
    identity: Annotated[bytes, Meta(min_length=34, max_length=34)]
    seed: Annotated[bytes, Meta(min_length=256, max_length=256)]
    weak: bool


def answer_to(nonce: str, endorsement_key: bytes) -> bytes:
    """The qualifying data of a quote: it answers a nonce, and vouches for the endorsement key beside it."""
    return hashlib.sha256(b"licentia/binding/tpm/1\x00" + nonce.encode() + b"\x00" + endorsement_key).digest()


def read_evidence(evidence: bytes) -> Evidence:
    """Evidence that the client half has collected.

    Raises:
        StructureError: it is none.
    """
    try:
        return msgspec.json.decode(evidence, type=Evidence)
    except (ValueError, RecursionError):
        raise StructureError("This is no evidence of the tpm binding.") from None


def read_record(record: bytes) -> Record:
    """A record that the server half has written.

    Raises:
        DocumentInvalid: it is none.
    """
    if len(record) <= RECORD_LIMIT:
        try:
            return msgspec.json.decode(record, type=Record)
        except (ValueError, RecursionError):
            pass
    raise DocumentInvalid("This is no record of the tpm binding.")
