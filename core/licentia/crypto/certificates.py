"""X.509 certificates (RFC 5280) as far as a chain needs them: read strictly, from DER, PEM or a folder."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from asn1crypto import cms, pem, x509

from licentia.crypto.ber import BerError, element, to_der

MAX_FILES = 1000
MAX_FILE_BYTES = 1024 * 1024
SUFFIXES = (".pem", ".crt", ".cer", ".der")

_UNDERSTOOD = frozenset(
    {"basic_constraints", "key_usage", "extended_key_usage", "subject_alt_name", "certificate_policies"}
)
_HASHES = {"sha256_rsa": "sha256", "sha384_rsa": "sha384", "sha512_rsa": "sha512"}


class CertificateError(ValueError):
    """This is no certificate that counts; the message is a clause that says why."""


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """What a certificate says. Nothing of it is verified.

    Attributes:
        subject, issuer: names in DER; equal names are equal bytes here.
        title: the common name of the subject, for people to read.
        signer: issuer and serial number, in DER as CMS names a signer.
        key: SubjectPublicKeyInfo in DER.
        hash_name: the digest of its RSA signature; empty if it is signed in a way that does not count.
        ca, path_length, may_certify: whether it may sign certificates, and how many may follow.
        may_sign, purposes: what the key is for, as names of asn1crypto; no purposes: for all.
        issuer_urls: where its issuer's certificate is said to be (RFC 5280, section 4.2.2.1).
    """

    subject: bytes
    issuer: bytes
    title: str
    signer: bytes
    key: bytes
    not_before: datetime
    not_after: datetime
    dns_names: tuple[str, ...]
    ca: bool
    path_length: int | None
    may_certify: bool
    may_sign: bool
    purposes: tuple[str, ...]
    issuer_urls: tuple[str, ...]
    hash_name: str
    signed: bytes
    signature: bytes


def read(der: bytes) -> Certificate:
    """A certificate from DER.

    Raises:
        CertificateError: it is none, or has a critical extension that is not understood (RFC 5280, section 4.2).
    """
    try:
        if to_der(der) != der:
            raise CertificateError("it is not DER")
        return _read(x509.Certificate.load(der, strict=True))
    except CertificateError:
        raise
    except BerError as error:
        raise CertificateError(f"it is not ASN.1: {error}") from None
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError):
        raise CertificateError("it is no certificate") from None  # all that asn1crypto says of a foreign structure


def _read(certificate: Any) -> Certificate:
    inner = certificate["tbs_certificate"]
    signature = certificate["signature_value"].contents[1:]
    algorithm = inner["signature"].dump()
    if certificate.dump() != element(0x30, inner.dump(), algorithm, element(0x03, b"\0", signature)):
        raise CertificateError("it holds something else than a certificate, its algorithm and its signature")
    unknown = certificate.critical_extensions - _UNDERSTOOD
    if unknown:
        raise CertificateError(f"it has a critical extension that is not understood: {sorted(unknown)[0]}")
    constraints, usage = certificate.basic_constraints_value, certificate.key_usage_value
    uses = frozenset({"digital_signature", "key_cert_sign"} if usage is None else usage.native)
    purposes, names = certificate.extended_key_usage_value, certificate.subject_alt_name_value
    return Certificate(
        subject=inner["subject"].dump(),
        issuer=inner["issuer"].dump(),
        title=str(inner["subject"].native.get("common_name"))[:100],
        signer=cms.IssuerAndSerialNumber({"issuer": inner["issuer"], "serial_number": inner["serial_number"]}).dump(),
        key=inner["subject_public_key_info"].dump(),
        not_before=inner["validity"]["not_before"].native,
        not_after=inner["validity"]["not_after"].native,
        dns_names=tuple(each.native for each in names or () if each.name == "dns_name"),
        ca=constraints is not None and bool(constraints["ca"].native),
        path_length=None if constraints is None else constraints["path_len_constraint"].native,
        may_certify="key_cert_sign" in uses,
        may_sign="digital_signature" in uses,
        purposes=() if purposes is None else tuple(purposes.native),
        issuer_urls=tuple(_issuer_urls(certificate.authority_information_access_value)),
        hash_name=_HASHES.get(certificate["signature_algorithm"]["algorithm"].native, ""),
        signed=inner.dump(),
        signature=signature,
    )


def _issuer_urls(access: Any) -> Iterator[str]:
    for each in access or ():
        if (
            each["access_method"].native == "ca_issuers"
            and each["access_location"].name == "uniform_resource_identifier"
        ):
            # The native form is an IRI, which is another text.
            yield each["access_location"].chosen.contents.decode("ascii")


def unwrapped(data: bytes) -> list[bytes]:
    """The certificates of a file, in DER: one in DER, or any number between the lines of PEM (RFC 7468).

    Raises:
        CertificateError: it is neither.
    """
    if not pem.detect(data):
        return [data]
    try:
        return [der for label, _, der in pem.unarmor(data, multiple=True) if label == "CERTIFICATE"]
    except (ValueError, TypeError):
        raise CertificateError("it is damaged PEM") from None


def in_folder(folder: Path) -> list[tuple[Path, Certificate]]:
    """Every certificate below a folder, with its file; other files are left alone.

    Raises:
        OSError: the folder or a file cannot be read.
        CertificateError: a file of certificates is damaged; the message names it.
    """
    files = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES and path.is_file()]
    if not folder.is_dir():
        raise NotADirectoryError(20, "there is no such folder", str(folder))
    if len(files) > MAX_FILES:
        raise CertificateError(f"{folder} holds more than {MAX_FILES} files")
    found = []
    for path in files:
        try:
            if path.stat().st_size > MAX_FILE_BYTES:
                raise CertificateError("it is too large")
            found += [(path, read(der)) for der in unwrapped(path.read_bytes())]
        except CertificateError as error:
            raise CertificateError(f"{path}: {error}") from None
    return found
