"""The server half of `gcp`."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from licentia.bindings import Challenge, Dated, Identity, ServerHalf
from licentia.crypto import identity_record
from licentia.errors import BindingEvidenceInvalid
from licentia.settings import SettingsError
from licentia_plugins.bindings.gcp.keys import FetchedKeys, Keys, PinnedKeys
from licentia_plugins.bindings.gcp.settings import GcpSettings
from licentia_plugins.bindings.gcp.token import NONCE_AUDIENCE, Jwk, Token, TokenError, read

CLOCK_SKEW = timedelta(minutes=5)
"""How far ahead of the time in question a token may be dated."""

MAX_SEALED_KEYS = 8


class GcpServer(ServerHalf, Dated):
    """Judges identity tokens. `keys` is where Google's keys come from."""

    def __init__(self, name: str, settings: Mapping[str, Any], keys: Keys | None = None) -> None:
        super().__init__(name, settings)
        try:
            self._settings = msgspec.convert(settings, GcpSettings)
            self._keys = keys or _source(self._settings)
        except (ValueError, OSError) as error:
            raise SettingsError(f"binding.{name}: {error}") from None

    async def _verify(self, evidence: bytes, challenge: Challenge) -> Identity:
        token = _read(evidence)
        settings = self._settings
        if settings.regions and token.region not in settings.regions:
            raise _refusal(f"it is of the region {token.region}, which is not {' or '.join(settings.regions)}")
        if settings.projects and token.machine.project_id not in settings.projects:
            raise _refusal(f"it is of the project {token.machine.project_id}, which is not among those welcome here")
        if not token.issued - CLOCK_SKEW <= challenge.at < token.expires:
            raise _refusal(
                f"it counts from {token.issued:%Y-%m-%d %H:%M:%S} to {token.expires:%Y-%m-%d %H:%M:%S} UTC, "
                f"not on {challenge.at:%Y-%m-%d %H:%M:%S}",
                help="Ask the metadata server for a new token; it counts for an hour. An old one can be judged as of "
                "its own time, by `licentia binding verify --at document`.",
            )
        await self._signed(token)
        return Identity(name=token.name, attributes=token.attributes(), fresh=self._fresh(token, challenge.nonce))

    async def _seal(self, evidence: bytes, secret: bytes) -> bytes:
        token = _read(evidence)
        keys = await self._signed(token)
        first = {token.kid: keys[token.kid], **keys}
        kept = dict(list(first.items())[:MAX_SEALED_KEYS])
        return identity_record.write(secret, token.name, "gcp", attributes=token.attributes(), keys=kept)

    def _issued_at(self, evidence: bytes) -> datetime:
        return _read(evidence).issued

    async def _signed(self, token: Token) -> Mapping[str, Jwk]:
        """Google's keys, one of which has signed the token."""
        keys = await self._keys.known(token.kid)
        if token.kid not in keys:
            raise _refusal(
                "it is signed with a key that Google does not publish now",
                help="Ask the metadata server for a new token; for an old one, put Google's keys of its time into the "
                "folder that `trust` names.",
            )
        try:
            token.verify(keys[token.kid])
        except TokenError as error:
            raise _refusal(str(error)) from None
        return keys

    def _fresh(self, token: Token, nonce: str) -> bool:
        """Whether the token was made for this nonce; a refusal if it was made for somebody else."""
        audience = token.audience.encode()
        if nonce and any(hmac.compare_digest(audience, each.encode()) for each in (NONCE_AUDIENCE + nonce, nonce)):
            return True
        if token.audience == self._settings.audience or not (nonce or self._settings.audience):
            return False
        raise _refusal("it was made for another audience, so for another request or another service")


def _source(settings: GcpSettings) -> Keys:
    if settings.trust is not None:
        return PinnedKeys(Path(settings.trust))
    return FetchedKeys(
        settings.keys_url,
        seconds=settings.timeout_seconds,
        cache_seconds=settings.cache_seconds,
        stale_seconds=settings.stale_seconds,
    )


def _read(evidence: bytes) -> Token:
    try:
        return read(evidence)
    except TokenError as error:
        raise _refusal(str(error)) from None


def _refusal(reason: str, help: str | None = None) -> BindingEvidenceInvalid:
    return BindingEvidenceInvalid(f"The identity token does not hold: {reason}.", help=help)
