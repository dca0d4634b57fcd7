"""Verifies CMS SignedData (RFC 5652; PKCS #7 1.5, RFC 2315) as clouds sign identity documents.

One signer, content inside, RSA of 2048 bits or more with SHA-2. Whose key counts is the caller's
affair: nothing in a document is a reason to trust it. What no signature covers has to be just what
the signature wants, so a document cannot be changed or added to and still be accepted; only how an
algorithm is named may vary, as the standards let it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec
from asn1crypto import cms

from licentia.crypto import rsa
from licentia.crypto.ber import BerError, element, to_der

_ARMOR = re.compile(rb"-----BEGIN (PKCS7|CMS)-----\r?\n(.*?)\r?\n-----END \1-----", re.DOTALL)
_SPACE = b" \t\r\n"
_OCTETS, _SEQUENCE, _SET, _FIRST = 0x04, 0x30, 0x31, 0xA0
_ATTRIBUTES_TAG = bytes([_FIRST])
_VERSION = cms.CMSVersion("v1").dump()
_DATA, _SIGNED_DATA = (cms.ContentType(name).dump() for name in ("data", "signed_data"))
_SIGNATURES = {
    "rsassa_pkcs1v15": None,
    "sha256_rsa": "sha256",
    "sha384_rsa": "sha384",
    "sha512_rsa": "sha512",
}
"""Names of a signature algorithm, with the digest that each stands for; Azure names it as its digest too."""

_HASHES = {
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
    "1.2.840.113549.1.1.11": "sha256",
    "1.2.840.113549.1.1.12": "sha384",
    "1.2.840.113549.1.1.13": "sha512",
}
"""Digests by their object identifiers; Azure names the signature where the digest's name belongs."""


class CmsError(ValueError):
    """This is no signed document that counts; the message is a clause that says why."""


class SignedData(msgspec.Struct, frozen=True, kw_only=True):
    """A signed document, taken apart; nothing of it is verified before `verify`.

    Attributes:
        content: what was signed.
        signer: who says to have signed, as IssuerAndSerialNumber in DER.
        certificates: the certificates inside, in DER.
        signed_at: the signing time, if the document has one.
        hash_name: the digest, as `licentia.crypto.rsa` names it.
        attributes: what the signature is over, if it is not over the content itself.
        digest: the digest of the content, as it stands among the attributes.
    """

    content: bytes
    signer: bytes
    certificates: tuple[bytes, ...]
    signed_at: datetime | None
    hash_name: str
    attributes: bytes | None
    digest: bytes | None
    signature: bytes

    def verify(self, spki: bytes) -> None:
        """Make sure that this key, a SubjectPublicKeyInfo in DER, has signed the content.

        Raises:
            CmsError: it has not, or it is too weak to count.
        """
        try:
            key = rsa.public_key(spki)
        except rsa.WeakKey as error:
            raise CmsError(str(error)) from None
        if self.attributes is not None:
            digest = hashlib.new(self.hash_name, self.content).digest()
            if not hmac.compare_digest(digest, self.digest or b""):
                raise CmsError("its content is not what was signed")
        if len(self.signature) < rsa.MIN_BITS // 8:
            raise CmsError(f"it is signed with RSA-{8 * len(self.signature)}; {rsa.MIN_BITS} bits or more are wanted")
        signed = self.content if self.attributes is None else self.attributes
        if not rsa.holds(key, self.hash_name, signed, self.signature):
            raise CmsError("its signature does not hold")


def from_text(text: bytes) -> bytes:
    """The bytes of base64 with or without line breaks, and with or without the lines `-----BEGIN PKCS7-----`.

    Raises:
        CmsError: it is something else, or not in the one form that base64 has for these bytes (RFC 4648, 3.5).
    """
    text = text.strip(_SPACE)
    if armored := _ARMOR.fullmatch(text):
        text = armored[2]
    text = text.translate(None, _SPACE)
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise CmsError("it is not base64") from None
    if not data or base64.b64encode(data) != text:
        raise CmsError("it is not base64 as it should be")
    return data


def parse(data: bytes) -> SignedData:
    """Take a document apart, in BER or DER.

    Raises:
        CmsError: it is damaged, of another shape, or signed in a way that does not count.
    """
    try:
        return _parsed(to_der(data))
    except CmsError:
        raise
    except BerError as error:
        raise CmsError(f"it is not ASN.1: {error}") from None
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError):
        raise CmsError("it is no signed document") from None  # all that asn1crypto says of a foreign structure


