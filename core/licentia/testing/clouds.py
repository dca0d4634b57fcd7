"""Clouds of a test's own: they sign what AWS, Azure and Google Cloud sign, for machines that do not exist.

Each writes a folder for the setting `trust`, with which the server half of its binding believes it.
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID
from joserfc import jwt
from joserfc.jwk import RSAKey

LIFE = timedelta(hours=6)


def key(number: int, bits: int = 2048) -> RSAPrivateKey:
    """An RSA key of this run; the same number and size give the same key."""
    return _key(number, bits)


@cache
def _key(number: int, bits: int) -> RSAPrivateKey:
    return generate_private_key(65537, bits)


def certificate(
    subject: str,
    number: int,
    *,
    issuer: str = "",
    issuer_number: int | None = None,
    ca: bool = False,
    hosts: tuple[str, ...] = (),
    begins: datetime | None = None,
    days: int = 365,
    bits: int = 2048,
    path_length: int | None = None,
    issuer_url: str = "",
) -> x509.Certificate:
    """A certificate for the key of this number, signed by that of `issuer_number`; without one by itself."""
    begins = begins or datetime.now(UTC) - timedelta(days=30)
    signer = key(number, bits) if issuer_number is None else key(issuer_number)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer or subject))
        .public_key(key(number, bits).public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=path_length), critical=True)
        .add_extension(_usage(ca), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key(number, bits).public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if hosts:
        names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
        purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        builder = builder.add_extension(names, critical=False).add_extension(purposes, critical=False)
    if issuer_url:
        where = x509.UniformResourceIdentifier(issuer_url)
        access = x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, where)
        builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
    return builder.sign(signer, SHA256())


class FakeAws:
    """A region of AWS with a key of its own."""

    def __init__(self, trust: Path, region: str = "xx-test-1", number: int = 1) -> None:
        self.region, self._number = region, number
        self._certificate = certificate(f"EC2 {region}", number)
        write(trust / f"{region}.pem", self._certificate)

    def document(self, instance_id: str, **facts: Any) -> bytes:
        """The signed identity document of an instance, as base64."""
        content = {
            "accountId": "123456789012",
            "availabilityZone": f"{self.region}a",
            "imageId": "ami-0123456789abcdef0",
            "instanceId": instance_id,
            "instanceType": "t3.micro",
            "pendingTime": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "region": self.region,
            "version": "2017-09-30",
        }
        options = [pkcs7.PKCS7Options.Binary, pkcs7.PKCS7Options.NoCerts]
        return base64.encodebytes(signed(content | facts, self._certificate, self._number, options))


class FakeAzure:
    """A metadata service of Azure, under a root, and an authority below it, of its own."""

    def __init__(self, trust: Path, hosts: tuple[str, ...] = ("metadata.azure.com", "testland.metadata.azure.com")):
        self.root = certificate("Root", 11, ca=True)
        self.authority = certificate("Authority", 12, ca=True, issuer="Root", issuer_number=11)
        self.signer = certificate(hosts[0], 13, issuer="Authority", issuer_number=12, hosts=hosts)
        write(trust / "root.pem", self.root)
        write(trust / "authority.pem", self.authority)

    def document(self, vm_id: str, nonce: str = "", **facts: Any) -> bytes:
        """The attested document of a virtual machine, as the JSON that the service answers."""
        created = datetime.now(UTC).replace(microsecond=0)
        expires = created + LIFE
        content = {
            "nonce": nonce or f"{expires:%Y%m%d-%H%M%S}",
            "sku": "24_04-lts",
            "subscriptionId": "00000000-0000-0000-0000-000000000001",
            "timeStamp": {
                "createdOn": f"{created:%m/%d/%y %H:%M:%S -0000}",
                "expiresOn": f"{expires:%m/%d/%y %H:%M:%S -0000}",
            },
            "vmId": vm_id,
        }
        options = [pkcs7.PKCS7Options.Binary, pkcs7.PKCS7Options.NoAttributes]
        signature = signed(content | facts, self.signer, 13, options)
        return json.dumps({"encoding": "pkcs7", "signature": base64.b64encode(signature).decode()}).encode()


class FakeGcp:
    """A Google with a key of its own."""

    def __init__(self, trust: Path, kid: str = "key-1", number: int = 21) -> None:
        self._key = RSAKey.import_key(key(number), {"kid": kid, "use": "sig"})
        trust.mkdir(parents=True, exist_ok=True)
        keys = {"keys": [self._key.as_dict(private=False)]}
        (trust / "keys.json").write_text(json.dumps(keys), "utf-8")

    def token(self, instance_id: str, audience: str, *, header: dict[str, Any] | None = None, **facts: Any) -> bytes:
        """The identity token of a virtual machine, valid for an hour."""
        now = int(datetime.now(UTC).timestamp())
        machine = {
            "instance_id": instance_id,
            "instance_name": "instance-1",
            "project_id": "test-project",
            "project_number": 1,
            "zone": "testland1-b",
        }
        claims = {
            "iss": "https://accounts.google.com",
            "aud": audience,
            "iat": now,
            "exp": now + 3600,
            "sub": "1",
            "google": {"compute_engine": machine},
        }
        head = {"alg": "RS256", "kid": self._key.kid, "typ": "JWT"} | (header or {})
        return jwt.encode(head, claims | facts, self._key, algorithms=[head["alg"]]).encode()


def signed(
    content: dict[str, Any], by: x509.Certificate, number: int, options: list[pkcs7.PKCS7Options], bits: int = 2048
) -> bytes:
    """JSON as CMS SignedData in DER, signed by the key of this number, whose certificate is `by`."""
    builder = pkcs7.PKCS7SignatureBuilder().set_data(json.dumps(content).encode())
    return builder.add_signer(by, key(number, bits), SHA256()).sign(Encoding.DER, options)


def write(file: Path, written: x509.Certificate) -> None:
    """Write a certificate as PEM; its folder is made if it is not there."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(written.public_bytes(Encoding.PEM))


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _usage(ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )
