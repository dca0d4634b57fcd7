"""Who calls, and with what they prove it."""

from __future__ import annotations

import msgspec

from licentia.directories import Subject

SCOPES = frozenset({"admin", "sales", "depot", "licensing"})
"""What a key may be allowed: one scope for each service."""


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """An authenticated caller.

    `actor` stands in the audit trail: the id of a key, `user:` and an id, or `operator`. `subject`
    is set when the caller is an end user with a token of the vendor's own: such a caller speaks only
    for that user.
    """

    actor: str
    scopes: frozenset[str]
    address: str = ""
    subject: Subject | None = None


OPERATOR = Caller(actor="operator", scopes=SCOPES)
"""The local command line: whoever can read the data folder can do everything."""


def ANYONE(address: str) -> Caller:  # noqa: N802 - reads as the constant beside it
    """A caller of an open operation."""
    return Caller(actor="anyone", scopes=frozenset(), address=address)


class _Secret(msgspec.Struct, frozen=True):
    """What does not show itself in a log or a traceback."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(...)"


class BearerToken(_Secret, frozen=True):
    """`Authorization: Bearer`: a key of ours, or a token of the vendor's identity provider."""

    token: str


class KeyPair(_Secret, frozen=True):
    """HTTP Basic or WS-Security PasswordText; `secret` may be the secret part or the whole key."""

    key_id: str
    secret: str


class KeyDigest(_Secret, frozen=True):
    """WS-Security PasswordDigest: SHA-1 over nonce, created and the secret part or the whole key."""

    key_id: str
    digest: bytes
    nonce: bytes
    created: str


Credentials = BearerToken | KeyPair | KeyDigest
