"""API keys: `lic_<id>_<secret>`.

A secret is HMAC-SHA256 of the key's id under the master secret. The database holds only a hash of
it, yet the server can compute it again, which the digest of WS-Security UsernameToken needs
(OASIS Web Services Security UsernameToken Profile 1.1.1, section 3.1).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from datetime import UTC, datetime, timedelta

from licentia.crypto.leases import base64url

PREFIX = "lic_"
DIGEST_WINDOW = timedelta(minutes=5)
"""How far `Created` of a digest may be from now; its nonce is remembered as long (section 3.1, recommendation)."""


def new_key_id() -> str:
    """80 random bits as 16 lower-case letters and digits."""
    return base64.b32encode(secrets.token_bytes(10)).decode().lower()


def is_key_id(text: str) -> bool:
    """Whether this has the form of an id."""
    return re.fullmatch("[a-z2-7]{16}", text) is not None


def secret_of(master: bytes, key_id: str) -> str:
    """The secret part of the key, 43 characters."""
    return base64url(hmac.digest(master, b"licentia api key\0" + key_id.encode(), "sha256"))


def hash_secret(secret: str) -> str:
    """What is stored. The secret has 256 random bits, so a plain hash is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()


def split_key(key: str) -> tuple[str, str] | None:
    """The id and the secret of a whole key, or None if it has not that form."""
    if not key.startswith(PREFIX):
        return None
    key_id, separator, secret = key[len(PREFIX) :].partition("_")
    return (key_id, secret) if separator and key_id and secret else None


def secret_matches(secret: str, stored_hash: str) -> bool:
    """Whether this is the secret, in constant time."""
    return hmac.compare_digest(hash_secret(secret), stored_hash)


def digest_matches(secret: str, digest: bytes, nonce: bytes, created: str) -> bool:
    """Whether `digest` is SHA-1 over nonce, created and the secret, in constant time."""
    expected = hashlib.sha1(nonce + created.encode() + secret.encode(), usedforsecurity=False).digest()
    return hmac.compare_digest(digest, expected)


def created_is_fresh(created: str, now: datetime) -> bool:
    """Whether the time in a digest is close enough to now."""
    try:
        at = datetime.fromisoformat(created)
    except ValueError:
        return False
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return abs(now - at) <= DIGEST_WINDOW
