"""The attested document, as `/metadata/attested/document` gives it: JSON around PKCS #7 around JSON.

Source of the format: "Azure Instance Metadata Service", section "Attested data", Microsoft Learn.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from licentia.crypto import certificates, cms
from licentia.crypto.certificates import Certificate, CertificateError
from licentia.crypto.cms import CmsError, SignedData

_HOST = re.compile(r"(?:([a-z0-9-]{1,63}|\*)\.)?metadata\.azure\.(?:com|us|cn)")
"""Who signs, in the public cloud, that of the US government, and China; before it at most one label, the region."""

MAX_CERTIFICATES = 8
Text = Annotated[str, Meta(max_length=128)]


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%m/%d/%y %H:%M:%S %z").astimezone(UTC)


class Lifetime(msgspec.Struct, frozen=True, rename="camel"):
    """From when until when the document counts, as texts like `04/19/22 01:27:21 -0000`."""

    created_on: Annotated[str, Meta(max_length=32)]
    expires_on: Annotated[str, Meta(max_length=32)]


class Document(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What is signed; older documents name fewer things."""

    vm_id: Annotated[str, Meta(pattern=r"^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})?\Z")]
    nonce: Annotated[str, Meta(max_length=64)]
    time_stamp: Lifetime
    subscription_id: Text = ""
    sku: Text = ""


class _Attested(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    encoding: Literal["pkcs7"]
    signature: str


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """A document taken apart; nothing of it is verified before `verify`.

    Attributes:
        signer: the certificate that names the key it says to be signed with.
        others: the other certificates inside.
        regions: the regions that the signer's certificate names.
    """

    document: Document
    signed: SignedData
    signer: Certificate
    others: tuple[Certificate, ...]
    regions: tuple[str, ...]
    created: datetime
    expires: datetime

    @property
    def name(self) -> str:
        """The machine: its `vmId`, in small letters."""
        return self.document.vm_id.lower()

    @property
    def unasked(self) -> bool:
        """Whether nobody gave a nonce: then the service writes the end of the document's life in its place."""
        return self.document.nonce == f"{self.expires:%Y%m%d-%H%M%S}"

    def attributes(self) -> dict[str, str]:
        """What a person wants to know of the machine; all of it may change."""
        known = {
            "region": " ".join(self.regions),
            "subscription": self.document.subscription_id,
            "sku": self.document.sku,
        }
        return {name: value for name, value in known.items() if value}

    def verify(self) -> None:
        """Make sure that the signer's key has signed the document; whether the signer counts is another matter.

        Raises:
            CmsError: it has not, the certificate is not for this, or no machine is named.
        """
        if not self.name:
            raise CmsError("it names no virtual machine")
        if not self.signer.may_sign or (self.signer.purposes and "server_auth" not in self.signer.purposes):
            raise CmsError("its signer's certificate is not made for signing")
        self.signed.verify(self.signer.key)


def read(evidence: bytes) -> Evidence:
    """Take evidence apart: the JSON that the service answers, or the bare `signature` of it.

    Raises:
        CmsError: it is something else, or is signed by somebody whose certificate is not of the metadata service.
    """
    try:
        if evidence.lstrip()[:1] == b"{":
            evidence = msgspec.json.decode(evidence, type=_Attested).signature.encode()
    except (ValueError, RecursionError):
        raise CmsError("it is not the JSON that the metadata service answers") from None
    signed = cms.parse(cms.from_text(evidence))
    try:
        document = msgspec.json.decode(signed.content, type=Document)
        created, expires = _moment(document.time_stamp.created_on), _moment(document.time_stamp.expires_on)
    except (ValueError, RecursionError, OverflowError):
        raise CmsError("what is signed is no attested document of a virtual machine") from None
    signer, others = _certificates(signed)
    labels = [match[1] for name in signer.dns_names if (match := _HOST.fullmatch(name.lower()))]
    if not labels:
        raise CmsError("its signer is not the metadata service: no name under metadata.azure.com, .us or .cn")
    regions = tuple(sorted({label for label in labels if label and label != "*"}))
    return Evidence(
        document=document,
        signed=signed,
        signer=signer,
        others=others,
        regions=regions,
        created=created,
        expires=expires,
    )


def _certificates(signed: SignedData) -> tuple[Certificate, tuple[Certificate, ...]]:
    if len(signed.certificates) > MAX_CERTIFICATES:
        raise CmsError(f"it has more than {MAX_CERTIFICATES} certificates")
    try:
        inside = [certificates.read(der) for der in signed.certificates]
    except CertificateError as error:
        raise CmsError(f"a certificate in it does not count: {error}") from None
    signers = [each for each in inside if each.signer == signed.signer]
    if len(signers) != 1:
        raise CmsError("the certificate of its signer is not inside")
    return signers[0], tuple(each for each in inside if each is not signers[0])
