"""The server half of `aws`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from licentia.bindings import Challenge, Dated, Identity, ServerHalf
from licentia.crypto import identity_record
from licentia.crypto.certificates import CertificateError
from licentia.crypto.cms import CmsError
from licentia.errors import BindingEvidenceInvalid
from licentia.settings import SettingsError
from licentia_plugins.bindings.aws import regions
from licentia_plugins.bindings.aws.document import Evidence, read
from licentia_plugins.bindings.aws.settings import AwsSettings

CLOCK_SKEW = timedelta(minutes=5)
"""How far ahead of the time in question a document may be dated."""


class AwsServer(ServerHalf, Dated):
    """Judges what the address `/latest/dynamic/instance-identity/rsa2048` answers."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(name, settings)
        try:
            self._settings = msgspec.convert(settings, AwsSettings)
            self._regions = regions.shipped()
            if self._settings.trust is not None:
                self._regions = regions.merged(self._regions, regions.from_folder(Path(self._settings.trust)))
        except (msgspec.ValidationError, CertificateError, OSError) as error:
            raise SettingsError(f"binding.{name}: {error}") from None

    async def _verify(self, evidence: bytes, challenge: Challenge) -> Identity:
        found = _read(evidence)
        document = found.document
        if self._settings.regions and document.region not in self._settings.regions:
            raise _refusal(f"it is of the region {document.region}, which is not {' or '.join(self._settings.regions)}")
        if self._settings.accounts and document.account_id not in self._settings.accounts:
            raise _refusal(f"it is of the account {document.account_id}, which is not among those welcome here")
        for key in self._signers(found):
            if not key.not_before <= challenge.at <= key.not_after:
                raise _refusal(f"the key of {document.region} does not count on {challenge.at:%Y-%m-%d}")
        if found.issued_at > challenge.at + CLOCK_SKEW:
            raise _refusal(
                f"it was issued on {found.issued_at:%Y-%m-%d %H:%M:%S}, after the time in question",
                help="Judge it as of a later time; `licentia binding verify --at document` takes its own.",
            )
        return Identity(name=document.instance_id, attributes=document.attributes())

    async def _seal(self, evidence: bytes, secret: bytes) -> bytes:
        found = _read(evidence)
        self._signers(found)
        document = found.document
        keys = [key.key for key in self._regions[document.region]]
        return identity_record.write(secret, document.instance_id, "aws", attributes=document.attributes(), keys=keys)

    def _issued_at(self, evidence: bytes) -> datetime:
        return _read(evidence).issued_at

    def _signers(self, found: Evidence) -> list[regions.RegionKey]:
        """The key of the document's own region that has signed it; several only if its certificate is known twice."""
        region = found.document.region
        known = self._regions.get(region)
        if known is None:
            raise _refusal(
                f"no key is known for its region {region}",
                help="Add the region's RSA-2048 certificate to the folder that `trust` names.",
            )
        signers = [key for key in known if key.signer == found.signed.signer]
        try:
            if not signers:
                raise CmsError(f"it is not signed by a known key of {region}, the region that it names")
            for key in signers:
                found.signed.verify(key.key)
        except CmsError as error:
            raise _refusal(str(error)) from None
        return signers


def _read(evidence: bytes) -> Evidence:
    try:
        return read(evidence)
    except CmsError as error:
        raise _refusal(str(error)) from None


def _refusal(reason: str, help: str | None = None) -> BindingEvidenceInvalid:
    return BindingEvidenceInvalid(
        f"The instance identity document does not hold: {reason}.",
        help=help
        or "Send what http://169.254.169.254/latest/dynamic/instance-identity/rsa2048 answers on the instance.",
    )
