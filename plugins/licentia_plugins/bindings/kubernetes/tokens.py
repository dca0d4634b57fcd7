"""Service-account tokens: what they say, and whether a key of the cluster has signed it.

The claims are those of projected tokens (Kubernetes, "Managing Service Accounts", and the type
`privateClaims` of its token generator); the signatures are RFC 7515's. Both halves judge with this.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from joserfc import jwt
from joserfc.errors import ExpiredTokenError, InvalidClaimError, JoseError
from joserfc.jwk import JWKRegistry, Key
from joserfc.jws import JWSRegistry
from joserfc.util import urlsafe_b64decode
from msgspec import Meta

from licentia.contract.types import WHOLE

MAX_TOKEN_BYTES = 16 * 1024
MAX_KEYS = 32
KEY_TYPES = {"RS256": "RSA", "ES256": "EC"}
"""The signatures that are accepted, each with its type of key (RFC 8725, section 3.1)."""

MIN_RSA_MODULUS_CHARACTERS = 342
"""2048 bits in base64url; RFC 7518 section 3.3 forbids shorter RSA keys."""

Moment = Annotated[int, Meta(ge=0, le=253_402_300_799)]
Label = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$" + WHOLE)]
Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9.-]{0,252}$" + WHOLE)]
Uid = Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{1,64}$" + WHOLE)]

_SIGNATURES = JWSRegistry(algorithms=list(KEY_TYPES), strict_check_header=False)


class TokenError(ValueError):
    """The token does not hold; the message is a sentence that says why, without the token."""


class KeyMissing(TokenError):
    """None of the keys is the one that the token names."""


class Header(msgspec.Struct):
    """A token's header, before anything is verified."""

    alg: str
    kid: str | None = None


class Named(msgspec.Struct, frozen=True):
    """A thing in the cluster: its name, and the id that no later thing of the same name has."""

    name: Name
    uid: Uid


class Place(msgspec.Struct, frozen=True, rename={"service_account": "serviceaccount"}):
    """What the cluster says of the holder. Older clusters name no node."""

    namespace: Label
    service_account: Named
    pod: Named
    node: Named | None = None


class Claims(msgspec.Struct, frozen=True, rename={"place": "kubernetes.io"}):
    """The claims of a token that was bound to a pod; times are seconds since 1970."""

    iss: Annotated[str, Meta(min_length=1, max_length=500)]
    sub: str
    aud: str | Annotated[list[str], Meta(min_length=1)]
    iat: Moment
    exp: Moment
    place: Place
    nbf: Moment = 0

    @property
    def audiences(self) -> list[str]:
        """Whom the token is meant for."""
        return [self.aud] if isinstance(self.aud, str) else self.aud

    @property
    def issued_at(self) -> datetime:
        """When the cluster made it."""
        return datetime.fromtimestamp(self.iat, UTC)


def peek(token: bytes) -> tuple[str, Header, Claims]:
    """A token with its header and claims, of which nothing is verified.

    Raises:
        TokenError: this is no service-account token.
    """
    text = token.strip()
    if len(text) > MAX_TOKEN_BYTES:
        raise TokenError(f"The token is longer than {MAX_TOKEN_BYTES} bytes.")
    try:
        header, payload, _ = text.split(b".")
        return (
            text.decode("ascii"),
            msgspec.json.decode(urlsafe_b64decode(header), type=Header),
            msgspec.json.decode(urlsafe_b64decode(payload), type=Claims),
        )
    except msgspec.ValidationError as error:
        raise TokenError(f"This is no token of a service account that is bound to a pod: {error}.") from None
    except (ValueError, RecursionError):
        raise TokenError("This is no signed token (JWT).") from None


def key_for(header: Header, keys: Iterable[Key]) -> Key:
    """The key that the header names; without a name there must be only one that fits the algorithm.

    Raises:
        KeyMissing: it is not among them.
        TokenError: the token is signed in a way that does not count.
    """
    if header.alg not in KEY_TYPES:
        raise TokenError(f"The token is not signed with one of {', '.join(KEY_TYPES)}.")
    fitting = [key for key in keys if header.kid in (None, key.kid) and key.key_type == KEY_TYPES[header.alg]]
    if len(fitting) == 1 or (fitting and header.kid):
        return fitting[0]
    raise KeyMissing("The token is not signed with a key of the cluster that is known here.")


def verified(token: str, key: Key) -> Claims:
    """The claims of a token that this key has signed; its times are not looked at.

    Raises:
        TokenError: the signature does not hold, or the subject is not the service account of the claims.
    """
    try:
        claims = msgspec.convert(jwt.decode(token, key, registry=_SIGNATURES).claims, Claims)
    except (JoseError, ValueError, RecursionError):
        raise TokenError("The token's signature does not hold.") from None
    place = claims.place
    if claims.sub != f"system:serviceaccount:{place.namespace}:{place.service_account.name}":
        raise TokenError("The token's `sub` is not the service account that it names.")
    return claims


def check(claims: Claims, at: datetime, leeway_seconds: int, issuer: str, audience: str) -> None:
    """Check a token's issuer, audience and times (RFC 7519, section 4.1); an empty audience is not checked.

    Raises:
        TokenError: one does not hold; the message names it.
    """
    rules = jwt.JWTClaimsRegistry(
        now=int(at.timestamp()),
        leeway=leeway_seconds,
        iss={"essential": True, "value": issuer},
        aud={"essential": True, "values": [audience] if audience else []},
    )
    try:
        rules.validate(msgspec.to_builtins(claims))
    except ExpiredTokenError:
        raise TokenError("The token has expired.") from None
    except InvalidClaimError as error:
        raise TokenError(f"The token's `{error.claim}` does not hold here.") from None


def public(key: Key) -> dict[str, Any]:
    """The members of a key (RFC 7518, section 6) that are needed to check a signature."""
    members = key.as_dict(private=False)
    return {name: members[name] for name in ("kty", "kid", "n", "e", "crv", "x", "y") if name in members}


class _KeySet(msgspec.Struct):
    keys: Annotated[list[dict[str, Any]], Meta(max_length=MAX_KEYS)]


def key_set(document: bytes) -> tuple[Key, ...]:
    """The keys of a key set (JWKS) that may sign tokens; others are passed over (RFC 7517, section 5).

    Raises:
        ValueError: it is no key set, or has no key of use here.
    """
    try:
        published = msgspec.json.decode(document, type=_KeySet).keys
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    keys = tuple(key for jwk in published if (key := _usable(jwk)) is not None)
    if not keys:
        raise ValueError("it holds no RSA key of 2048 bits and no P-256 key")
    return keys


def _usable(jwk: dict[str, Any]) -> Key | None:
    rsa = jwk.get("kty") == "RSA" and len(str(jwk.get("n"))) >= MIN_RSA_MODULUS_CHARACTERS
    p256 = jwk.get("kty") == "EC" and jwk.get("crv") == "P-256"
    if not (rsa or p256) or jwk.get("use", "sig") != "sig":
        return None
    try:
        return JWKRegistry.import_key(jwk)
    except (JoseError, ValueError, TypeError, KeyError):
        return None
