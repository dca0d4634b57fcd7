"""The record: what is kept of a machine, and which of it has to be right for the secret to come out.

A random number S is shared among the features, one share for each unit of weight (`licentia.crypto.sharing`);
where the machine shows enough hardware, a second number H is shared among that alone. A share is
added, modulo the prime, to a mask derived from the feature's digest. The key that wraps the secret is
derived from S and H, and from everything else that the record says: a record with another threshold,
weight or share has another key.

There are ways to see whether a guess at a feature is right: its hint, by which a machine that has
changed finds what it still has; the commitment to the key; and, who knows the threshold less one,
whether the shares of a heavier feature lie on one polynomial. So hint and masks are made by a slow hash
(scrypt, RFC 7914): whichever way is taken, each guess costs its work.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

import msgspec
from Crypto.Hash import SHA256
from Crypto.Protocol.KDF import HKDF
from msgspec import Meta

from licentia.bindings import SECRET_BYTES
from licentia.crypto.sharing import BYTES, PRIME
from licentia.errors import DocumentInvalid
from licentia_plugins.bindings.physical.features import Name
from licentia_plugins.bindings.physical.tolerance import Tolerance

DIGEST_BYTES = 32
TAG_BYTES = 16
MASK_BYTES = 48
"""Of one share's mask: 16 more than the prime has, so that the remainder is as good as uniform."""

HINT_BYTES = 3
"""One changed feature in 16 million is taken for unchanged."""

WORK = 14
"""Scrypt's cost N is 2 to this; with 14 it takes 16 MiB and some 30 ms."""

Salt = Annotated[bytes, Meta(min_length=16, max_length=16)]
Share = Annotated[bytes, Meta(min_length=BYTES, max_length=BYTES)]
Shares = Annotated[tuple[Share, ...], Meta(max_length=20)]
Count = Annotated[int, Meta(ge=0, le=100)]


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One feature: its masked shares of S, as many as its weight, and of H if it is hardware; its hint."""

    name: Name
    shares: Annotated[Shares, Meta(min_length=1)]
    hardware_shares: Shares
    hint: Annotated[bytes, Meta(min_length=HINT_BYTES, max_length=HINT_BYTES)]


class Terms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the key depends on: what must be right, and of what.

    `hardware_threshold` 0: there is no H. `work`: as in `WORK`.
    """

    version: Literal[1]
    tolerance: Tolerance
    threshold: Annotated[int, Meta(ge=1)]
    hardware_threshold: Count
    weak: bool
    work: Annotated[int, Meta(ge=1, le=16)]
    salt: Salt
    features: Annotated[tuple[Part, ...], Meta(min_length=1)]

    def __post_init__(self) -> None:
        names = {part.name for part in self.features}
        total = sum(len(part.shares) for part in self.features)
        hardware = sum(len(part.hardware_shares) for part in self.features)
        if len(names) < len(self.features) or self.threshold > total or self.hardware_threshold > hardware:
            raise ValueError("the thresholds do not fit the features")

    def digest(self) -> bytes:
        """SHA-256 over the terms as compact JSON, with the fields in the order above."""
        return hashlib.sha256(msgspec.json.encode(self)).digest()


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The terms, and what is wrapped: the secret, then the digests of the features, in their order.

    `commitment` is derived beside the key, as AES-GCM alone lets one ciphertext open under several keys.
    `checksum` tells a damaged file from one of another machine; it keeps nobody from anything.
    """

    terms: Terms
    nonce: Annotated[bytes, Meta(min_length=12, max_length=12)]
    sealed: bytes
    commitment: Annotated[bytes, Meta(min_length=32, max_length=32)]
    checksum: bytes = b""

    def __post_init__(self) -> None:
        if len(self.sealed) != SECRET_BYTES + DIGEST_BYTES * len(self.terms.features) + TAG_BYTES:
            raise ValueError("what is sealed has another length")

    def checked(self) -> Record:
        """The same, with its checksum."""
        bare = msgspec.structs.replace(self, checksum=b"")
        return msgspec.structs.replace(self, checksum=hashlib.sha256(msgspec.json.encode(bare)).digest()[:8])


def decode(record: bytes) -> Record:
    """The record of these bytes.

    Raises:
        DocumentInvalid: it is no such record, or it is damaged.
    """
    try:
        decoded = msgspec.json.decode(record, type=Record)
    except (ValueError, RecursionError):
        raise DocumentInvalid("This is not a record of a physical machine, of version 1.") from None
    if decoded != decoded.checked():
        raise DocumentInvalid("The record of this machine is damaged: its checksum is wrong.")
    return decoded


class Stretched:
    """A feature's digest after the slow hash: its hint, and the masks of its shares."""

    def __init__(self, digest: bytes, name: str, salt: bytes, work: int) -> None:
        label = b"licentia binding physical 1 feature " + salt + name.encode()
        slow = hashlib.scrypt(digest, salt=label, n=2**work, r=8, p=1, maxmem=2**27, dklen=32 + HINT_BYTES)
        self._seed, self.hint = slow[:32], slow[32:]

    def masks(self, count: int) -> list[int]:
        """So many masks, first those of the shares of S, then those of H."""
        stream = _derived(self._seed, MASK_BYTES * count, b"", b"masks")
        return [int.from_bytes(stream[at : at + MASK_BYTES], "big") % PRIME for at in range(0, len(stream), MASK_BYTES)]


def moved(share: bytes, by: int) -> bytes:
    """The share plus a number, modulo the prime; masked by it, or with its negative unmasked."""
    return ((int.from_bytes(share, "big") + by) % PRIME).to_bytes(BYTES, "big")


def key_and_commitment(shared: bytes, terms: Terms) -> tuple[bytes, bytes]:
    """The key that wraps the secret, and the commitment to it; `shared` is S, followed by H if there is one."""
    derived = _derived(shared, 64, terms.salt, b"key " + terms.digest())
    return derived[:32], derived[32:]


def _derived(master: bytes, length: int, salt: bytes, label: bytes) -> bytes:
    """HKDF with SHA-256 (RFC 5869)."""
    derived = HKDF(master, length, salt, SHA256, 1, b"licentia binding physical 1 " + label)
    assert isinstance(derived, bytes)
    return derived
