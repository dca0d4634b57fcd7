"""The identity token of a virtual machine, in the full format: a JWT signed with RS256.

Source of the format: "Verify the identity of a virtual machine instance", Compute Engine documentation.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from msgspec import Meta

MAX_CHARACTERS = 16 * 1024
ALGORITHM = "RS256"
ISSUERS = frozenset({"https://accounts.google.com", "accounts.google.com"})
NONCE_AUDIENCE = "urn:licentia:nonce:"
"""Before a nonce it makes the audience of a token that answers it."""

MIN_MODULUS_CHARACTERS = 342
"""2048 bits in base64url; RFC 7518, section 3.3, forbids shorter RSA keys."""

Jwk = Mapping[str, Any]
Text = Annotated[str, Meta(min_length=1, max_length=128)]
Second = Annotated[int, Meta(ge=0, le=253402300799)]
"""Seconds since 1970, at most until the year 9999."""


class TokenError(ValueError):
    """This is no identity token that counts; the message is a clause that says why."""


class ComputeEngine(msgspec.Struct, frozen=True):
    """The virtual machine."""

    instance_id: Annotated[str, Meta(pattern=r"^[0-9]{1,20}\Z")]
    instance_name: Text
    project_id: Annotated[str, Meta(pattern=r"^[a-z0-9.:-]{1,128}\Z")]
    zone: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,64}\Z")]


class _Google(msgspec.Struct, frozen=True):
    compute_engine: ComputeEngine


class _Claims(msgspec.Struct, frozen=True):
    iss: str
    aud: str
    iat: Second
    exp: Second
    google: _Google | None = None


class _Header(msgspec.Struct, frozen=True):
    alg: Literal["RS256"]
    kid: Annotated[str, Meta(min_length=1, max_length=128)]


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A token that was read; nothing of it is verified before `verify`."""

    text: str
    kid: str
    audience: str
    issued: datetime
    expires: datetime
    machine: ComputeEngine

    @property
    def name(self) -> str:
        """The machine: its project's id and its own."""
        return f"{self.machine.project_id}/{self.machine.instance_id}"

    @property
    def region(self) -> str:
        """The zone without its last part."""
        return self.machine.zone.rpartition("-")[0]

    def attributes(self) -> dict[str, str]:
        """What a person wants to know of the machine; all but the project may change."""
        return {
            "project": self.machine.project_id,
            "region": self.region,
            "zone": self.machine.zone,
            "instance_name": self.machine.instance_name,
        }

    def verify(self, key: Jwk) -> None:
        """Make sure that this key of Google has signed it.

        Raises:
            TokenError: it has not.
        """
        try:
            jws.deserialize_compact(self.text, rsa_key(key), algorithms=[ALGORITHM])
        except (JoseError, ValueError, TypeError):
            raise TokenError("its signature does not hold") from None


def rsa_key(jwk: Jwk) -> RSAKey:
    """The key of a JSON Web Key.

    Raises:
        JoseError, ValueError, TypeError: it is no RSA key of 2048 bits or more.
    """
    if len(str(jwk.get("n"))) < MIN_MODULUS_CHARACTERS:
        raise ValueError("it is too short")
    return RSAKey.import_key(dict(jwk))


def read(evidence: bytes) -> Token:
    """Take a token apart.

    Raises:
        TokenError: it is none, not of Google, or not in the full format.
    """
    if len(evidence) > MAX_CHARACTERS:
        raise TokenError(f"it is longer than {MAX_CHARACTERS} characters")
    evidence = evidence.strip(b" \t\r\n")
    header, payload, _ = _segments(evidence)
    try:
        kid = msgspec.json.decode(header, type=_Header).kid
    except (ValueError, RecursionError):
        raise TokenError(f"it is not signed with {ALGORITHM} and a key that it names") from None
    try:
        claims = msgspec.json.decode(payload, type=_Claims)
    except (ValueError, RecursionError):
        raise TokenError("it has not the claims of an identity token") from None
    if claims.iss not in ISSUERS:
        raise TokenError("it is not issued by Google")
    if claims.google is None:
        raise TokenError("it does not name the machine; it has to be asked for with `format=full`")
    return Token(
        text=evidence.decode("ascii"),
        kid=kid,
        audience=claims.aud,
        issued=datetime.fromtimestamp(claims.iat, UTC),
        expires=datetime.fromtimestamp(claims.exp, UTC),
        machine=claims.google.compute_engine,
    )


def _segments(evidence: bytes) -> list[bytes]:
    """Header, payload and signature, each in the one form that base64url has for it (RFC 7515, section 2)."""
    segments = evidence.split(b".")
    if len(segments) != 3:
        raise TokenError("it is no signed token of three parts")
    try:
        decoded = [base64.b64decode(each + b"=" * (-len(each) % 4), b"-_", validate=True) for each in segments]
    except binascii.Error:
        raise TokenError("it is not base64url") from None
    if [base64.urlsafe_b64encode(each).rstrip(b"=") for each in decoded] != segments:
        raise TokenError("it is not base64url as it should be")
    return decoded
