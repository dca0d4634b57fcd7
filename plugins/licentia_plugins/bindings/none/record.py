"""Evidence that says nothing, and a record that hides nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from licentia.bindings import SECRET_BYTES
from licentia.errors import DocumentInvalid
from licentia.settings import SettingsError

EVIDENCE = b'{"version":1,"bound_to":"nothing"}'


class _Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    version: Literal[1]
    bound_to: Literal["nothing"]
    secret: Annotated[bytes, Meta(min_length=SECRET_BYTES, max_length=SECRET_BYTES)]
    checksum: bytes


def encode(secret: bytes) -> bytes:
    """The record, with the secret in the clear."""
    return msgspec.json.encode(_Record(version=1, bound_to="nothing", secret=secret, checksum=_checksum(secret)))


def decode(record: bytes) -> bytes:
    """The secret in the record; DocumentInvalid if it is no such record, or damaged."""
    try:
        decoded = msgspec.json.decode(record, type=_Record)
    except (ValueError, RecursionError):
        raise DocumentInvalid("This is not a record of the binding to nothing, of version 1.") from None
    if decoded.checksum != _checksum(decoded.secret):
        raise DocumentInvalid("The record is damaged: its checksum is wrong.")
    return decoded.secret


def check(settings: Mapping[str, Any]) -> None:
    """SettingsError if there is a setting, as this binding has none."""
    if settings:
        raise SettingsError(f"there is no setting `{next(iter(settings))}`: this binding has none")


def _checksum(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()[:8]
