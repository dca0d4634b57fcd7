"""The record that ties a secret to a service account, as the server half writes it and the client half reads it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

import msgspec
from joserfc.jwk import Key
from msgspec import Meta

from licentia.bindings import EVIDENCE_LIMIT
from licentia.crypto.identity_seal import Sealed
from licentia.errors import DocumentInvalid
from licentia_plugins.bindings.kubernetes.tokens import MAX_KEYS, Place


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom the secret is for, and the keys of the cluster as they were then.

    The names are there to say what is different when it does not open; the id of the service account,
    which the secret is sealed to, is not in it.
    """

    v: Literal[1] = 1
    issuer: str
    audience: str
    namespace: str
    service_account: str
    keys: Annotated[list[dict[str, Any]], Meta(min_length=1, max_length=MAX_KEYS)]
    sealed: Sealed


def sealed_to(issuer: str, place: Place, keys: Iterable[Key]) -> str:
    """What a secret is sealed to: the account in its cluster, and the keys (RFC 7638) that may vouch for it."""
    thumbprints = sorted(key.thumbprint() for key in keys)
    return "\n".join((issuer, place.namespace, place.service_account.uid, *thumbprints))


def read(record: bytes) -> Record:
    """A record that the server half has written.

    Raises:
        DocumentInvalid: it is none.
    """
    if len(record) <= EVIDENCE_LIMIT:
        try:
            return msgspec.json.decode(record, type=Record)
        except (ValueError, RecursionError):
            pass
    raise DocumentInvalid("This is no record of the kubernetes binding.")
