"""The server half of tpm without a TPM: keys, quotes and certificates that it has to tell apart."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.kdf.kbkdf import KBKDFHMAC, CounterLocation, Mode
from hypothesis import given, settings
from hypothesis import strategies as st

from licentia.bindings import Challenge, Identity, ServerHalf
from licentia.crypto.ber import element
from licentia.errors import BindingEvidenceInvalid
from licentia.settings import SettingsError
from licentia_plugins.bindings.tpm import Tpm, credential, structures
from licentia_plugins.bindings.tpm.messages import answer_to
from licentia_plugins.bindings.tpm.settings import DeviceSettings, TpmSettings
from licentia_plugins.bindings.tpm.structures import StructureError

NONCE = "n" * 32
SECRET = bytes(range(32))
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
EK_CERTIFICATE = x509.ObjectIdentifier("2.23.133.8.1")
ENDORSEMENT = rsa.generate_private_key(65537, 2048)
SIGNING = ec.generate_private_key(ec.SECP256R1())
AUTHORITY = ec.generate_private_key(ec.SECP384R1())
OTHER_AUTHORITY = rsa.generate_private_key(65537, 2048)


def sized(data: bytes) -> bytes:
    """Bytes with their length before them."""
    return struct.pack(">H", len(data)) + data


def modulus_of(key: rsa.RSAPrivateKey) -> bytes:
    """The modulus, big-endian."""
    return key.public_key().public_numbers().n.to_bytes(256, "big")


def point_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Both coordinates with their lengths."""
    numbers = key.public_key().public_numbers()
    return sized(numbers.x.to_bytes(32, "big")) + sized(numbers.y.to_bytes(32, "big"))


def quoted(qualifying_data: bytes, head: bytes = structures.QUOTE_HEAD, registers: int = 0, tail: bytes = b"") -> bytes:
    """A quote, as a TPM makes it."""
    signer = sized(b"\x00\x0b" + bytes(32))
    clock = struct.pack(">QIIB", 99, 1, 2, 1)
    return head + signer + sized(qualifying_data) + clock + struct.pack(">QI", 7, registers) + sized(bytes(32)) + tail


def signed(data: bytes, key: ec.EllipticCurvePrivateKey = SIGNING) -> bytes:
    """A signature, as a TPM writes it."""
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
    return bytes.fromhex("0018000b") + sized(r.to_bytes(32, "big")) + sized(s.to_bytes(32, "big"))


ENDORSEMENT_PUBLIC = structures.ENDORSEMENT_TEMPLATE + sized(modulus_of(ENDORSEMENT))
IDENTITY_PUBLIC = structures.IDENTITY_TEMPLATE + point_of(SIGNING)


def evidence(**changes: bytes) -> bytes:
    """Evidence that holds, but for what is given; a `quote` that is given is signed."""
    quote = changes.get("quote", quoted(answer_to(NONCE, changes.get("endorsement_key", ENDORSEMENT_PUBLIC))))
    parts = {
        "endorsement_key": ENDORSEMENT_PUBLIC,
        "endorsement_certificate": b"",
        "identity_key": IDENTITY_PUBLIC,
        "quote": quote,
        "signature": signed(quote),
    }
    return json.dumps({"v": 1} | {n: base64.b64encode(part).decode() for n, part in (parts | changes).items()}).encode()


def named(name: str) -> x509.Name:
    """A name; its parts, if there are several with `+` between, are in one set."""
    kinds = (x509.NameOID.COMMON_NAME, x509.NameOID.ORGANIZATION_NAME)
    parts = [x509.NameAttribute(kind, part) for kind, part in zip(kinds, name.split("+"), strict=False)]
    return x509.Name([x509.RelativeDistinguishedName(parts)])


