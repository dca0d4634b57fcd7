"""The few structures of a TPM that are needed here, as bytes (TCG, TPM 2.0 Library, Part 2: Structures).

Only keys of two exact templates are accepted, so a key is its template and its public number, and
whatever else a key could be need not be understood. Numbers are big-endian.
"""

from __future__ import annotations

import hashlib

import msgspec

ENDORSEMENT_TEMPLATE = bytes.fromhex(
    "0001 000b"  # an RSA key, named by SHA-256
    "000300b2"  # fixedTPM, fixedParent, sensitiveDataOrigin, adminWithPolicy, restricted, decrypt
    "0020 837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa"  # used by who may use the hierarchy
    "0006 0080 0043 0010"  # AES-128 in CFB mode for what it protects; no scheme of its own
    "0800 00000000"  # 2048 bits, the exponent 65537
)
"""An endorsement key (TCG, EK Credential Profile 2.x, template L-1), without its modulus."""

IDENTITY_TEMPLATE = bytes.fromhex(
    "0023 000b"  # a key on an elliptic curve, named by SHA-256
    "00050472"  # fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth, noDA, restricted, sign
    "0000"  # no policy
    "0010 0018 000b 0003 0010"  # signs by ECDSA with SHA-256 on P-256
)
"""Our signing key, without its point. `restricted`: it signs nothing from outside that looks like a quote."""

IDENTITY_SEED = (8).to_bytes(2, "big") + b"licentia" + bytes(2)
"""What stands for the point when the TPM derives our signing key: the same seed gives the same key for ever."""

SIGNATURE_HEAD = bytes.fromhex("0018 000b")
"""A signature by ECDSA with SHA-256."""

QUOTE_HEAD = bytes.fromhex("ff544347 8018")
"""Made by a TPM; a quote. No restricted key signs anything else that begins so."""

NAME_HEAD = bytes.fromhex("000b")
MODULUS_BYTES = 256
EXPONENT = 65537
COORDINATE_BYTES = 32
DIGEST_BYTES = 32


class StructureError(ValueError):
    """These bytes are not the structure that is wanted; the message is a sentence."""


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked at of a quote: who it answers, and which firmware the TPM says that it has."""

    qualifying_data: bytes
    firmware: int


class _Reader:
    def __init__(self, what: str, data: bytes, head: bytes) -> None:
        self._what = what
        self._left = data
        if self.take(len(head)) != head:
            raise self._error()

    def take(self, length: int) -> bytes:
        taken, self._left = self._left[:length], self._left[length:]
        if len(taken) != length:
            raise self._error()
        return taken

    def number(self, length: int) -> int:
        return int.from_bytes(self.take(length), "big")

    def sized(self, most: int) -> bytes:
        length = self.number(2)
        if length > most:
            raise self._error()
        return self.take(length)

    def end(self) -> None:
        if self._left:
            raise self._error()

    def _error(self) -> StructureError:
        return StructureError(f"The {self._what} is not of the kind that is accepted.")


def endorsement_modulus(public: bytes) -> int:
    """The RSA modulus of an endorsement key (TPMT_PUBLIC).

    Raises:
        StructureError: this is no endorsement key of the template.
    """
    reader = _Reader("endorsement key", public, ENDORSEMENT_TEMPLATE)
    modulus = reader.sized(MODULUS_BYTES)
    reader.end()
    number = int.from_bytes(modulus, "big")
    if number.bit_length() != 8 * MODULUS_BYTES or not number % 2 or not number % EXPONENT:
        raise StructureError("The endorsement key is no RSA key of 2048 bits.")
    return number


def identity_point(public: bytes) -> tuple[int, int]:
    """The point of a signing key (TPMT_PUBLIC) on P-256; whether it lies on the curve is not checked.

    Raises:
        StructureError: this is no key of the template.
    """
    reader = _Reader("signing key", public, IDENTITY_TEMPLATE)
    x, y = reader.sized(COORDINATE_BYTES), reader.sized(COORDINATE_BYTES)
    reader.end()
    return int.from_bytes(x, "big"), int.from_bytes(y, "big")


def name_of(public: bytes) -> bytes:
    """The name that a TPM gives to a key: the digest of all that is public of it (Part 1, section 16)."""
    return NAME_HEAD + hashlib.sha256(public).digest()


def quote(attested: bytes) -> Quote:
    """A quote of no registers (TPMS_ATTEST).

    Raises:
        StructureError: it is none.
    """
    reader = _Reader("quote", attested, QUOTE_HEAD)
    reader.sized(len(NAME_HEAD) + DIGEST_BYTES)  # the signer, under its hierarchy
    qualifying_data = reader.sized(DIGEST_BYTES)
    reader.take(8 + 4 + 4 + 1)  # clock, resets, restarts, whether the clock is safe
    firmware = reader.number(8)
    if reader.number(4):
        raise StructureError("The quote is of registers, which nobody has asked for.")
    reader.sized(DIGEST_BYTES)
    reader.end()
    return Quote(qualifying_data=qualifying_data, firmware=firmware)


def signature(signed: bytes) -> bytes:
    """The two numbers of a signature (TPMT_SIGNATURE), each in 32 bytes, one after the other.

    Raises:
        StructureError: it is no ECDSA signature with SHA-256.
    """
    reader = _Reader("signature", signed, SIGNATURE_HEAD)
    r, s = reader.sized(COORDINATE_BYTES), reader.sized(COORDINATE_BYTES)
    reader.end()
    return r.rjust(COORDINATE_BYTES, b"\x00") + s.rjust(COORDINATE_BYTES, b"\x00")
