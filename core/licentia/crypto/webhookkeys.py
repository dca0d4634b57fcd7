"""Signing what we send as Standard Webhooks 1.0.0: HMAC-SHA256 (`v1`) and Ed25519 (`v1a`), by all keys in use.

The counterpart of `licentia.crypto.webhooks`, which verifies. A receiver may check either signature:
for `v1a` it needs the public key only, so no secret has to be shared with it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from secrets import token_bytes

import msgspec

from licentia.crypto.signing import SoftwareKey
from licentia.crypto.suites import ED25519, ED25519_ALGORITHM
from licentia.crypto.webhooks import PUBLIC_PREFIX, SECRET_PREFIX, signature_text

KEY_BYTES = 32


class WebhookKeys(msgspec.Struct, frozen=True):
    """The two keys of an endpoint. The private parts are not shown by `repr`.

    Attributes:
        secret: of the HMAC, 32 random bytes.
        seed: of the Ed25519 key, 32 random bytes (RFC 8032, section 5.1.5).
    """

    secret: bytes
    seed: bytes

    def __repr__(self) -> str:
        return f"WebhookKeys(public_key={self.public_key!r})"

    @classmethod
    def generate(cls) -> WebhookKeys:
        """New keys."""
        return cls(token_bytes(KEY_BYTES), token_bytes(KEY_BYTES))

    @property
    def shown_secret(self) -> str:
        """The secret of the HMAC as receivers enter it: `whsec_` and base64."""
        return SECRET_PREFIX + base64.b64encode(self.secret).decode()

    @property
    def public_key(self) -> str:
        """The public half of the Ed25519 key as receivers enter it: `whpk_` and base64."""
        return PUBLIC_PREFIX + base64.b64encode(self._signer.public.ed25519).decode()

    def signatures(self, message: bytes) -> tuple[str, str]:
        """The entries `v1` and `v1a` of a message."""
        point = base64.b64encode(self._signer.sign(message)[ED25519_ALGORITHM]).decode()
        return f"v1,{signature_text(self.secret, message, 'base64')}", f"v1a,{point}"

    @property
    def _signer(self) -> SoftwareKey:
        return SoftwareKey(ED25519, self.seed)


def signed_headers(keys: Iterable[WebhookKeys], identity: str, seconds: int, body: bytes) -> dict[str, str]:
    """The headers of a delivery (section "Webhook headers" of the specification).

    Args:
        keys: those in use: one, or while they are changed the new one and the old one.
        identity: the message's id, the same at every attempt; without a dot.
        seconds: since 1970, of this attempt.
        body: as it is sent.
    """
    message = b".".join((identity.encode(), str(seconds).encode(), body))
    entries = [each.signatures(message) for each in keys]
    # All of one version first: a receiver that stops at the first it knows finds the newest key.
    return {
        "webhook-id": identity,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(entry for version in zip(*entries, strict=True) for entry in version),
    }