def certificate(
    subject: str = "",
    issuer: str = "maker",
    signer: Any = AUTHORITY,
    key: Any = ENDORSEMENT,
    purpose: x509.ObjectIdentifier | None = EK_CERTIFICATE,
    until: datetime = NOW + timedelta(days=1),
    ca: bool | None = None,
    extra: x509.ExtensionType | None = None,
    digest: hashes.HashAlgorithm = hashes.SHA256(),  # noqa: B008 - it has no state
) -> x509.Certificate:
    """A certificate for an endorsement key by a trusted maker, but for what is given."""
    parts = [x509.NameAttribute(x509.ObjectIdentifier("2.23.133.2.1"), "id:49465800")]
    builder = (
        x509.CertificateBuilder(named(issuer), named(subject) if subject else x509.Name([]), key.public_key(), 7)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(until)
        .add_extension(x509.SubjectAlternativeName([x509.DirectoryName(x509.Name(parts))]), critical=True)
    )
    if purpose is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    if extra is not None:
        builder = builder.add_extension(extra, critical=True)
    return builder.sign(signer, digest)


def der(certificate: x509.Certificate) -> bytes:
    """The certificate in DER."""
    return certificate.public_bytes(serialization.Encoding.DER)


def trusting(folder: Path, *authorities: x509.Certificate, **settings: Any) -> ServerHalf:
    """A server that trusts these authorities: the first in PEM, the others in DER."""
    for number, authority in enumerate(authorities):
        data = der(authority) if number else authority.public_bytes(serialization.Encoding.PEM)
        (folder / f"{number}.crt").write_bytes(data)
    return Tpm("tpm", {"trust": str(folder)} | settings).server()


def authority(name: str = "maker", key: Any = AUTHORITY, **changes: Any) -> x509.Certificate:
    """The certificate of an authority."""
    given: dict[str, Any] = {"ca": True, "purpose": None} | changes
    return certificate(subject=name, issuer=name, signer=key, key=key, **given)


@pytest.fixture
def server() -> ServerHalf:
    """A server that wants no certificate."""
    return Tpm("tpm", {"require_ek_certificate": False}).server()


async def identity(server: ServerHalf, given: bytes, at: datetime = NOW) -> Identity:
    """What evidence proves."""
    return await server.verify(given, Challenge(nonce=NONCE, at=at))


async def test_a_quote_by_the_key_holds(server: ServerHalf) -> None:
    """What the name is: the digest of the key, as the TPM itself names it."""
    assert await identity(server, evidence()) == Identity(
        name="000b" + hashlib.sha256(IDENTITY_PUBLIC).hexdigest(),
        attributes={
            "endorsement_key": hashlib.sha256(ENDORSEMENT_PUBLIC).hexdigest(),
            "firmware": "0000000000000007",
        },
        fresh=True,
        weak=True,
    )


