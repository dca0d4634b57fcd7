"""The makers of TPMs: whether one of those that are trusted vouches for an endorsement key.

Certificates are read with a reader that forgives what makers do: those of Nuvoton name the issuer in a
SET whose members are in no order, which a reader of strict DER refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from asn1crypto import core, keys, parser, x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from licentia.crypto import certificates
from licentia.crypto.certificates import Certificate
from licentia.settings import SettingsError

EK_CERTIFICATE = "2.23.133.8.1"
"""The purpose of a certificate for an endorsement key (TCG, EK Credential Profile, section 3.2.16)."""

NAMES: Mapping[bytes, str] = {
    core.ObjectIdentifier(f"2.23.133.2.{number}").contents: name
    for number, name in enumerate(("manufacturer", "model", "version"), 1)
}
"""What the certificate says of the TPM (the same profile, section 3.2.9)."""

DIRECTORY_NAME = (2, 4)
"""The tag of such a name among the alternative ones (RFC 5280, section 4.2.1.6)."""

HASHES: Mapping[str, Callable[[], hashes.HashAlgorithm]] = {
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}
RSA_KEYS = ("rsa", "rsaes_oaep")
"""Algorithms of endorsement keys; some of Infineon's are marked as for encryption only (RFC 4055, section 4.1)."""

DAMAGED = (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError)
"""What the library says of a structure that it cannot read in part."""

T = TypeVar("T")


class CertificateError(ValueError):
    """The certificate does not vouch for the key; the message is a sentence that says why."""


class Makers:
    """The authorities in a folder. Each may vouch by itself: nothing is said of who stands above it."""

    def __init__(self, folder: Path | None) -> None:
        """Read the folder; without one nobody is trusted. SettingsError if it is not usable."""
        self._authorities = [] if folder is None else _in_folder(folder)

    def check(self, der: bytes, at: datetime | None) -> dict[str, str]:
        """What a trusted maker says of a TPM; with no time given, at whatever time.

        Raises:
            CertificateError: nobody who is trusted has issued this certificate for an endorsement key.
        """
        certificate = _read(der)
        if not certificate.purposes:
            raise CertificateError("The endorsement certificate does not say what its key is for.")
        if EK_CERTIFICATE not in certificate.purposes:
            raise CertificateError("The certificate is not one for an endorsement key.")
        if at is not None and not _valid(certificate, at):
            raise CertificateError("The endorsement certificate is not valid at this time.")
        algorithm = _whole(lambda: _signature_of(x509.Certificate.load(der)))
        if not any(_issued(certificate, algorithm, authority, at) for authority in self._authorities):
            raise CertificateError("The endorsement certificate is not issued by a maker that is trusted here.")
        return _whole(lambda: dict(_described(x509.Certificate.load(der))))


class Signature(msgspec.Struct, frozen=True):
    """How a certificate is signed, as asn1crypto names it; both are empty if it is signed in no way that counts."""

    algorithm: str = ""
    hash_name: str = ""


def modulus_of(der: bytes) -> int:
    """The RSA modulus that a certificate is for. CertificateError if it is for another kind of key."""
    key = _whole(lambda: keys.PublicKeyInfo.load(_read(der).key, strict=True))
    if _whole(lambda: key.algorithm) not in RSA_KEYS:
        raise CertificateError("The endorsement certificate is not for an RSA key.")
    return int(_whole(lambda: key["public_key"].parsed["modulus"].native))


def _whole(judged: Callable[[], T]) -> T:
    """What comes out of a foreign certificate, each part of which is read, and may be damaged, when it is asked for."""
    try:
        return judged()
    except CertificateError:
        raise
    except DAMAGED:
        raise CertificateError("The endorsement certificate is damaged.") from None


def _read(der: bytes) -> Certificate:
    try:
        return certificates.read(der)
    except certificates.CertificateError as error:
        raise CertificateError(f"The endorsement certificate does not count: {error}.") from None


def _signature_of(certificate: Any) -> Signature:
    signed = certificate["signature_algorithm"]
    try:
        return Signature(signed.signature_algo, signed.hash_algo)
    except ValueError:
        return Signature()


def _issued(certificate: Certificate, by: Signature, authority: Certificate, at: datetime | None) -> bool:
    if certificate.issuer != authority.subject or (at is not None and not _valid(authority, at)):
        return False
    if by.hash_name not in HASHES:
        return False
    digest = HASHES[by.hash_name]()
    try:
        key = load_der_public_key(authority.key)
        if isinstance(key, rsa.RSAPublicKey) and by.algorithm == "rsassa_pkcs1v15":
            key.verify(certificate.signature, certificate.signed, padding.PKCS1v15(), digest)
        elif isinstance(key, ec.EllipticCurvePublicKey) and by.algorithm == "ecdsa":
            key.verify(certificate.signature, certificate.signed, ec.ECDSA(digest))
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


def _valid(certificate: Certificate, at: datetime) -> bool:
    return certificate.not_before <= at <= certificate.not_after


def _described(certificate: Any) -> Iterator[tuple[str, str]]:
    """What the alternative name says of the TPM, octet by octet: makers take other kinds of text than the profile."""
    for extension in certificate["tbs_certificate"]["extensions"]:
        if extension["extn_id"].native != "subject_alt_name":
            continue
        for tag, name in _parts(next(_parts(extension["extn_value"].contents))[1]):
            if tag != DIRECTORY_NAME:
                continue
            for _, together in _parts(next(_parts(name))[1]):
                for _, each in _parts(together):
                    (_, kind), (_, text) = _parts(each)
                    if kind in NAMES:
                        yield NAMES[kind], text.decode("utf-8", "replace")[:100]


def _parts(data: bytes) -> Iterator[tuple[tuple[int, int], bytes]]:
    """Class and number of the tag, and the contents, of each element of DER."""
    while data:
        kind, _, tag, header, contents, trailer = parser.parse(data)
        yield (kind, tag), contents
        data = data[len(header) + len(contents) + len(trailer) :]


def _in_folder(folder: Path) -> list[Certificate]:
    try:
        found = [each for _, each in certificates.in_folder(folder) if each.ca and each.may_certify]
    except OSError as error:
        raise SettingsError(f"{error.filename}: {error.strerror}") from None
    except certificates.CertificateError as error:
        raise SettingsError(str(error)) from None
    if not found:
        raise SettingsError(f"{folder}: there is no certificate of an authority in it")
    return found
