"""Keys that sign documents, each of one suite (`licentia.crypto.suites`).

docs/formats.md tells how a key is named and what is signed, octet by octet.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import lru_cache
from secrets import token_bytes
from typing import Protocol

import msgspec
from Crypto.PublicKey import ECC, MLDSA
from Crypto.Signature import eddsa, mldsa

from licentia.crypto.suites import ED25519, ED25519_ALGORITHM, HYBRID, MLDSA65_ALGORITHM, SUITES
from licentia.errors import DocumentInvalid

_LABEL = b"licentia key 1"
_SEED_BYTES = 32
_VERSION = 1
_NUMBERS = {ED25519: 1, HYBRID: 2}
_COFACTOR = 8


class VerifyKey(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A public key of a suite: the raw key of each algorithm that the suite names, and no other.

    Attributes:
        suite: the name of the suite.
        ed25519: 32 bytes (RFC 8032, section 5.1.2).
        mldsa65: 1952 bytes (FIPS 204, algorithm 22), or none where the suite does not name ML-DSA-65.

    Raises:
        ValueError: there is no such suite, or a raw key has another length.
    """

    suite: str
    ed25519: bytes
    mldsa65: bytes = b""

    def __post_init__(self) -> None:
        if self.suite not in SUITES:
            raise ValueError(f"there is no suite {self.suite[:64]!r}")
        given = {ED25519_ALGORITHM: len(self.ed25519), MLDSA65_ALGORITHM: len(self.mldsa65)}
        if {name: length for name, length in given.items() if length} != SUITES[self.suite].public_bytes:
            raise ValueError(f"this is no key of the suite {self.suite}")

    def __repr__(self) -> str:
        return f"VerifyKey(kid={self.kid!r})"

    @property
    def kid(self) -> str:
        """The key's name, 43 characters: it stands for the suite and both raw keys."""
        named = b"\0".join((_LABEL, self.suite.encode(), self.ed25519 + self.mldsa65))
        return base64.urlsafe_b64encode(hashlib.sha256(named).digest()).rstrip(b"=").decode()

    def check(self, message: bytes, signatures: Mapping[str, bytes]) -> bool:
        """Whether these are the signatures of the message: of all algorithms of the suite, and of no other."""
        wanted = SUITES[self.suite].signature_bytes
        if {name: len(signature) for name, signature in signatures.items()} != wanted:
            return False
        try:
            eddsa.new(_point(self.ed25519), "rfc8032").verify(message, signatures[ED25519_ALGORITHM])
            if MLDSA65_ALGORITHM in wanted:
                lattice = MLDSA.construct(param_set=MLDSA.ML_DSA_65, pk=self.mldsa65)
                mldsa.new(lattice).verify(message, signatures[MLDSA65_ALGORITHM])
        except ValueError:
            return False
        return True


class Signer(Protocol):
    """Something that signs with one key, wherever that is kept."""

    @property
    def public(self) -> VerifyKey:
        """The public half."""

    def sign(self, message: bytes) -> dict[str, bytes]:
        """The signature of each algorithm of the key's suite, by the algorithm's name."""


class SoftwareKey:
    """A key in this process's memory. The private half is not shown by `repr` or `vars`.

    Attributes:
        public: the public half.
    """

    __slots__ = ("_lattice", "_point", "_seeds", "public")

    def __init__(self, suite: str, seeds: bytes) -> None:
        self._seeds = seeds
        self._point = eddsa.import_private_key(seeds[:_SEED_BYTES])
        self._lattice: MLDSA.MLDSAKey | None = None
        if suite == HYBRID:
            self._lattice = MLDSA.construct(param_set=MLDSA.ML_DSA_65, seed=seeds[_SEED_BYTES:])
        point = self._point.public_key().export_key(format="raw")
        assert isinstance(point, bytes)
        self.public = VerifyKey(suite, point, self._lattice.pk if self._lattice else b"")

    def __repr__(self) -> str:
        return f"SoftwareKey(kid={self.public.kid!r})"

    @classmethod
    def generate(cls, suite: str) -> SoftwareKey:
        """A new key, whose id no command line takes for an option.

        Raises:
            ValueError: there is no such suite.
        """
        if suite not in SUITES:
            raise ValueError(f"There is no suite {suite!r}.")
        length = _SEED_BYTES * len(SUITES[suite].algorithms)
        while (key := cls(suite, token_bytes(length))).public.kid.startswith("-"):
            pass
        return key

    @classmethod
    def from_bytes(cls, data: bytes) -> SoftwareKey:
        """The key that `to_bytes` wrote.

        Raises:
            DocumentInvalid: it is none.
        """
        suite = {number: name for name, number in _NUMBERS.items()}.get(data[1] if len(data) > 1 else 0, "")
        if not suite or data[0] != _VERSION or len(data) != 2 + _SEED_BYTES * len(SUITES[suite].algorithms):
            raise DocumentInvalid("This is no private key of a suite that is known here.")
        return cls(suite, data[2:])

    def to_bytes(self) -> bytes:
        """The private key: a version, the number of the suite, and the 32-byte seed of each algorithm."""
        return bytes((_VERSION, _NUMBERS[self.public.suite])) + self._seeds

    def sign(self, message: bytes) -> dict[str, bytes]:
        """The signature of each algorithm of the suite. ML-DSA's is hedged, so it differs each time."""
        signatures = {ED25519_ALGORITHM: eddsa.new(self._point, "rfc8032").sign(message)}
        if self._lattice is not None:
            signatures[MLDSA65_ALGORITHM] = mldsa.new(self._lattice).sign(message)
        return signatures


@lru_cache(maxsize=256)
def _point(raw: bytes) -> ECC.EccKey:
    """The point of a public key; those of small order, for which anybody can sign, are refused."""
    key = eddsa.import_public_key(raw)
    if (key.pointQ * _COFACTOR).is_point_at_infinity():
        raise ValueError("a point of small order")
    return key