ANSWER = answer_to(NONCE, ENDORSEMENT_PUBLIC)
ANOTHER_PUBLIC = structures.ENDORSEMENT_TEMPLATE + sized(modulus_of(OTHER_AUTHORITY))
NOT_FIXED = structures.IDENTITY_TEMPLATE.replace(bytes.fromhex("00050472"), bytes.fromhex("00050470"))
NOT_RESTRICTED = structures.IDENTITY_TEMPLATE.replace(bytes.fromhex("00050472"), bytes.fromhex("00040472"))
DUPLICABLE = structures.ENDORSEMENT_TEMPLATE.replace(bytes.fromhex("000300b2"), bytes.fromhex("000300b0"))
NO_POLICY = structures.ENDORSEMENT_TEMPLATE.replace(bytes.fromhex("00208371"), bytes.fromhex("00208372"))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"quote": quoted(answer_to("m" * 32, ENDORSEMENT_PUBLIC))}, "another request"),
        ({"quote": quoted(NONCE.encode())}, "another request"),
        ({"quote": quoted(b"")}, "another request"),
        ({"quote": quoted(ANSWER, head=bytes.fromhex("ff5443478017"))}, "The quote is not"),
        ({"quote": quoted(ANSWER, head=bytes.fromhex("000000008018"))}, "The quote is not"),
        ({"quote": quoted(ANSWER, registers=1)}, "of registers"),
        ({"quote": quoted(ANSWER, tail=b"\x00")}, "The quote is not"),
        ({"quote": quoted(ANSWER)[:-40]}, "The quote is not"),
        ({"quote": b""}, "The quote is not"),
        ({"signature": signed(b"another text")}, "signature does not hold"),
        ({"signature": signed(quoted(ANSWER), ec.generate_private_key(ec.SECP256R1()))}, "signature does not hold"),
        ({"signature": bytes.fromhex("0018000b") + sized(bytes(32)) * 2}, "signature does not hold"),
        ({"signature": bytes.fromhex("0014000b") + sized(bytes(256))}, "The signature is not"),
        ({"signature": signed(quoted(ANSWER)) + b"\x00"}, "The signature is not"),
        ({"identity_key": NOT_FIXED + point_of(SIGNING)}, "The signing key is not"),
        ({"identity_key": NOT_RESTRICTED + point_of(SIGNING)}, "The signing key is not"),
        ({"identity_key": structures.IDENTITY_TEMPLATE + sized(b"\x01") * 2}, "signature does not hold"),
        ({"identity_key": structures.IDENTITY_TEMPLATE + sized(bytes(33)) * 2}, "The signing key is not"),
        ({"identity_key": structures.IDENTITY_TEMPLATE + sized(b"") * 2}, "signature does not hold"),
        ({"identity_key": ENDORSEMENT_PUBLIC}, "The signing key is not"),
        ({"endorsement_key": DUPLICABLE + sized(modulus_of(ENDORSEMENT))}, "The endorsement key is not"),
        ({"endorsement_key": NO_POLICY + sized(modulus_of(ENDORSEMENT))}, "The endorsement key is not"),
        ({"endorsement_key": structures.ENDORSEMENT_TEMPLATE + sized(bytes(256))}, "no RSA key of 2048 bits"),
        (
            {"endorsement_key": structures.ENDORSEMENT_TEMPLATE + sized(b"\x80" + bytes(126) + b"\x01")},
            "no RSA key of 2048 bits",
        ),
        ({"endorsement_key": structures.ENDORSEMENT_TEMPLATE + sized(b"\xff" * 256)}, "no RSA key of 2048 bits"),
        ({"endorsement_key": ANOTHER_PUBLIC, "quote": quoted(ANSWER)}, "another request"),
        ({"endorsement_key": ENDORSEMENT_PUBLIC + b"\x00"}, "The endorsement key is not"),
        ({"endorsement_certificate": b"\x30" * 9000}, "no evidence"),
    ],
)
async def test_what_a_tpm_would_not_say_is_refused(server: ServerHalf, changes: dict[str, bytes], reason: str) -> None:
    """Keys that could leave a TPM or sign anything, quotes of other things, and signatures that do not hold."""
    with pytest.raises(BindingEvidenceInvalid, match=reason):
        await identity(server, evidence(**changes))


async def test_a_maker_vouches_with_any_usual_key(tmp_path: Path) -> None:
    """Authorities with RSA and with ECDSA keys, in PEM and in DER; what the certificate says of the TPM is told."""
    server = trusting(tmp_path, authority(), authority("second", OTHER_AUTHORITY))
    for vouching in (certificate(), certificate(issuer="second", signer=OTHER_AUTHORITY)):
        proven = await identity(server, evidence(endorsement_certificate=der(vouching)))
        assert not proven.weak
        assert proven.attributes["manufacturer"] == "id:49465800"


ODD = "Odd TPM Root+Odd Technology"


def oddly(given: x509.Certificate) -> bytes:
    """The same, as a maker of TPMs writes it: the parts of a name in the other order, and texts in ASCII."""
    parts = named(ODD).public_bytes()[4:]
    first, second = parts[: 2 + parts[1]], parts[2 + parts[1] :]
    inner = given.tbs_certificate_bytes.replace(first + second, second + first)
    inner = inner.replace(b"\x0c\x0bid:49465800", b"\x13\x0bid:49465800")
    signature = OTHER_AUTHORITY.sign(inner, padding.PKCS1v15(), hashes.SHA256())
    return element(0x30, inner, bytes.fromhex("300d06092a864886f70d01010b0500"), element(0x03, b"\0", signature))


