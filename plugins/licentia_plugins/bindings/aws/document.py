"""The instance identity document, as `/latest/dynamic/instance-identity/rsa2048` gives it: PKCS #7, in base64.

Source of the format: "Instance identity documents for Amazon EC2 instances", Amazon EC2 User Guide.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from licentia.crypto import cms
from licentia.crypto.cms import CmsError, SignedData

_RSA1024_BYTES = 128
Text = Annotated[str, Meta(max_length=64)]


class Document(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What is used of the document; it says more, as addresses, which may change."""

    instance_id: Annotated[str, Meta(pattern=r"^i-[0-9a-f]{8,32}\Z")]
    account_id: Annotated[str, Meta(pattern=r"^[0-9]{12}\Z")]
    region: Annotated[str, Meta(pattern=r"^[a-z0-9-]{4,32}\Z")]
    image_id: Text
    instance_type: Text
    availability_zone: Text
    pending_time: Annotated[datetime, Meta(tz=True)]

    def attributes(self) -> dict[str, str]:
        """What a person wants to know of the instance; all but the account and region may change."""
        return {
            "account": self.account_id,
            "region": self.region,
            "availability_zone": self.availability_zone,
            "instance_type": self.instance_type,
            "image": self.image_id,
        }


class Evidence(msgspec.Struct, frozen=True):
    """A document that was read, and the signature around it; nothing of it is verified."""

    document: Document
    signed: SignedData

    @property
    def issued_at(self) -> datetime:
        """When AWS signed it; else, when the instance was last started."""
        return (self.signed.signed_at or self.document.pending_time).astimezone(UTC)


def read(evidence: bytes) -> Evidence:
    """Take evidence apart.

    Raises:
        CmsError: it is not what the address above answers.
    """
    if evidence.lstrip()[:1] == b"{":
        raise CmsError("it is the document without its signature; the address .../rsa2048 gives both")
    data = cms.from_text(evidence)
    if len(data) == _RSA1024_BYTES:
        raise CmsError("it is a bare RSA-1024 signature, of a key that regions share; only .../rsa2048 counts")
    signed = cms.parse(data)
    try:
        return Evidence(msgspec.json.decode(signed.content, type=Document), signed)
    except (ValueError, RecursionError):
        raise CmsError("what is signed is no instance identity document") from None
