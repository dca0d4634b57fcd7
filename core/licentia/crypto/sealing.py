"""Encrypted documents: sealed with a key that both sides have, or to a key whose private half one has.

`seal` is AES-256-GCM under a key derived afresh for every message, so that no nonce comes twice, with
a commitment to the key beside it: GCM alone lets one text open under two keys. `seal_to` is HPKE
(RFC 9180). docs/formats.md tells both formats, octet by octet.
"""

from __future__ import annotations

import hmac
from secrets import token_bytes

from Crypto.Cipher import AES
from Crypto.Cipher._mode_gcm import GcmMode
from Crypto.Hash import SHA256
from Crypto.Protocol import HPKE
from Crypto.Protocol.DH import import_x25519_private_key, import_x25519_public_key
from Crypto.Protocol.KDF import HKDF

from licentia.errors import DocumentInvalid

SEALED_LABEL = b"licentia sealed document 1"
SEALED_TO_LABEL = b"licentia document sealed to a key 1"
MIN_KEY_BYTES = 16

_VERSION = b"\x01"
_SALT_BYTES = 32
_KEY_BYTES = 32
_NONCE_BYTES = 12
_TAG_BYTES = 16
_PUBLIC_BYTES = 32
_BOX = 1 + _SALT_BYTES + _KEY_BYTES
"""Where the encrypted part begins: after the version, the salt and the commitment."""


def seal(key: bytes, header: bytes, plaintext: bytes) -> bytes:
    """Encrypt a text; `header` stays readable elsewhere, and the text opens only beside the same one.

    Args:
        key: a secret of at least 16 bytes that nobody can guess; it may seal any number of texts.

    Raises:
        ValueError: the key is too short to be one.
    """
    if len(key) < MIN_KEY_BYTES:
        raise ValueError(f"A key has at least {MIN_KEY_BYTES} bytes.")
    return sealed_with(token_bytes(_SALT_BYTES), key, header, plaintext)


def sealed_with(salt: bytes, key: bytes, header: bytes, plaintext: bytes) -> bytes:
    """As `seal`, with a given salt. A salt must never come twice under one key."""
    cipher_key, nonce, commitment = _derived(key, salt)
    box, tag = _cipher(cipher_key, nonce, header).encrypt_and_digest(plaintext)
    return _VERSION + salt + commitment + box + tag


def unseal(key: bytes, header: bytes, sealed: bytes) -> bytes:
    """The text that `seal` encrypted.

    Raises:
        DocumentInvalid: the key or the header is another, or the text was changed.
    """
    if sealed[:1] != _VERSION or len(sealed) < _BOX + _TAG_BYTES:
        raise DocumentInvalid("This is no sealed document, or it was cut.")
    cipher_key, nonce, commitment = _derived(key, sealed[1 : 1 + _SALT_BYTES])
    if not hmac.compare_digest(commitment, sealed[1 + _SALT_BYTES : _BOX]):
        raise DocumentInvalid("The document is sealed with another key.")
    try:
        return _cipher(cipher_key, nonce, header).decrypt_and_verify(sealed[_BOX:-_TAG_BYTES], sealed[-_TAG_BYTES:])
    except ValueError:
        raise DocumentInvalid("The sealed document was changed, or belongs to another header.") from None


def seal_to(public: bytes, header: bytes, plaintext: bytes) -> bytes:
    """Encrypt a text so that only the owner of an X25519 key can read it (HPKE, base mode).

    Raises:
        DocumentInvalid: this is no X25519 public key that a secret can be agreed with.
    """
    try:
        receiver = import_x25519_public_key(public)
        hpke = HPKE.new(receiver_key=receiver, aead_id=HPKE.AEAD.AES256_GCM, info=SEALED_TO_LABEL)
    except ValueError:
        raise DocumentInvalid("This is no X25519 key that a document can be sealed to.") from None
    return _VERSION + hpke.enc + hpke.seal(plaintext, header)


class BoxKey:
    """An X25519 key (RFC 7748) that documents are sealed to; the private half is not shown by `repr` or `vars`.

    Attributes:
        public: the public half, 32 bytes.
    """

    __slots__ = ("_key", "public")

    def __init__(self, private: bytes) -> None:
        self._key = import_x25519_private_key(private)
        public = self._key.public_key().export_key(format="raw")
        assert isinstance(public, bytes)
        self.public = public

    def __repr__(self) -> str:
        return f"BoxKey(public={self.public.hex()})"

    @classmethod
    def generate(cls) -> BoxKey:
        """A new key."""
        return cls(token_bytes(_KEY_BYTES))

    @classmethod
    def from_bytes(cls, data: bytes) -> BoxKey:
        """The key that `to_bytes` wrote.

        Raises:
            DocumentInvalid: it is none.
        """
        if data[:1] != _VERSION or len(data) != 1 + _KEY_BYTES:
            raise DocumentInvalid("This is no private key that documents are sealed to.")
        return cls(data[1:])

    def to_bytes(self) -> bytes:
        """The private key: a version and its 32 bytes."""
        return _VERSION + self._key.seed

    def open(self, header: bytes, sealed: bytes) -> bytes:
        """The text that `seal_to` encrypted for this key.

        Raises:
            DocumentInvalid: it is sealed to another key, the header is another, or it was changed.
        """
        if sealed[:1] != _VERSION or len(sealed) < 1 + _PUBLIC_BYTES + _TAG_BYTES:
            raise DocumentInvalid("This is no document sealed to a key, or it was cut.")
        try:
            hpke = HPKE.new(
                receiver_key=self._key,
                aead_id=HPKE.AEAD.AES256_GCM,
                enc=sealed[1 : 1 + _PUBLIC_BYTES],
                info=SEALED_TO_LABEL,
            )
            return hpke.unseal(sealed[1 + _PUBLIC_BYTES :], header)
        except ValueError:
            raise DocumentInvalid("The document is sealed to another key, or it was changed.") from None


def _derived(key: bytes, salt: bytes) -> tuple[bytes, bytes, bytes]:
    """The key and nonce of one message, and the commitment to its key (HKDF-SHA256, RFC 5869)."""
    material = HKDF(key, 2 * _KEY_BYTES + _NONCE_BYTES, salt, SHA256, context=SEALED_LABEL)
    assert isinstance(material, bytes)
    return material[:_KEY_BYTES], material[_KEY_BYTES : _KEY_BYTES + _NONCE_BYTES], material[-_KEY_BYTES:]


def _cipher(key: bytes, nonce: bytes, header: bytes) -> GcmMode:
    cipher = AES.new(key, AES.MODE_GCM, nonce=nonce, mac_len=_TAG_BYTES)
    cipher.update(header)
    return cipher