async def test_a_maker_that_writes_certificates_oddly_vouches_too(tmp_path: Path) -> None:
    """Names whose parts are in no order, as in all of Nuvoton's, and texts of another kind than the profile wants."""
    (tmp_path / "ODD.CRT").write_bytes(oddly(authority(ODD, OTHER_AUTHORITY)))
    server = Tpm("tpm", {"trust": str(tmp_path)}).server()
    odd = oddly(certificate(issuer=ODD, signer=OTHER_AUTHORITY))
    proven = await identity(server, evidence(endorsement_certificate=odd))
    assert proven.attributes["manufacturer"] == "id:49465800"
    with pytest.raises(BindingEvidenceInvalid, match="not issued by a maker"):
        await identity(server, evidence(endorsement_certificate=odd[:-1] + bytes([odd[-1] ^ 1])))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: certificate(signer=ec.generate_private_key(ec.SECP384R1())), "not issued by a maker"),
        (lambda: certificate(issuer="stranger"), "not issued by a maker"),
        (lambda: certificate(digest=hashes.SHA224()), "not issued by a maker"),
        (lambda: certificate(issuer="no authority"), "not issued by a maker"),
        (lambda: certificate(issuer="no signer"), "not issued by a maker"),
        (lambda: certificate(issuer="expired"), "not issued by a maker"),
        (lambda: certificate(until=NOW - timedelta(hours=1)), "not valid at this time"),
        (lambda: certificate(purpose=None), "does not say what"),
        (lambda: certificate(purpose=x509.ExtendedKeyUsageOID.SERVER_AUTH), "not one for an endorsement key"),
        (lambda: certificate(extra=x509.NameConstraints(None, [x509.DNSName("a")])), "understood: name_constraints"),
        (lambda: certificate(key=OTHER_AUTHORITY), "that of another TPM"),
        (lambda: certificate(key=SIGNING), "not for an RSA key"),
    ],
)
async def test_a_certificate_that_does_not_vouch_is_refused(
    tmp_path: Path, make: Callable[[], x509.Certificate], reason: str
) -> None:
    """Another issuer, purpose, time or key: where a certificate is demanded, the evidence proves nothing."""
    others = [
        authority("no authority", ca=False),
        authority("expired", until=NOW - timedelta(hours=1)),
        authority("no signer", extra=_usage(key_cert_sign=False)),
    ]
    server = trusting(tmp_path, authority(), *others)
    with pytest.raises(BindingEvidenceInvalid, match=reason):
        await identity(server, evidence(endorsement_certificate=der(make())))


def _usage(*, key_cert_sign: bool) -> x509.KeyUsage:
    names = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign")
    flags = dict.fromkeys((*names, "encipher_only", "decipher_only"), False)
    return x509.KeyUsage(digital_signature=True, key_cert_sign=key_cert_sign, **flags)


async def test_no_byte_of_a_certificate_may_change(tmp_path: Path) -> None:
    """Every bit of the certificate counts, and damaged ones are refused in our own words."""
    server, good = trusting(tmp_path, authority()), der(certificate())
    for position in range(len(good)):
        changed = good[:position] + bytes([good[position] ^ 1 << position % 8]) + good[position + 1 :]
        with pytest.raises(BindingEvidenceInvalid):
            await identity(server, evidence(endorsement_certificate=changed))


