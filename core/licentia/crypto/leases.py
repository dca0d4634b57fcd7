"""Leases as compact JWS (RFC 7515) with `alg: Ed25519` (RFC 9864), to be checked without the server.

The payload has the registered claims jti (lease id), sub (user), iat and exp in seconds (RFC 7519),
and license_id, product_code, seats and, where given, feature and station.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import msgspec
from Crypto.PublicKey import ECC
from Crypto.Signature import eddsa

from licentia.contract.keys import PublicKey

TYPE = "licentia-lease+jwt"


def base64url(data: bytes) -> str:
    """Base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class LeaseSigner:
    """Signs leases with one key, named by its thumbprint."""

    def __init__(self, key: ECC.EccKey) -> None:
        point = key.public_key().export_key(format="raw")
        x = base64url(point)
        kid = base64url(hashlib.sha256(f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'.encode()).digest())
        self.public = PublicKey(kty="OKP", crv="Ed25519", alg="Ed25519", use="sig", kid=kid, x=x)
        self._header = base64url(msgspec.json.encode({"alg": "Ed25519", "kid": kid, "typ": TYPE}))
        self._signature = eddsa.new(key, "rfc8032")

    def sign(self, claims: dict[str, Any]) -> str:
        """The token over these claims; those that are None are left out."""
        payload = base64url(msgspec.json.encode({name: value for name, value in claims.items() if value is not None}))
        signed = f"{self._header}.{payload}"
        return f"{signed}.{base64url(self._signature.sign(signed.encode()))}"
