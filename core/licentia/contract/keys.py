"""Public keys: what anyone needs to check a lease offline."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from licentia.contract.operation import Operation, Reply, Request
from licentia.contract.types import Content, Instant


class ListPublicKeys(Request):
    """The public keys of the server: those that leases and those that containers are signed with.

    Of the lease keys the current one is first, then a prepared one, then old ones.
    """


class PublicKey(Reply):
    """An Ed25519 public key as a JSON Web Key (RFC 8037); `alg` is `Ed25519` (RFC 9864)."""

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    alg: Literal["Ed25519"]
    use: Literal["sig"]
    kid: Annotated[str, Meta(description="The key's thumbprint (RFC 7638).")]
    x: Annotated[str, Meta(description="The key itself, in base64url.")]


class GetKeyManifest(Request):
    """The vendor's key manifest: what an application brings along to open containers."""


class KeyManifest(Reply):
    """The manifest, a signed document (docs/formats.md), in base64."""

    version: Annotated[int, Meta(ge=1, le=2**31 - 1, description="It only ever grows; an older one is refused.")]
    vendor: str
    content: Content


class ContainerKey(Reply, kw_only=True):
    """A key that signs for containers; the same is in the key manifest, which vouches for it."""

    kid: Annotated[str, Meta(description="The key's id: it stands for the suite and both keys (docs/formats.md).")]
    suite: str
    ed25519: Annotated[str, Meta(description="Its Ed25519 half, in base64url.")]
    mldsa65: Annotated[str | None, Meta(description="Its ML-DSA-65 half (FIPS 204), in base64url, if it has one.")] = (
        None
    )
    not_before: Instant
    not_after: Instant
    state: Literal["current", "old", "revoked"]


class PublicKeys(Reply):
    """A JSON Web Key Set (RFC 7517) of the keys that sign leases, and beside it those that sign for containers."""

    keys: list[PublicKey]
    container_keys: list[ContainerKey] = []


OPERATIONS = (
    Operation(
        "ListPublicKeys", "licensing", "GET", "/v1/keys", "keys:list_public_keys", ListPublicKeys, PublicKeys,
        "Read the public keys.", open=True,
    ),
    Operation(
        "GetKeyManifest", "licensing", "GET", "/v1/manifest", "keys:get_key_manifest", GetKeyManifest, KeyManifest,
        "Read the key manifest.", open=True,
    ),
)