async def test_where_it_is_not_demanded_another_tpms_certificate_is_still_false(tmp_path: Path) -> None:
    """An unknown maker makes the evidence weak; a certificate that is lent makes it false."""
    server = trusting(tmp_path, authority(), require_ek_certificate=False)
    assert (await identity(server, evidence(endorsement_certificate=der(certificate(issuer="stranger"))))).weak
    with pytest.raises(BindingEvidenceInvalid, match="another TPM"):
        await identity(server, evidence(endorsement_certificate=der(certificate(key=OTHER_AUTHORITY))))


def test_a_credential_is_what_the_specification_says() -> None:
    """Opened by another implementation of RSA-OAEP, of the key derivation, AES-CFB and HMAC, it is the secret."""
    name = structures.name_of(IDENTITY_PUBLIC)
    made = credential.make(ENDORSEMENT.public_key().public_numbers().n, name, SECRET)
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), b"IDENTITY\x00")
    seed = ENDORSEMENT.decrypt(made.seed, oaep)
    assert len(seed) == 32
    check = hmac.HMAC(derived(seed, b"INTEGRITY", b"", 32), hashes.SHA256())
    check.update(made.identity + name)
    check.verify(made.integrity)
    opener = Cipher(algorithms.AES(derived(seed, b"STORAGE", name, 16)), CFB(bytes(16))).decryptor()
    assert opener.update(made.identity) == sized(SECRET)


def derived(key: bytes, label: bytes, context: bytes, length: int) -> bytes:
    """KDFa by the SP 800-108 of another library."""
    where = CounterLocation.BeforeFixed
    return KBKDFHMAC(hashes.SHA256(), Mode.CounterMode, length, 4, 4, where, label, context, None).derive(key)


@given(
    st.sampled_from(
        [structures.endorsement_modulus, structures.identity_point, structures.quote, structures.signature]
    ),
    st.one_of(
        st.binary(max_size=400),
        st.sampled_from([ENDORSEMENT_PUBLIC, IDENTITY_PUBLIC, quoted(ANSWER), signed(b"")]).flatmap(
            lambda good: st.tuples(st.integers(0, len(good)), st.binary(max_size=8)).map(
                lambda cut: good[: cut[0]] + cut[1] + good[cut[0] + len(cut[1]) :]
            )
        ),
    ),
)
@settings(max_examples=300, deadline=None)
def test_foreign_bytes_are_read_or_refused(parse: Callable[[bytes], object], data: bytes) -> None:
    """Whatever the bytes are, a structure comes out of them, or the one refusal."""
    with contextlib.suppress(StructureError):
        assert parse(data) is not None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "`trust`.*is missing"),
        ({"trust": "/nowhere"}, "/nowhere: there is no such folder"),
        ({"trust": ""}, r"\$.trust"),
        ({"require_ek_certificate": "no"}, "require_ek_certificate"),
        ({"require_ek_certificate": False, "colour": 1}, "unknown field `colour`"),
    ],
)
def test_a_wrong_setting_is_named(given: dict[str, Any], words: str) -> None:
    """What is missing, unknown or wrong stops the start with a sentence that names it."""
    with pytest.raises(SettingsError, match=words):
        Tpm("tpm", given).server()


def test_the_page_lists_every_setting() -> None:
    """The tables of docs/plugins/tpm.md are the settings of the code, in its order."""
    page = (Path(__file__).parents[2] / "docs" / "plugins" / "tpm.md").read_text("utf-8")
    names = [field.name for table in (TpmSettings, DeviceSettings) for field in msgspec.structs.fields(table)]
    assert re.findall(r"^\| `(\w+)` \|", page, flags=re.MULTILINE) == names
    assert f"| `{DeviceSettings().tcti}` |" in page


def test_a_folder_without_authorities_is_refused(tmp_path: Path) -> None:
    """A folder that could vouch for nothing, or a damaged file in it, is found at the start."""
    with pytest.raises(SettingsError, match="no certificate of an authority"):
        trusting(tmp_path, certificate(subject="leaf", ca=False))
    (tmp_path / "damaged.crt").write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    with pytest.raises(SettingsError, match=r"damaged\.crt: it is"):
        trusting(tmp_path, authority())
