"""Making a credential: what only the TPM with a certain endorsement key, holding a certain other key, opens.

This is TPM2_MakeCredential, done without a TPM (TCG, TPM 2.0 Library, Part 1, sections 24 "Credential
Protection" and 11.4.10 "KDFa", annex B.10.4 for the seed). The TPM opens it by TPM2_ActivateCredential,
and checks itself that the other key is inside it.
"""

from __future__ import annotations

import hashlib
import hmac
from secrets import token_bytes

import msgspec
from Crypto.Cipher import AES, PKCS1_OAEP
from Crypto.Hash import SHA256
from Crypto.PublicKey import RSA

from licentia_plugins.bindings.tpm.structures import EXPONENT

SEED_BYTES = 32
SYMMETRIC_BITS = 128
INTEGRITY_BITS = 256


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of TPM2B_ID_OBJECT, and of TPM2B_ENCRYPTED_SECRET the content."""

    integrity: bytes
    identity: bytes
    seed: bytes


def make(modulus: int, name: bytes, secret: bytes) -> Credential:
    """Protect a secret of at most 32 bytes.

    Args:
        modulus: that of the endorsement key.
        name: that of the key which has to be in the same TPM.
        secret: what the TPM is to give out there.
    """
    seed = token_bytes(SEED_BYTES)
    wrap = PKCS1_OAEP.new(RSA.construct((modulus, EXPONENT)), SHA256, label=b"IDENTITY\x00")
    key = kdfa(seed, b"STORAGE", name, SYMMETRIC_BITS)
    cipher = AES.new(key, AES.MODE_CFB, iv=bytes(16), segment_size=128)
    identity = cipher.encrypt(len(secret).to_bytes(2, "big") + secret)
    integrity = hmac.digest(kdfa(seed, b"INTEGRITY", b"", INTEGRITY_BITS), identity + name, hashlib.sha256)
    return Credential(integrity=integrity, identity=identity, seed=wrap.encrypt(seed))


def kdfa(key: bytes, label: bytes, context: bytes, bits: int) -> bytes:
    """Up to 256 bits out of a key (KDFa with SHA-256, which is SP 800-108 in counter mode, one round)."""
    message = (1).to_bytes(4, "big") + label + b"\x00" + context + bits.to_bytes(4, "big")
    return hmac.digest(key, message, hashlib.sha256)[: bits // 8]
