"""Whether a delivery really comes from who says so: HMAC-SHA256 and Standard Webhooks 1.0 over raw bytes.

Every secret that is configured is tried against every signature that was sent, so that either side may rotate:
a system that signs with two secrets for a while, and a vendor who has entered the next one already.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal

import msgspec

from licentia.crypto.signing import VerifyKey
from licentia.crypto.suites import ED25519, ED25519_ALGORITHM
from licentia.errors import Unauthenticated

Encoding = Literal["hex", "base64"]

TOLERANCE_SECONDS = 300
"""How far a signed time may lie from when the delivery came; the figure of Stripe's and of Svix's libraries."""

MAX_SIGNATURES = 16
"""How many signatures of one delivery are looked at; more is no rotation, but an attempt to make us compute."""

HELP = "Enter on both sides the same secret, and see that nothing between them changes the body."
SECRET_PREFIX, PUBLIC_PREFIX = "whsec_", "whpk_"
SECRET_BYTES = range(24, 65)


def refused(why: str) -> Unauthenticated:
    """The refusal of a delivery; `why` is a sentence without any secret or signature in it."""
    return Unauthenticated(why, help=HELP)


def signature_text(secret: bytes, message: bytes, encoding: Encoding) -> str:
    """The HMAC-SHA256 of a message (RFC 2104) as a system writes it: lower case hex, or base64 with padding."""
    digest = hmac.digest(secret, message, "sha256")
    return digest.hex() if encoding == "hex" else base64.b64encode(digest).decode()


def check_hmac(message: bytes, signatures: Sequence[str], secrets: Iterable[str | bytes], encoding: Encoding) -> None:
    """Return if one of the signatures is that of one of the secrets, letter for letter.

    All pairs are compared, each in constant time; no empty secret ever fits.

    Raises:
        Unauthenticated: there is no signature, there are too many, or none is right.
    """
    if not any(signatures):
        raise refused("The delivery is not signed.")
    if len(signatures) > MAX_SIGNATURES:
        raise refused(f"The delivery has more than {MAX_SIGNATURES} signatures.")
    right = False
    for secret in secrets:
        key = secret.encode() if isinstance(secret, str) else secret
        wanted = signature_text(key, message, encoding).encode()
        for given in signatures:
            right |= hmac.compare_digest(wanted, given.encode("utf-8", "replace")) and bool(key)
    if not right:
        raise refused("The delivery was not signed with a secret that is known here, or was changed.")


def check_age(timestamp: str, received_at: datetime, tolerance_seconds: float = TOLERANCE_SECONDS) -> None:
    """Return if a signed time, in seconds since 1970, is within the tolerance of when the delivery came, either way.

    Raises:
        Unauthenticated: it is no whole number of seconds, or too old, or too far in the future.
    """
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise refused("The delivery does not tell when it was signed.")
    if abs(received_at.timestamp() - int(timestamp)) > tolerance_seconds:
        raise refused(f"The delivery was signed more than {tolerance_seconds:g} seconds from when it came.")


class TimedHeader(msgspec.Struct, frozen=True, kw_only=True):
    """A header with a time and signatures in hex, as `t=1700000000,v1=ab..,v1=cd..`, over that time and the body.

    Attributes:
        separator: between the entries.
        time: the name of the time's entry.
        signature: the name of a signature's entry; there may be several.
        joint: between the time and the body in what is signed.
    """

    separator: str
    time: str
    signature: str
    joint: bytes

    def check(
        self, header: str, body: bytes, secrets: Iterable[str], received_at: datetime, tolerance_seconds: float
    ) -> None:
        """Return if the body was signed near to when it came.

        Raises:
            Unauthenticated: as `check_age` and `check_hmac`.
        """
        entries = [entry.strip().partition("=") for entry in header.split(self.separator, 4 * MAX_SIGNATURES)]
        stamp = next((value for name, _, value in entries if name == self.time), "")
        check_age(stamp, received_at, tolerance_seconds)
        signatures = [value for name, _, value in entries if name == self.signature]
        check_hmac(stamp.encode() + self.joint + body, signatures, secrets, "hex")


class StandardWebhooks:
    """Verifies deliveries of Standard Webhooks 1.0.0 (github.com/standard-webhooks, spec/standard-webhooks.md).

    Args:
        keys: `whsec_` with base64 of 24 to 64 octets, for signatures `v1` (HMAC-SHA256), or `whpk_` with base64
            of a public key of 32 octets, for `v1a` (Ed25519). Any of them is enough.
        tolerance_seconds: see `check_age`.

    Raises:
        ValueError: there is no key, or one is neither; the message does not repeat it.
    """

    def __init__(self, keys: Iterable[str], tolerance_seconds: float = TOLERANCE_SECONDS) -> None:
        self.tolerance_seconds = tolerance_seconds
        self._secrets: list[bytes] = []
        self._public: list[VerifyKey] = []
        for number, key in enumerate(keys, 1):
            try:
                if key.startswith(SECRET_PREFIX):
                    self._secrets.append(_secret(_octets(key.removeprefix(SECRET_PREFIX))))
                elif key.startswith(PUBLIC_PREFIX):
                    self._public.append(VerifyKey(suite=ED25519, ed25519=_octets(key.removeprefix(PUBLIC_PREFIX))))
                else:
                    raise ValueError("no prefix")
            except ValueError:
                raise ValueError(
                    f"key {number} is neither `whsec_` with base64 of 24 to 64 octets nor `whpk_` with base64 of 32"
                ) from None
        if not (self._secrets or self._public):
            raise ValueError("there is no key")

    def verify(self, headers: Mapping[str, str], body: bytes, received_at: datetime) -> str:
        """The `webhook-id` of a delivery that is authentic; it is the same when the delivery is sent again.

        Args:
            headers: by their names in lower case.
            body: as it came.
            received_at: when it came.

        Raises:
            Unauthenticated: a header is missing, the time is not near, or no signature is right.
        """
        identity, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if not identity or "." in identity:
            raise refused("The delivery has no `webhook-id`, or one with a dot, which could be moved.")
        check_age(timestamp, received_at, self.tolerance_seconds)
        message = b".".join((identity.encode("utf-8", "replace"), timestamp.encode(), body))
        entries = headers.get("webhook-signature", "").split(" ")
        if len(entries) > MAX_SIGNATURES:
            raise refused(f"The delivery has more than {MAX_SIGNATURES} signatures.")
        by_version: dict[str, list[str]] = {}
        for entry in entries:
            version, _, signature = entry.partition(",")
            by_version.setdefault(version, []).append(signature)
        if not self._signed(message, by_version.get("v1a", [])):
            check_hmac(message, by_version.get("v1", []), self._secrets, "base64")
        return identity

    def _signed(self, message: bytes, signatures: Iterable[str]) -> bool:
        """Whether one of the signatures is that of one of the public keys."""
        for text in signatures:
            try:
                signature = base64.b64decode(text, validate=True)
            except ValueError:
                continue
            if any(key.check(message, {ED25519_ALGORITHM: signature}) for key in self._public):
                return True
        return False


def _octets(text: str) -> bytes:
    """What base64 stands for; some dashboards show it without its padding."""
    bare = text.rstrip("=")
    return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)


def _secret(secret: bytes) -> bytes:
    if len(secret) not in SECRET_BYTES:
        raise ValueError("length")
    return secret
