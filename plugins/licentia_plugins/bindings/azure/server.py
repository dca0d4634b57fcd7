"""The server half of `azure`."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from licentia.bindings import Challenge, Dated, Identity, ServerHalf
from licentia.crypto import chains, identity_record
from licentia.crypto.certificates import Certificate, CertificateError
from licentia.crypto.chains import Anchor, ChainError, IssuerUnknown
from licentia.crypto.cms import CmsError
from licentia.errors import BindingEvidenceInvalid
from licentia.settings import SettingsError
from licentia_plugins.bindings.azure import anchors
from licentia_plugins.bindings.azure.document import Evidence, read
from licentia_plugins.bindings.azure.intermediates import FetchedIntermediates, Intermediates
from licentia_plugins.bindings.azure.settings import AzureSettings

CLOCK_SKEW = timedelta(minutes=5)
"""How far ahead of the time in question a document may be dated."""


class AzureServer(ServerHalf, Dated):
    """Judges attested documents. `intermediates` is where missing certificates come from."""

    def __init__(self, name: str, settings: Mapping[str, Any], intermediates: Intermediates | None = None) -> None:
        super().__init__(name, settings)
        self._anchors = anchors.shipped()
        self._below: list[Certificate] = []
        try:
            self._settings = msgspec.convert(settings, AzureSettings)
            if self._settings.trust is not None:
                roots, self._below = anchors.from_folder(Path(self._settings.trust))
                self._anchors += roots
        except (msgspec.ValidationError, CertificateError, OSError) as error:
            raise SettingsError(f"binding.{name}: {error}") from None
        self._intermediates = intermediates or FetchedIntermediates(
            self._settings.fetch_from, self._settings.timeout_seconds
        )

    async def _verify(self, evidence: bytes, challenge: Challenge) -> Identity:
        found = _read(evidence)
        self._welcome(found)
        if not found.created - CLOCK_SKEW <= challenge.at <= found.expires:
            raise _refusal(
                f"it counts from {found.created:%Y-%m-%d %H:%M:%S} to {found.expires:%Y-%m-%d %H:%M:%S} UTC, "
                f"not on {challenge.at:%Y-%m-%d %H:%M:%S}",
                help="Ask the metadata service for a new document; it counts for six hours. An old one can be judged "
                "as of its own time, by `licentia binding verify --at document`.",
            )
        await self._vouched(found, challenge.at)
        asked = challenge.nonce.encode()
        fresh = bool(asked) and hmac.compare_digest(found.document.nonce.encode(), asked)
        if asked and not fresh and not found.unasked:
            raise _refusal("it was made for another nonce, so for another request")
        return Identity(name=found.name, attributes=found.attributes(), fresh=fresh)

    async def _seal(self, evidence: bytes, secret: bytes) -> bytes:
        found = _read(evidence)
        path = await self._vouched(found, found.created)
        lasting = [each for each in self._anchors if each.not_before <= found.created <= each.not_after]
        keys = list({each.key: each for each in (*path, *lasting)}.values())
        return identity_record.write(secret, found.name, "azure", attributes=found.attributes(), keys=keys)

    def _issued_at(self, evidence: bytes) -> datetime:
        return _read(evidence).created

    def _welcome(self, found: Evidence) -> None:
        settings = self._settings
        if settings.regions and not set(settings.regions) & set(found.regions):
            named = ", ".join(found.regions) or "no region"
            raise _refusal(f"its signer is of {named}, which is not {' or '.join(settings.regions)}")
        if settings.subscriptions and found.document.subscription_id.lower() not in map(
            str.lower, settings.subscriptions
        ):
            raise _refusal("it is of a subscription that is not among those welcome here")

    async def _vouched(self, found: Evidence, at: datetime) -> tuple[Anchor, ...]:
        """The authorities that lead from the signer to a known key; the document is signed, or it is refused."""
        candidates = [*found.others, *self._below]
        try:
            for _ in range(chains.MAX_LINKS):
                try:
                    anchor, path = chains.check(found.signer, candidates, self._anchors, at)
                    break
                except IssuerUnknown as unknown:
                    more = [each for each in await self._intermediates.at(unknown.urls) if each not in candidates]
                    if not more:
                        raise
                    candidates += more
            else:
                raise ChainError("its chain of certificates is too long")
            found.verify()
        except (ChainError, CmsError) as error:
            raise _refusal(
                str(error),
                help="Collect it on the machine itself. If Microsoft has changed its authorities, add their "
                "certificates to the folder that `trust` names.",
            ) from None
        return (anchor, *map(chains.anchor, path))


def _read(evidence: bytes) -> Evidence:
    try:
        return read(evidence)
    except CmsError as error:
        raise _refusal(str(error)) from None


def _refusal(reason: str, help: str | None = None) -> BindingEvidenceInvalid:
    return BindingEvidenceInvalid(f"The attested document does not hold: {reason}.", help=help)
