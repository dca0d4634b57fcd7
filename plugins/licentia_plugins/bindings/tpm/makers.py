"""The makers of TPMs: whether one of those that are trusted vouches for an endorsement key."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtensionOID, ObjectIdentifier

from licentia.settings import SettingsError

SUFFIXES = (".pem", ".crt", ".cer", ".der")
MAX_FILES = 1000
MAX_FILE_BYTES = 256 * 1024
EK_CERTIFICATE = ObjectIdentifier("2.23.133.8.1")
"""The purpose of a certificate for an endorsement key (TCG, EK Credential Profile, section 3.2.16)."""

NAMES = {"2.23.133.2.1": "manufacturer", "2.23.133.2.2": "model", "2.23.133.2.3": "version"}
"""What the certificate says of the TPM (the same profile, section 3.2.9)."""

UNDERSTOOD = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.CERTIFICATE_POLICIES,
    }
)
HASHES = frozenset({"sha256", "sha384", "sha512"})
DAMAGED = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What the library says of a certificate that it cannot read in part."""

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
        return _whole(lambda: self._check(x509.load_der_x509_certificate(der), at))

    def _check(self, certificate: x509.Certificate, at: datetime | None) -> dict[str, str]:
        try:
            purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        except x509.ExtensionNotFound:
            raise CertificateError("The endorsement certificate does not say what its key is for.") from None
        if EK_CERTIFICATE not in purposes:
            raise CertificateError("The certificate is not one for an endorsement key.")
        for each in certificate.extensions:
            if each.critical and each.oid not in UNDERSTOOD:
                raise CertificateError(
                    f"The endorsement certificate demands that {each.oid.dotted_string} be understood."
                )
        if at is not None:
            _check_valid(certificate, at)
        if not any(_issued(certificate, authority, at) for authority in self._authorities):
            raise CertificateError("The endorsement certificate is not issued by a maker that is trusted here.")
        return _described(certificate)


def modulus_of(der: bytes) -> int:
    """The RSA modulus that a certificate is for. CertificateError if it is for another kind of key."""
    key = _whole(lambda: x509.load_der_x509_certificate(der).public_key())
    if not isinstance(key, RSAPublicKey):
        raise CertificateError("The endorsement certificate is not for an RSA key.")
    return key.public_numbers().n


def _whole(judged: Callable[[], T]) -> T:
    """What comes out of a foreign certificate, each part of which is read, and may be damaged, when it is asked for."""
    try:
        with warnings.catch_warnings():  # of what a later release of the library will not read
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            return judged()
    except CertificateError:
        raise
    except DAMAGED:
        raise CertificateError("The endorsement certificate is damaged.") from None


def _issued(certificate: x509.Certificate, authority: x509.Certificate, at: datetime | None) -> bool:
    if certificate.issuer != authority.subject:
        return False
    if getattr(certificate.signature_hash_algorithm, "name", "") not in HASHES:
        return False
    try:
        if at is not None:
            _check_valid(authority, at)
        certificate.verify_directly_issued_by(authority)
    except (CertificateError, InvalidSignature):
        return False
    return True


def _check_valid(certificate: x509.Certificate, at: datetime) -> None:
    if not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
        raise CertificateError("The endorsement certificate is not valid at this time.")


def _described(certificate: x509.Certificate) -> dict[str, str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return {}
    found = [each for name in names.get_values_for_type(x509.DirectoryName) for each in name]
    return {NAMES[each.oid.dotted_string]: str(each.value)[:100] for each in found if each.oid.dotted_string in NAMES}


def _in_folder(folder: Path) -> list[x509.Certificate]:
    if not folder.is_dir():
        raise SettingsError(f"{folder}: there is no such folder")
    files = [path for path in sorted(folder.rglob("*")) if path.suffix in SUFFIXES and path.is_file()]
    if len(files) > MAX_FILES:
        raise SettingsError(f"{folder}: there are more than {MAX_FILES} files in it")
    authorities = [each for path in files for each in _in_file(path) if _is_authority(path, each)]
    if not authorities:
        raise SettingsError(f"{folder}: there is no certificate of an authority in it ({', '.join(SUFFIXES)})")
    return authorities


def _in_file(path: Path) -> list[x509.Certificate]:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ValueError("it is too large")
        data = path.read_bytes()
        if b"-----BEGIN CERTIFICATE-----" in data:
            return x509.load_pem_x509_certificates(data)
        return [x509.load_der_x509_certificate(data)]
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: this is no certificate: {error}") from None


def _is_authority(path: Path, certificate: x509.Certificate) -> bool:
    """Whether it may issue certificates (RFC 5280, sections 4.2.1.3 and 4.2.1.9)."""
    try:
        if not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound as error:
        return error.oid == ExtensionOID.KEY_USAGE
    except ValueError as error:
        raise SettingsError(f"{path}: this certificate cannot be read: {error}") from None