def _parsed(der: bytes) -> SignedData:
    info = cms.ContentInfo.load(der, strict=True)
    if info["content_type"].native != "signed_data":
        raise CmsError("it is not signed data")
    data = info["content"]
    _only(data["version"].native == "v1", "it is of another version of CMS")
    _only(data["crls"].native is None, "it has lists of revoked certificates, which no cloud sends")
    _only(len(data["signer_infos"]) == 1, "it has not exactly one signer")
    (signer,) = data["signer_infos"]
    _only(signer["version"].native == "v1", "its signer is of another version of CMS")
    _only(signer["unsigned_attrs"].native is None, "it has attributes that nobody signed")
    _only(signer["sid"].name == "issuer_and_serial_number", "its signer has no name")
    content = data["encap_content_info"]
    _only(content["content_type"].native == "data", "its content is not plain data")
    hash_name = _algorithm(signer)
    attributes, digest, signed_at = _attributes(signer["signed_attrs"])
    signed = SignedData(
        content=_octets(content["content"]),
        signer=signer["sid"].chosen.dump(),
        certificates=tuple(_certificates(data["certificates"])),
        signed_at=signed_at,
        hash_name=hash_name,
        attributes=attributes,
        digest=digest,
        signature=signer["signature"].native,
    )
    algorithms = [_whole_algorithm(signer[name]) for name in ("digest_algorithm", "signature_algorithm")]
    _only(_whole(signed, *algorithms) == der, "it holds more than a signed document")
    return signed


def _whole(signed: SignedData, digest: bytes, algorithm: bytes) -> bytes:
    """The document put together again: asn1crypto reads over what stands where nothing should."""
    attributes = b"" if signed.attributes is None else _ATTRIBUTES_TAG + signed.attributes[1:]
    parts = _VERSION, signed.signer, digest, attributes, algorithm, element(_OCTETS, signed.signature)
    content = element(_SEQUENCE, _DATA, element(_FIRST, element(_OCTETS, signed.content)))
    certificates = element(_FIRST, *signed.certificates) if signed.certificates else b""
    signers = element(_SET, element(_SEQUENCE, *parts))
    inside = element(_SEQUENCE, _VERSION, element(_SET, digest), content, certificates, signers)
    return element(_SEQUENCE, _SIGNED_DATA, element(_FIRST, inside))


def _whole_algorithm(algorithm: Any) -> bytes:
    return element(_SEQUENCE, algorithm["algorithm"].dump(), algorithm["parameters"].dump())


def _only(right: bool, otherwise: str) -> None:
    if not right:
        raise CmsError(otherwise)


def _algorithm(signer: Any) -> str:
    """The digest's name, if digest and signature are ones that count and agree."""
    digest, signature = signer["digest_algorithm"], signer["signature_algorithm"]
    for algorithm in (digest, signature):
        parameters = algorithm["parameters"].dump()
        _only(parameters in (b"", b"\x05\x00"), "its algorithm has parameters")
    named = signature["algorithm"].native
    if named not in _SIGNATURES:
        kind = "DSA" if "dsa" in named else named
        raise CmsError(f"it is signed with {kind}; only RSA with SHA-2 counts")
    hashed = digest["algorithm"].dotted
    hash_name = _HASHES.get(hashed)
    if hash_name is None:
        raise CmsError(f"its digest is {digest['algorithm'].native}; only SHA-2 counts")
    _only(_SIGNATURES[named] in (None, hash_name), "its digest and its signature do not agree")
    return hash_name


def _octets(content: Any) -> bytes:
    octets = content.native
    if not isinstance(octets, bytes):
        raise CmsError("it has no content inside")
    return octets


def _attributes(signed: Any) -> tuple[bytes | None, bytes | None, datetime | None]:
    """The attributes as they were signed (RFC 5652, section 5.4), the digest among them, and the time."""
    if signed.native is None:
        return None, None, None
    values: dict[str, Any] = {}
    for attribute in signed:
        name = attribute["type"].native
        _only(name not in values and len(attribute["values"]) == 1, "a signed attribute has several values")
        values[name] = attribute["values"][0].native
    _only(values.get("content_type") == "data", "its signed type is not plain data")
    digest, signed_at = values.get("message_digest"), values.get("signing_time")
    if not isinstance(digest, bytes):
        raise CmsError("no digest is signed")
    return bytes([_SET]) + signed.dump()[1:], digest, signed_at if isinstance(signed_at, datetime) else None


def _certificates(certificates: Any) -> Iterator[bytes]:
    for choice in () if certificates.native is None else certificates:
        _only(choice.name == "certificate", "it has a certificate of another kind")
        yield choice.chosen.dump()
