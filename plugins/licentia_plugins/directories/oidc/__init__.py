"""oidc: a user is whom a token of the vendor's identity provider (an OpenID Connect issuer) names.

For vendors whose application, or whose user's browser, holds an ID token or an access token: it sends
that token instead of a key. The token is a signed JWT; nothing is asked of the issuer but its public keys.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec
from joserfc import jwt
from joserfc.errors import ExpiredTokenError, InvalidClaimError, JoseError, MissingClaimError
from joserfc.jwk import Key
from joserfc.jws import JWSRegistry
from joserfc.util import urlsafe_b64decode

from licentia.contract.types import User
from licentia.directories import Subject, UserClaim, UserDirectory
from licentia.errors import Unauthenticated
from licentia_plugins.directories.oidc.keys import KeyCache
from licentia_plugins.directories.oidc.settings import OidcSettings

MAX_TOKEN_CHARACTERS = 16 * 1024
"""A token with some hundred groups fits; a longer one costs time before anything is known of its sender."""

MAX_HEADER_CHARACTERS = 4096
"""Room for a certificate chain (`x5c`), which is ignored."""

TOKEN_TYPES = frozenset({"jwt", "at+jwt"})
"""ID tokens, and access tokens (RFC 9068); any other type is not meant to name a user (RFC 8725, section 3.11)."""


class _Header(msgspec.Struct):
    alg: str
    kid: str | None = None
    typ: str = "JWT"


class _Payload(msgspec.Struct):
    iss: str


class OpenIdConnect(UserDirectory):
    """Judges the tokens of one issuer; tokens of others, and names without a token, are not its business."""

    capabilities: ClassVar[tuple[str, ...]] = ("tokens", "groups")

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(name, settings)
        self._settings = msgspec.convert(settings, OidcSettings)
        self._keys = KeyCache(name, self._settings)
        self._signatures = JWSRegistry(algorithms=self._settings.algorithms, strict_check_header=False)
        self._signatures.max_header_length = MAX_HEADER_CHARACTERS
        self._claims = jwt.JWTClaimsRegistry(
            leeway=self._settings.leeway_seconds,
            iss={"essential": True, "value": self._settings.issuer},
            aud={"essential": True, "values": self._settings.audiences},
            exp={"essential": True},
        )

    async def close(self) -> None:
        """Give up a fetch of keys that is under way."""
        await self._keys.close()

    async def _identify(self, claim: UserClaim) -> Subject | None:
        if claim.token is None:
            return None
        if len(claim.token) > MAX_TOKEN_CHARACTERS:
            raise _refusal(f"The token is longer than {MAX_TOKEN_CHARACTERS} characters.")
        header, issuer = _peek(claim.token)
        if header is None or issuer != self._settings.issuer:
            return None
        if header.alg not in self._settings.algorithms:
            raise _refusal(f"The token is not signed with one of {', '.join(self._settings.algorithms)}.")
        if header.typ.lower().removeprefix("application/") not in TOKEN_TYPES:
            raise _refusal("The token is of a type that does not name a user.")
        key = self._chosen(await self._keys.current(), header) or self._chosen(await self._keys.renewed(), header)
        if key is None:
            raise _refusal("The token is not signed with a key that its issuer publishes.")
        return self._subject(self._verified(claim.token, key))

    def _chosen(self, keys: Sequence[Key], header: _Header) -> Key | None:
        """The key that the header names; without a name there must be only one that fits the algorithm."""
        fitting = [key for key in keys if header.kid in (None, key.kid) and self._fits(key, header.alg)]
        return fitting[0] if len(fitting) == 1 or (fitting and header.kid) else None

    def _fits(self, key: Key, algorithm: str) -> bool:
        try:
            self._signatures.get_alg(algorithm).check_key(key)
        except JoseError:
            return False
        return True

    def _verified(self, token: str, key: Key) -> dict[str, Any]:
        """The claims of a token whose signature, issuer, audience and times hold (RFC 7519, section 4.1)."""
        try:
            claims = jwt.decode(token, key, registry=self._signatures).claims
            self._claims.validate(claims)
        except ExpiredTokenError:
            raise _refusal("The token has expired.") from None
        except MissingClaimError as error:
            raise _refusal(f"The token lacks `{error.claim}`.") from None
        except InvalidClaimError as error:
            raise _refusal(f"The token's `{error.claim}` does not hold here.") from None
        except (JoseError, ValueError, RecursionError):
            raise _refusal("The token's signature does not hold.") from None
        if "events" in claims:
            raise _refusal("The token tells of an event (RFC 8417); it does not name a user.")
        return claims

    def _subject(self, claims: dict[str, Any]) -> Subject:
        user_claim, groups_claim = self._settings.user_claim, self._settings.groups_claim
        user, groups = claims.get(user_claim), claims.get(groups_claim) or []
        if not _may_own(user):
            raise _refusal(f"The token's `{user_claim}` is not a user id: 1 to 255 characters, no space or slash.")
        if isinstance(groups, str):
            groups = [groups]
        if not isinstance(groups, list):
            raise _refusal(f"The token's `{groups_claim}` is not a list of names.")
        return Subject(user=str(user), groups=tuple(dict.fromkeys(group for group in groups if _may_own(group))))


def _peek(token: str) -> tuple[_Header | None, str]:
    """Header and issuer before anything is verified, to see whose business it is; (None, "") if it is no JWT."""
    try:
        header, payload, _ = token.encode("ascii").split(b".")
        return (
            msgspec.json.decode(urlsafe_b64decode(header), type=_Header),
            msgspec.json.decode(urlsafe_b64decode(payload), type=_Payload).iss,
        )
    except (ValueError, RecursionError):
        return None, ""


def _may_own(name: object) -> bool:
    """Whether a license can be bound to this name."""
    try:
        msgspec.convert(name, User)
    except msgspec.ValidationError:
        return False
    return True


def _refusal(detail: str) -> Unauthenticated:
    return Unauthenticated(detail, help="Get a new token of the identity provider and send it.")
