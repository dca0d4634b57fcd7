"""Lease tokens: compact JWS (RFC 7515) with `alg: Ed25519` (RFC 9864), to be checked without the server.

docs/formats.md tells the format, octet by octet.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from licentia.contract.keys import PublicKey

if TYPE_CHECKING:
    from licentia.crypto.leasekey import LeaseKey

TYPE = "licentia-lease+jwt"
SLICE = 32
"""Signatures in a row, about a millisecond of work, after which the event loop gets its turn."""


def base64url(data: bytes) -> str:
    """Base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def jwk(key: Ed25519PublicKey) -> PublicKey:
    """The public key as it is published; its id is the thumbprint (RFC 7638, RFC 8037 appendix A.3)."""
    x = base64url(key.public_bytes_raw())
    kid = base64url(hashlib.sha256(f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'.encode()).digest())
    return PublicKey(kty="OKP", crv="Ed25519", alg="Ed25519", use="sig", kid=kid, x=x)


def read_jwk(text: str) -> PublicKey:
    """The published form back from JSON.

    Raises:
        ValueError: it is none, or its id is not that of the key.
    """
    given = msgspec.json.decode(text, type=PublicKey)
    point = base64.urlsafe_b64decode(f"{given.x}=")
    if given != jwk(Ed25519PublicKey.from_public_bytes(point)):
        raise ValueError("not a key that this program wrote")
    return given


class SigningKey:
    """An Ed25519 key with its public half; the private half is not shown by `repr` or `vars`."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = jwk(private.public_key())
        header = msgspec.json.encode({"alg": "Ed25519", "kid": self.public.kid, "typ": TYPE})
        self._header = base64.urlsafe_b64encode(header).rstrip(b"=") + b"."

    @classmethod
    def generate(cls) -> SigningKey:
        """A new key, whose id no command line takes for an option."""
        while (key := cls(Ed25519PrivateKey.generate())).public.kid.startswith("-"):
            pass
        return key

    @classmethod
    def from_pem(cls, text: str) -> SigningKey:
        """The key of a PEM file (PKCS #8, RFC 8410).

        Raises:
            ValueError: it holds no Ed25519 private key, or one behind a password.
        """
        try:
            key = load_pem_private_key(text.encode(), None)
        except (TypeError, UnsupportedAlgorithm) as error:
            raise ValueError(str(error)) from None
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError("a key of another kind")
        return cls(key)

    def pem(self) -> str:
        """The private key, to be kept in a file."""
        return self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    def token(self, claims: Mapping[str, Any]) -> str:
        """The compact JWS over these claims; those that are None are left out."""
        payload = msgspec.json.encode({name: value for name, value in claims.items() if value is not None})
        signed = self._header + base64.urlsafe_b64encode(payload).rstrip(b"=")
        return (signed + b"." + base64.urlsafe_b64encode(self._private.sign(signed)).rstrip(b"=")).decode()


class LeaseSigner:
    """Signs with the lease key that is the current one.

    Signing stays on the event loop's own thread. A thread beside a busy loop gets the interpreter's
    lock back only at the loop's leisure, once per signature: it takes seconds where this takes a millisecond.
    """

    def __init__(self, key: LeaseKey) -> None:
        self._key = key

    def sign(self, claims: Mapping[str, Any]) -> str:
        """The token over these claims; those that are None are left out."""
        return self._key.current().token(claims)

    async def sign_many(self, claims: Sequence[Mapping[str, Any]]) -> list[str]:
        """The token over each of these claims, in their order, all with the same key."""
        key = self._key.current()
        tokens: list[str] = []
        for start in range(0, len(claims), SLICE):
            if start:
                await asyncio.sleep(0)
            tokens += map(key.token, claims[start : start + SLICE])
        return tokens

    def published(self) -> list[PublicKey]:
        """The public keys that tokens may be checked with: the current one, a prepared one, and those kept.

        Raises:
            KeyFolderError: the folder of keys cannot be read.
        """
        return self._key.published()
