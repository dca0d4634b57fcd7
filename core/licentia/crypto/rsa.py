"""RSA signatures of foreign documents (RFC 8017, section 8.2), under one policy: 2048 bits or more, SHA-2."""

from __future__ import annotations

from typing import Any

from Crypto.Hash import SHA256, SHA384, SHA512
from Crypto.PublicKey import RSA
from Crypto.Signature import pkcs1_15

MIN_BITS = 2048
MAX_BITS = 8192
"""A verifier's time grows with the square of the size, which the sender of a certificate chooses."""

MAX_EXPONENT = 2**64
"""And with the length of the exponent; everybody's is 65537."""

HASHES: dict[str, Any] = {"sha256": SHA256, "sha384": SHA384, "sha512": SHA512}
"""The digests that count, by their names in ASN.1 and JOSE."""


class WeakKey(ValueError):
    """The key is not RSA, or not of a size that counts; the message is a clause that says so."""


def public_key(spki: bytes) -> RSA.RsaKey:
    """The RSA key of a SubjectPublicKeyInfo in DER (RFC 5280, section 4.1.2.7).

    Raises:
        WeakKey: it is none, or shorter than 2048 or longer than 8192 bits.
    """
    try:
        key = RSA.import_key(spki)
    except (ValueError, IndexError, TypeError):
        raise WeakKey("its key is not an RSA key") from None
    if not MIN_BITS <= key.size_in_bits() <= MAX_BITS:
        raise WeakKey(f"its RSA key has {key.size_in_bits()} bits; {MIN_BITS} or more are wanted")
    if key.has_private() or not 3 <= key.e <= MAX_EXPONENT:
        raise WeakKey("its key is not a public RSA key of use")
    return key


def holds(key: RSA.RsaKey, hash_name: str, message: bytes, signature: bytes) -> bool:
    """Whether this is the PKCS #1 v1.5 signature of the message."""
    try:
        pkcs1_15.new(key).verify(HASHES[hash_name].new(message), signature)
    except ValueError:
        return False
    return True
