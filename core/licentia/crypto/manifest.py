"""The key manifest: which keys of a vendor count for what, signed by the vendor's root keys.

Whoever has one version can follow to the next without asking anybody, as in The Update Framework
(https://theupdateframework.github.io/specification/latest/, section 5.3): a version must be signed by
enough of the roots before it and by enough of its own. docs/formats.md tells the format.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from licentia.crypto import envelope
from licentia.crypto.signing import Signer, VerifyKey
from licentia.crypto.suites import SUITES
from licentia.errors import DocumentInvalid

TYPE = "application/vnd.licentia.manifest.v1+json"
LIMIT = 128 * 1024
"""The longest manifest, in bytes."""

State = Literal["current", "old", "revoked"]
Seconds = Annotated[int, Meta(ge=0, le=2**40)]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Roots(_Part, frozen=True, kw_only=True):
    """The root keys, and how many of them must sign."""

    threshold: Annotated[int, Meta(ge=1, le=16)]
    keys: Annotated[tuple[VerifyKey, ...], Meta(min_length=1, max_length=16)]

    def __post_init__(self) -> None:
        if len({key.ed25519 for key in self.keys}) < len(self.keys) or self.threshold > len(self.keys):
            raise ValueError("the roots are not different keys, or fewer than must sign")


class Issuing(_Part, frozen=True, kw_only=True):
    """A key that signs for containers: good for what is signed from `not_before` and before `not_after`.

    Times are seconds since 1970-01-01T00:00:00Z. The `current` one signs now, an `old` one signed
    before, and what a `revoked` one signed counts for nothing, whenever it was.
    """

    key: VerifyKey
    not_before: Seconds
    not_after: Seconds
    state: State


class Body(_Part, frozen=True, kw_only=True):
    """What a manifest says.

    Attributes:
        version: from 1 on, each higher than the one before.
        vendor: whose keys these are, for people to read.
        issued_at: when it was made, in seconds since 1970.
        roots: who signs this version, and has to sign the next.
        former_roots: roots of the version before that sign this one too; they count for nothing else.
        issuing: the keys that sign for containers.
        lease: the Ed25519 keys that signed leases when this was made, 32 bytes each.
        suites: the suites that count for whatever the vendor signs.
        trust: what else the vendor's applications need to trust, by name, as keys of cloud providers.
    """

    version: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    vendor: Annotated[str, Meta(min_length=1, max_length=200)]
    issued_at: Seconds
    roots: Roots
    former_roots: Annotated[tuple[VerifyKey, ...], Meta(max_length=16)] = ()
    issuing: Annotated[tuple[Issuing, ...], Meta(max_length=16)]
    lease: Annotated[tuple[Annotated[bytes, Meta(min_length=32, max_length=32)], ...], Meta(max_length=64)] = ()
    suites: Annotated[tuple[str, ...], Meta(min_length=1, max_length=8)]
    trust: Annotated[dict[Annotated[str, Meta(max_length=64)], bytes], Meta(max_length=16)] = {}

    def __post_init__(self) -> None:
        if not set(self.suites) <= set(SUITES):
            raise ValueError("it names a suite that is not known here")
        keys = [*self.roots.keys, *(each.key for each in self.issuing)]
        if len({key.ed25519 for key in keys}) < len(keys):
            raise ValueError("it has one key for two purposes")
        using = [*self.roots.keys, *(each.key for each in self.issuing if each.state == "current")]
        if any(key.suite not in self.suites for key in using):
            raise ValueError("it uses a key of a suite that does not count")
        if list(self.trust) != sorted(self.trust):
            raise ValueError("the members of `trust` are not in the order of their names")


class Manifest:
    """A manifest that enough of its own roots have signed.

    Attributes:
        body: what it says.
        signed_by: the ids of all root keys that have signed it.
    """

    def __init__(self, data: bytes, body: Body, signed_by: tuple[str, ...]) -> None:
        self.body = body
        self.signed_by = signed_by
        self._data = data

    def __repr__(self) -> str:
        return f"Manifest(vendor={self.vendor!r}, version={self.version})"

    @property
    def version(self) -> int:
        """From 1 on, each higher than the one before."""
        return self.body.version

    @property
    def vendor(self) -> str:
        """Whose keys these are, for people to read."""
        return self.body.vendor

    @property
    def suites(self) -> tuple[str, ...]:
        """The suites that count for whatever the vendor signs."""
        return self.body.suites

    @property
    def lease_keys(self) -> Mapping[str, bytes]:
        """The Ed25519 keys that leases were signed with when this was made, by their thumbprints (RFC 7638)."""
        return {_thumbprint(raw): raw for raw in self.body.lease}

    def issuing_keys(self, at: datetime) -> list[VerifyKey]:
        """The keys that count for what was signed at this time."""
        seconds = at.timestamp()
        return [
            each.key
            for each in self.body.issuing
            if each.state != "revoked" and each.not_before <= seconds < each.not_after
        ]

    def to_bytes(self) -> bytes:
        """The signed envelope, as it is handed out."""
        return self._data


def draft(body: Body) -> bytes:
    """The envelope of a manifest that nobody has signed yet; `licentia.crypto.envelope.cosign` adds each root."""
    return envelope.sign(TYPE, msgspec.json.encode(body))


def make(body: Body, *roots: Signer) -> Manifest:
    """The manifest, signed by these root keys.

    Raises:
        DocumentInvalid: they are not enough of its own roots.
    """
    return read_pinned(envelope.sign(TYPE, msgspec.json.encode(body), *roots))


def unverified_body(data: bytes) -> Body:
    """What a manifest or a draft says, whoever signed it.

    Raises:
        DocumentInvalid: it is no manifest.
    """
    payload = envelope.unverified_payload(data, TYPE, limit=LIMIT)
    try:
        body = msgspec.json.decode(payload, type=Body)
    except (ValueError, RecursionError) as error:
        raise DocumentInvalid(f"The key manifest cannot be read: {str(error)[:200]}.") from None
    if msgspec.json.encode(body) != payload:
        raise DocumentInvalid("The key manifest is not in the one form that it is written in.")
    return body


def read_pinned(data: bytes) -> Manifest:
    """A manifest that is trusted because of where it comes from, as inside the vendor's application.

    It is checked to be whole and signed by its own roots. That alone says nothing about whose it is.

    Raises:
        DocumentInvalid: it is damaged, or not signed by enough of its own roots.
    """
    return _signed(data, Roots(threshold=1, keys=unverified_body(data).roots.keys))


def verify_first(data: bytes, pinned: Roots) -> Manifest:
    """A manifest that enough of the pinned roots have signed.

    Raises:
        DocumentInvalid: it is damaged, or not signed by enough of the pinned roots and of its own.
    """
    manifest = _signed(data, pinned)
    _enough(manifest.signed_by, pinned, "that are trusted here")
    return manifest


def verify_next(current: Manifest, data: bytes) -> Manifest:
    """The manifest to go on with: a newer one, or the current one if this is it.

    Raises:
        DocumentInvalid: it is damaged, older, of the same version with other content, or not signed by
            enough of the current roots and of its own.
    """
    manifest = verify_first(data, current.body.roots)
    if manifest.version < current.version:
        raise DocumentInvalid(
            f"The key manifest is older than the one that is known: version {manifest.version} after {current.version}."
        )
    if manifest.version == current.version:
        if manifest.body != current.body:
            raise DocumentInvalid(f"There are two key manifests of version {current.version}: one must be forged.")
        return current
    return manifest


def _signed(data: bytes, pinned: Roots) -> Manifest:
    body = unverified_body(data)
    known = (*body.roots.keys, *body.former_roots, *pinned.keys)
    verified = envelope.verify(data, TYPE, known, suites=SUITES, limit=LIMIT)
    _enough(verified.kids, body.roots, "of its own")
    return Manifest(data, body, verified.kids)


def _enough(kids: tuple[str, ...], roots: Roots, which: str) -> None:
    signed = len({key.kid for key in roots.keys} & set(kids))
    if signed < roots.threshold:
        raise DocumentInvalid(
            f"The key manifest needs the signatures of {roots.threshold} roots {which}; it has {signed}."
        )


def _thumbprint(raw: bytes) -> str:
    """The id of an Ed25519 key as a JSON Web Key (RFC 7638, RFC 8037 appendix A.3)."""
    x = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    digest = hashlib.sha256(f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
