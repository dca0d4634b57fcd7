"""Signed documents are verified as OpenSSL does, and refused for every change and every weak algorithm."""

from __future__ import annotations

import base64
import json
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from Crypto.PublicKey import RSA
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs7,
)
from hypothesis import given
from hypothesis import strategies as st

from licentia.crypto import cms
from licentia.crypto.ber import element
from licentia.crypto.certificates import read, unwrapped
from licentia.crypto.cms import CmsError
from licentia.testing.clouds import certificate, key

Options = pkcs7.PKCS7Options
CONTENT = b'{"instanceId": "i-0123456789abcdef0"}'
WEST = "us-west-2"


@cache
def signer() -> x509.Certificate:
    """The certificate of our own documents' signer."""
    return certificate("signer", 1)


def spki(cert: x509.Certificate | None = None) -> bytes:
    """The key of a certificate, as the verifier takes it."""
    return (cert or signer()).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def region_keys(data: Path) -> dict[str, bytes]:
    """The RSA-2048 key of each region of AWS."""
    files = sorted((data / "aws/certs/rsa2048").glob("*.pem"))
    return {file.stem: read(unwrapped(file.read_bytes())[0]).key for file in files}


def sign(*options: Options, hash_: Any = None, content: bytes = CONTENT) -> bytes:
    """A document that the other library has signed."""
    builder = pkcs7.PKCS7SignatureBuilder().set_data(content).add_signer(signer(), key(1), hash_ or SHA256())
    return builder.sign(Encoding.DER, [Options.Binary, *options])


def openssl(*arguments: str, given: bytes = b"") -> bytes | None:
    """What OpenSSL answers; None if it refuses."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("there is no openssl here to compare with")
    done = subprocess.run([program, *arguments], input=given, capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else None


def accepted(data: bytes, public: bytes) -> cms.SignedData | None:
    """The document taken apart, if this key has signed it."""
    try:
        signed = cms.parse(data)
        signed.verify(public)
    except CmsError:
        return None
    return signed


def aws(data: Path) -> bytes:
    """A real document of AWS."""
    return cms.from_text((data / "aws/teleport_iid1.rsa2048.b64").read_bytes())


def azure(data: Path) -> bytes:
    """A real document of Azure."""
    attested = json.loads((data / "azure/rhsm.attested.json").read_text("utf-8"))
    return cms.from_text(attested["signature"].encode())


def test_a_document_of_aws_holds_for_its_region_only(shared_data: Path) -> None:
    """Of all regions' keys exactly one has signed it, at the time that it names."""
    document, keys = aws(shared_data), region_keys(shared_data)
    assert [region for region, public in keys.items() if accepted(document, public)] == [WEST]
    signed = cms.parse(document)
    assert json.loads(signed.content)["region"] == WEST
    assert signed.signed_at == datetime(2021, 9, 3, 21, 25, 47, tzinfo=UTC)
    assert signed.certificates == ()


def test_openssl_reads_the_same(shared_data: Path, tmp_path: Path) -> None:
    """OpenSSL verifies the same documents, and gives the same content."""
    pem = shared_data / f"aws/certs/rsa2048/{WEST}.pem"
    arguments = ["cms", "-verify", "-inform", "DER", "-binary", "-noverify", "-nointern", "-certfile", str(pem)]
    assert openssl(*arguments, given=aws(shared_data)) == cms.parse(aws(shared_data)).content
    document = azure(shared_data)
    (der,) = cms.parse(document).certificates
    signed = accepted(document, read(der).key)
    assert signed is not None
    arguments = ["smime", "-verify", "-inform", "DER", "-binary", "-noverify"]
    assert openssl(*arguments, given=document) == signed.content


