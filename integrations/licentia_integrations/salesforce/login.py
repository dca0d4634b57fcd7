"""The JWT bearer flow: a connected app logs in as a user with its private key, and without any password.

RFC 7523, section 2.1, and "OAuth 2.0 JWT Bearer Flow for Server-to-Server Integration" of Salesforce Help: the
token is signed with RS256, says the consumer key, the user and the login server, and lives three minutes at most.
"""

from __future__ import annotations

import time

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from licentia_integrations.remote import ClientCredentials

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LIVES_SECONDS = 180


def private_key(pem: str) -> RSAKey:
    """An RSA key in PEM.

    Raises:
        ValueError: it is none, or only the public half.
    """
    try:
        key = RSAKey.import_key(pem)
    except (JoseError, ValueError, TypeError):
        raise ValueError("`private_key` is no RSA key in PEM") from None
    if not key.is_private:
        raise ValueError("`private_key` is a public key")
    return key


class JwtBearer(ClientCredentials):
    """A token that is had for a signed assertion, and had again when it is not accepted any more."""

    def __init__(self, token_url: str, key: RSAKey, claims: dict[str, str]) -> None:
        super().__init__(token_url, {})
        self._key, self._claims = key, claims

    def _asking(self) -> httpx.Request:
        claims = {**self._claims, "exp": int(time.time()) + LIVES_SECONDS}
        self._form = {"grant_type": GRANT, "assertion": jwt.encode({"alg": "RS256"}, claims, self._key)}
        return super()._asking()
