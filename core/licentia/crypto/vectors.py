"""A test vector for whoever writes a verifier of lease tokens: what to accept, and what to refuse."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from licentia.crypto.leases import TYPE, SigningKey, base64url

SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
"""The private key of RFC 8032 section 7.1, test 1, and of RFC 8037 appendix A. Everybody knows it."""
OTHER_SEED = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
"""The private key of RFC 8032 section 7.1, test 2."""
NOW = 1_800_000_060
SKEW = 60
"""How far the clocks of a verifier and of the server may differ, in seconds."""

LEASE: dict[str, Any] = {
    "jti": "desk-1", "sub": "alice", "iat": 1_800_000_000, "exp": 1_800_000_600,
    "license_id": "lic_c7dd314de74e1e3e9731e51cc", "product_code": "301001", "seats": 1,
}  # fmt: skip
ALL_CLAIMS: dict[str, Any] = LEASE | {
    "jti": "ada.laptop~7", "sub": "Zoë@example.com", "exp": 1_802_592_000, "seats": 3, "feature": "pro",
    "station": "ws-07", "borrowed": True,
    "licenses": [
        {"license_id": "lic_c7dd314de74e1e3e9731e51cc", "seats": 2},
        {"license_id": "lic_281648389449ea652e56c558f", "seats": 1},
    ],
}  # fmt: skip


def lease_token() -> bytes:
    """The vector as JSON. The same version writes the same bytes."""
    private = Ed25519PrivateKey.from_private_bytes(SEED)
    key, other = SigningKey(private), SigningKey(Ed25519PrivateKey.from_private_bytes(OTHER_SEED))
    facts = {"alg": "Ed25519", "kid": key.public.kid, "typ": TYPE}
    accepted = [LEASE, ALL_CLAIMS, LEASE | {"exp": NOW - SKEW + 1}, LEASE | {"iat": NOW + SKEW}]
    token = key.token(LEASE)
    header, payload, signature = token.split(".")

    def signed(changed: dict[str, str]) -> str:
        content = f"{_json(facts | changed)}.{payload}"
        return f"{content}.{base64url(private.sign(content.encode()))}"

    symmetric = f"{_json(facts | {'alg': 'HS256'})}.{payload}"
    secret = private.public_key().public_bytes_raw()
    refused = {
        "a bit of the header is flipped": f"{_flipped(header)}.{payload}.{signature}",
        "a bit of the payload is flipped": f"{header}.{_flipped(payload)}.{signature}",
        "a bit of the signature is flipped": f"{header}.{payload}.{_flipped(signature)}",
        "the signature is missing": f"{header}.{payload}.",
        "another key signed it under this key's id": f"{header}.{payload}.{other.token(LEASE).split('.')[2]}",
        "its key is not published": other.token(LEASE),
        "alg is none": f"{_json(facts | {'alg': 'none'})}.{payload}.",
        "alg is HS256, with the public key for a secret": (
            f"{symmetric}.{base64url(hmac.digest(secret, symmetric.encode(), hashlib.sha256))}"
        ),
        "alg is EdDSA, although the signature holds": signed({"alg": "EdDSA"}),
        "typ is another, although the signature holds": signed({"typ": "JWT"}),
        "it has ended": key.token(LEASE | {"exp": NOW - SKEW}),
        "it was issued in the future": key.token(LEASE | {"iat": NOW + SKEW + 1}),
    }
    vector = {
        "private_key": {"kty": "OKP", "crv": "Ed25519", "d": base64url(SEED), "x": key.public.x},
        "jwks": {"keys": [key.public]},
        "now": NOW,
        "skew_seconds": SKEW,
        "accepted": [{"header": facts, "payload": claims, "token": key.token(claims)} for claims in accepted],
        "refused": [{"why": why, "token": token} for why, token in refused.items()],
    }
    return msgspec.json.format(msgspec.json.encode(vector), indent=2) + b"\n"


def _json(value: Any) -> str:
    return base64url(msgspec.json.encode(value))


def _flipped(part: str) -> str:
    octets = bytearray(base64.urlsafe_b64decode(part + "=="))
    octets[len(octets) // 2] ^= 1
    return base64url(bytes(octets))
