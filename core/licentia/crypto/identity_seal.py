"""Seals a secret to the name of a machine: who can show the name gets the secret.

The key is HKDF-SHA256 (RFC 5869) of the name under a random salt; the secret is encrypted with
AES-256-GCM, and a commitment to the key stands beside it, because GCM alone lets one text open under
two keys. A name is no secret. What this binds is therefore as good as the proof of the name that the
caller asks for before opening.
"""

from __future__ import annotations

import hmac
from secrets import token_bytes

import msgspec
from Crypto.Cipher import AES
from Crypto.Hash import SHA256
from Crypto.Protocol.KDF import HKDF

_SALT_BYTES = 32
_NONCE_BYTES = 12
_TAG_BYTES = 16
_KEY_BYTES = 32


class Sealed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A sealed secret; each field is as long as the scheme makes it, which `opened` checks."""

    salt: bytes
    nonce: bytes
    box: bytes
    commitment: bytes


def seal(secret: bytes, name: str, binding: str) -> Sealed:
    """Seal a secret to a machine's name, unique within a binding."""
    salt, nonce = token_bytes(_SALT_BYTES), token_bytes(_NONCE_BYTES)
    key, commitment = _keys(name, binding, salt)
    cipher = AES.new(key, AES.MODE_GCM, nonce=nonce, mac_len=_TAG_BYTES)
    box, tag = cipher.encrypt_and_digest(secret)
    return Sealed(salt=salt, nonce=nonce, box=box + tag, commitment=commitment)


def opened(sealed: Sealed, name: str, binding: str) -> bytes | None:
    """The secret, if this is the name; None if it is another, or what is sealed is damaged."""
    key, commitment = _keys(name, binding, sealed.salt)
    whole = len(sealed.salt) == _SALT_BYTES and len(sealed.nonce) == _NONCE_BYTES
    if not whole or not hmac.compare_digest(commitment, sealed.commitment):
        return None
    cipher = AES.new(key, AES.MODE_GCM, nonce=sealed.nonce, mac_len=_TAG_BYTES)
    try:
        return cipher.decrypt_and_verify(sealed.box[:-_TAG_BYTES], sealed.box[-_TAG_BYTES:])
    except ValueError:
        return None


def _keys(name: str, binding: str, salt: bytes) -> tuple[bytes, bytes]:
    context = f"licentia/binding/{binding}/1".encode()
    material = HKDF(name.encode(), 2 * _KEY_BYTES, salt, SHA256, context=context)
    assert isinstance(material, bytes)
    return material[:_KEY_BYTES], material[_KEY_BYTES:]
