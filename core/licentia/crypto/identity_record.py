"""What a server half seals for a virtual machine, and its client half opens: JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from licentia.crypto import identity_seal
from licentia.crypto.identity_seal import Sealed
from licentia.errors import DocumentInvalid


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A sealed secret, with what the machine needs to judge by itself who it is.

    Attributes:
        sealed: the secret, to be opened with the machine's name.
        attributes: the machine as it was, to tell what changed since.
        keys: what signatures are verified with, in the binding's own form.
    """

    sealed: Sealed
    attributes: Mapping[str, str]
    keys: msgspec.Raw


def write(secret: bytes, name: str, binding: str, *, attributes: Mapping[str, str], keys: Any) -> bytes:
    """A record that gives the secret for this name, which is unique within its binding."""
    sealed = identity_seal.seal(secret, name, binding)
    return msgspec.json.encode(
        Record(sealed=sealed, attributes=attributes, keys=msgspec.Raw(msgspec.json.encode(keys)))
    )


def read(record: bytes) -> Record:
    """A record back from its bytes; DocumentInvalid if it is damaged."""
    try:
        return msgspec.json.decode(record, type=Record)
    except (ValueError, RecursionError):
        raise DocumentInvalid("The record of the binding is damaged.") from None