@pytest.mark.parametrize("options", [(), ("-noattr",), ("-nocerts",), ("-md", "sha384"), ("-md", "sha512")])
def test_what_openssl_signs_holds_here(options: tuple[str, ...], tmp_path: Path) -> None:
    """With and without attributes and certificates, with every digest that counts."""
    assert accepted(signed_by_openssl(tmp_path, *options), spki()) is not None


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("-md", "sha1"), "only SHA-2 counts"),
        (("-md", "sha224"), "only SHA-2 counts"),
        (("-keyopt", "rsa_padding_mode:pss"), "parameters"),
        (("-keyid",), "another version"),
    ],
    ids=["sha1", "sha224", "pss", "keyid"],
)
def test_what_openssl_signs_in_another_way_is_refused(options: tuple[str, ...], reason: str, tmp_path: Path) -> None:
    """The reason is told."""
    with pytest.raises(CmsError, match=reason):
        cms.parse(signed_by_openssl(tmp_path, *options))


def signed_by_openssl(folder: Path, *options: str) -> bytes:
    """A document that OpenSSL has signed."""
    pem, private = folder / "signer.pem", folder / "key.pem"
    pem.write_bytes(signer().public_bytes(Encoding.PEM))
    private.write_bytes(key(1).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    arguments = ["cms", "-sign", "-binary", "-nodetach", "-outform", "DER", "-signer", str(pem), "-inkey", str(private)]
    signed = openssl(*arguments, *options, given=CONTENT)
    assert signed
    return signed


@pytest.mark.parametrize("hash_", [SHA256(), SHA384(), SHA512()])
@pytest.mark.parametrize("options", [(), (Options.NoCerts,), (Options.NoAttributes,)])
def test_what_cryptography_signs_holds_here(hash_: Any, options: tuple[Options, ...]) -> None:
    """The other library's documents are verified, with their content."""
    signed = accepted(sign(*options, hash_=hash_), spki())
    assert signed is not None
    assert signed.content == CONTENT


def test_every_changed_byte_is_noticed(shared_data: Path) -> None:
    """In a document of each kind no bit of any byte can be flipped; which bits are tried moves from byte to byte."""
    west, real, attested = region_keys(shared_data)[WEST], aws(shared_data), azure(shared_data)
    authority = read(cms.parse(attested).certificates[0])
    survivors = []
    for name, document, public, times in (("aws", real, west, 3), ("azure", attested, authority.key, 1)):
        said = cms.parse(document)
        for place in range(len(document)):
            for bit in (1 << place % 8, 1 << (place * 5 + 3) % 8, 0xFF)[:times]:
                changed = bytearray(document)
                changed[place] ^= bit
                found = accepted(bytes(changed), public)
                # Who signs is for the caller to compare, and its certificate has a signature of its own.
                if found and found.signer == said.signer and found.certificates == said.certificates:
                    survivors.append((name, place, bit))
    assert survivors == []


Tree = list[Any]


def taken_apart(der: bytes) -> list[Tree]:
    """The elements of DER as tags with contents, each as a list that can be changed."""
    found, place = [], 0
    while place < len(der):
        head = 2 + (der[place + 1] & 0x7F if der[place + 1] > 0x80 else 0)
        size = int.from_bytes(der[place + 2 : place + head], "big") if head > 2 else der[place + 1]
        contents = der[place + head : place + head + size]
        found.append([der[place], taken_apart(contents) if der[place] & 0x20 else contents])
        place += head + size
    return found


def put_together(tree: Tree) -> bytes:
    """And back."""
    return element(tree[0], *([tree[1]] if isinstance(tree[1], bytes) else map(put_together, tree[1])))


def constructed(tree: Tree) -> Iterator[Tree]:
    """Every element that holds others."""
    if isinstance(tree[1], list):
        yield tree
        for each in tree[1]:
            yield from constructed(each)


@pytest.mark.parametrize("options", [(Options.NoCerts,), (Options.NoCerts, Options.NoAttributes)])
@pytest.mark.parametrize("more", [b"\x05\x00", b"\xa0\x00", b"\xa1\x02\x31\x00"], ids=["null", "first", "second"])
def test_nothing_can_be_added(options: tuple[Options, ...], more: bytes) -> None:
    """Neither before, between nor behind the parts of any element; nor can one be doubled, or the first left out."""
    (tree,) = taken_apart(sign(*options))
    places = list(constructed(tree))
    assert put_together(tree) == sign(*options)
    assert len(places) > 10
    (added,), said = taken_apart(more), cms.parse(sign(*options)).signer
    for place in places:
        whole = place[1]
        for at in range(len(whole) + 1):
            changes = [[*whole[:at], added, *whole[at:]]]
            if at < len(whole):
                # An algorithm may be written with NULL or without.
                changes += [[*whole[: at + 1], *whole[at:]]] + ([[*whole[:at], *whole[at + 1 :]]] if at == 0 else [])
            for changed in changes:
                place[1] = changed
                found = accepted(put_together(tree), spki())
                assert found is None or found.signer != said  # which is for the caller to compare
        place[1] = whole


def test_no_part_of_a_document_is_one(shared_data: Path) -> None:
    """Cut anywhere it is refused; also with something after it."""
    document = aws(shared_data)
    for end in range(len(document)):
        with pytest.raises(CmsError):
            cms.parse(document[:end])
    with pytest.raises(CmsError):
        cms.parse(document + b"\0")


def test_other_content_is_not_what_was_signed() -> None:
    """Content exchanged for one of the same length fails by its digest, or by its signature."""
    for options in ((), (Options.NoAttributes,)):
        forged = sign(*options).replace(b"i-0123456789abcdef0", b"i-0123456789abcdef1")
        with pytest.raises(CmsError):
            cms.parse(forged).verify(spki())


def test_another_key_has_not_signed() -> None:
    """Neither one of the same size nor one of another."""
    for other in (certificate("signer", 2), certificate("signer", 3, bits=3072)):
        with pytest.raises(CmsError, match="does not hold"):
            cms.parse(sign()).verify(spki(other))


def test_a_short_key_does_not_count() -> None:
    """RSA-1024 is refused, even if its signature holds."""
    weak = certificate("weak", 1, bits=1024)
    builder = pkcs7.PKCS7SignatureBuilder().set_data(CONTENT).add_signer(weak, key(1, 1024), SHA256())
    signed = cms.parse(builder.sign(Encoding.DER, [Options.Binary]))
    with pytest.raises(CmsError, match="1024 bits"):
        signed.verify(spki(weak))
    with pytest.raises(CmsError, match="RSA-1024"):
        signed.verify(spki())


def test_other_kinds_of_signature_do_not_count() -> None:
    """ECDSA, two signers, no content inside, no signature at all."""
    curve = ec.generate_private_key(ec.SECP256R1())
    elliptic = x509.CertificateBuilder().subject_name(signer().subject).issuer_name(signer().subject)
    elliptic = elliptic.not_valid_before(signer().not_valid_before_utc).not_valid_after(signer().not_valid_after_utc)
    cert = elliptic.serial_number(1).public_key(curve.public_key()).sign(curve, SHA256())
    begun = pkcs7.PKCS7SignatureBuilder().set_data(CONTENT)
    twice = begun.add_signer(signer(), key(1), SHA256()).add_signer(certificate("b", 2), key(2), SHA256())
    for data, reason in (
        (begun.add_signer(cert, curve, SHA256()).sign(Encoding.DER, [Options.Binary]), "DSA"),
        (twice.sign(Encoding.DER, [Options.Binary]), "exactly one signer"),
        (sign(Options.DetachedSignature), "no content"),
        (pkcs7.serialize_certificates([signer()], Encoding.DER), "exactly one signer"),
    ):
        with pytest.raises(CmsError, match=reason):
            cms.parse(data)


def test_a_document_signed_with_dsa_is_refused(shared_data: Path) -> None:
    """AWS's older form, DSA with SHA-1, is told by name."""
    with pytest.raises(CmsError, match="DSA"):
        cms.parse(cms.from_text((shared_data / "aws/mozilla_ec2_dsa.pkcs7.pem").read_bytes()))


@pytest.mark.parametrize("wrap", [0, 64, 76])
@pytest.mark.parametrize("label", ["", "PKCS7", "CMS"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_base64_comes_in_several_forms(wrap: int, label: str, newline: str) -> None:
    """With and without line breaks and the lines of PEM."""
    text = base64.b64encode(sign()).decode()
    lines = [text[start : start + wrap] for start in range(0, len(text), wrap)] if wrap else [text]
    if label:
        lines = [f"-----BEGIN {label}-----", *lines, f"-----END {label}-----"]
    assert cms.from_text(newline.join(["", *lines, ""]).encode()) == sign()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n",
        b"====",
        b"QUJ",
        b"QUJD!",
        b"QUJ\x0bD",
        b"QR==",
        b"QUI=QUI=",
        b"\xff\xfe",
        b"-----BEGIN PKCS7-----\nQUJD\n-----END CMS-----",
        b"-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----",
    ],
)
def test_what_is_not_base64_as_it_should_be_is_refused(text: bytes) -> None:
    """Also base64 that decodes but is not the one form of its bytes, so no character can be exchanged."""
    with pytest.raises(CmsError):
        cms.from_text(text)


@given(st.integers(0, 2**32), st.integers(1, 40))
def test_mutations_are_refused_in_words(seed: int, count: int) -> None:
    """Bytes exchanged, doubled or dropped at random: a CmsError, or the same content still signed; never else."""
    source = random.Random(seed)
    document = bytearray(sign(*source.choice([(), (Options.NoAttributes,), (Options.NoCerts,)])))
    for _ in range(count):
        place = source.randrange(len(document))
        match source.randrange(3):
            case 0:
                document[place] = source.randrange(256)
            case 1:
                document[place:place] = document[place : place + source.randrange(8)]
            case 2:
                del document[place : place + source.randrange(4)]
    found = accepted(bytes(document), spki())
    assert found is None or found.content == CONTENT


@given(st.binary(max_size=600))
def test_noise_is_refused_in_words(noise: bytes) -> None:
    """Bytes at random are no document, whatever they look like at the start."""
    head = bytes.fromhex("308006092a864886f70d010702a080")
    for data in (noise, head + noise, head + noise + b"\0\0\0\0"):
        with pytest.raises(CmsError):
            cms.parse(data)


def test_huge_numbers_and_names_take_no_time() -> None:
    """A serial number, an object identifier or a key of tens of thousands of bytes is refused, or read, at once."""
    document = sign()
    for tag in (0x02, 0x06, 0x04):
        blown = document.replace(
            bytes.fromhex("06092a864886f70d010702"), bytes([tag]) + b"\x82\xf0\x00" + b"\x81" * 0xF000
        )
        begun = time.perf_counter()
        with pytest.raises(CmsError):
            cms.parse(blown)
        assert time.perf_counter() - begun < 1
    oversized = RSA.construct(((1 << 12_000) + 1, 65537), consistency_check=False).export_key("DER")
    with pytest.raises(CmsError, match="12001 bits"):
        cms.parse(document).verify(oversized)


def test_a_key_that_takes_long_is_refused() -> None:
    """An exponent of thousands of bits would cost seconds; one of 1 signs anything; a private key is no public one."""
    modulus = key(1).public_key().public_numbers().n
    for exponent in (1, 2**64 + 1, modulus - 2):
        odd = RSA.construct((modulus, exponent), consistency_check=False).export_key("DER")
        with pytest.raises(CmsError, match="key"):
            cms.parse(sign()).verify(odd)
    private = key(1).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(CmsError, match="not a public RSA key"):
        cms.parse(sign()).verify(private)
