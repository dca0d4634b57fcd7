"""Public keys: what anyone needs to check a lease offline."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from licentia.contract.operation import Operation, Reply, Request


class ListPublicKeys(Request):
    """The public keys that leases can be checked with: the current one first, then a prepared one, then old ones."""


class PublicKey(Reply):
    """An Ed25519 public key as a JSON Web Key (RFC 8037); `alg` is `Ed25519` (RFC 9864)."""

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    alg: Literal["Ed25519"]
    use: Literal["sig"]
    kid: Annotated[str, Meta(description="The key's thumbprint (RFC 7638).")]
    x: Annotated[str, Meta(description="The key itself, in base64url.")]


class PublicKeys(Reply):
    """A JSON Web Key Set (RFC 7517)."""

    keys: list[PublicKey]


OPERATIONS = (
    Operation(
        "ListPublicKeys", "licensing", "GET", "/v1/keys", "keys:list_public_keys", ListPublicKeys, PublicKeys,
        "Read the public keys.", open=True,
    ),
)
