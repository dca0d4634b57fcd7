"""Chains of certificates: as cryptography's own verifier judges them, and no cheaper way to a pinned key."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import verification
from hypothesis import given
from hypothesis import strategies as st

from licentia.crypto import chains, cms
from licentia.crypto.certificates import CertificateError, in_folder, read, unwrapped
from licentia.crypto.chains import ChainError, IssuerUnknown, anchor
from licentia.testing.clouds import certificate, key, write

NOW = datetime.now(UTC)
HOST = "metadata.azure.com"


def converted(cert: x509.Certificate) -> Any:
    """Our view of a certificate of the other library."""
    return read(cert.public_bytes(Encoding.DER))


def made(**changes: dict[str, Any]) -> tuple[x509.Certificate, x509.Certificate, x509.Certificate]:
    """A root, an authority below it, and a leaf; each with changes."""
    root = certificate("Root", 31, ca=True, **changes.get("root", {}))
    authority = {"ca": True, "issuer": "Root", "issuer_number": 31} | changes.get("authority", {})
    leaf = {"issuer": "Authority", "issuer_number": 32, "hosts": (HOST,)} | changes.get("leaf", {})
    return root, certificate("Authority", 32, **authority), certificate("leaf", 33, **leaf)


def checked(
    chain: tuple[x509.Certificate, x509.Certificate, x509.Certificate], at: datetime = NOW
) -> tuple[chains.Anchor, tuple[Any, ...]]:
    """What the check says of a root, an authority and a leaf."""
    root, authority, leaf = map(converted, chain)
    return chains.check(leaf, [authority], [anchor(root)], at)


def other_verifier(
    root: x509.Certificate, between: list[x509.Certificate], leaf: x509.Certificate, at: datetime
) -> bool:
    """What cryptography's verifier says of the same chain, as of a TLS server."""
    builder = verification.PolicyBuilder().store(verification.Store([root])).time(at)
    try:
        builder.build_server_verifier(x509.DNSName(HOST)).verify(leaf, between)
    except verification.VerificationError:
        return False
    return True


def test_a_good_chain_leads_to_its_root() -> None:
    """Through the authority in between, also if there are others of no use."""
    root, authority, leaf = made()
    found, path = checked((root, authority, leaf))
    assert found.title == "Root"
    assert path == (converted(authority),)
    noise = [converted(certificate(f"Other {number}", 34, ca=True)) for number in range(5)]
    assert chains.check(converted(leaf), [*noise, converted(authority)], [anchor(converted(root))], NOW) == (
        found,
        path,
    )


def test_a_pinned_authority_ends_the_chain() -> None:
    """An authority may be an anchor itself; no root is needed then."""
    _, authority, leaf = made()
    pinned = anchor(converted(authority))
    assert chains.check(converted(leaf), [], [pinned], NOW) == (pinned, ())


LATER = {"begins": NOW + timedelta(days=1)}
PAST = {"begins": NOW - timedelta(days=20), "days": 10}
FAULTS: dict[str, tuple[dict[str, dict[str, Any]], str]] = {
    "leaf too early": ({"leaf": LATER}, "'leaf' is valid from"),
    "leaf too late": ({"leaf": PAST}, "'leaf' is valid from"),
    "authority too early": ({"authority": LATER}, "'Authority' is valid from"),
    "authority too late": ({"authority": PAST}, "'Authority' is valid from"),
    "root too late": ({"root": PAST}, "'Root' is valid from"),
    "authority is none": ({"authority": {"ca": False}}, "nobody known"),
    "authority of another root": ({"authority": {"issuer_number": 35}}, "'Authority' is not signed by its issuer"),
    "leaf of another key": ({"leaf": {"issuer_number": 35}}, "'leaf' is not signed by its issuer"),
    "leaf of another name": ({"leaf": {"issuer": "Somebody"}}, "nobody known"),
    "leaf signed by itself": ({"leaf": {"issuer": "", "issuer_number": None}}, "nobody known"),
}


@pytest.mark.parametrize(("changes", "reason"), FAULTS.values(), ids=FAULTS)
def test_one_fault_breaks_the_chain(changes: dict[str, dict[str, Any]], reason: str) -> None:
    """Each is found by this check and by the other library's, and told here."""
    chain = made(**changes)
    with pytest.raises(ChainError, match=reason):
        checked(chain)
    root, authority, leaf = chain
    assert not other_verifier(root, [authority], leaf, NOW) or "root" in changes
    assert other_verifier(made()[0], [made()[1]], made()[2], NOW)


def test_an_authority_with_a_limit_has_none_below_it() -> None:
    """A path length of none forbids a further authority (RFC 5280, section 4.2.1.9)."""
    for limit, good in ((0, False), (1, True)):
        root, authority, _ = made(authority={"path_length": limit})
        below = certificate("Below", 36, ca=True, issuer="Authority", issuer_number=32)
        leaf = certificate("leaf", 33, issuer="Below", issuer_number=36, hosts=(HOST,))
        between = [converted(authority), converted(below)]
        if good:
            chains.check(converted(leaf), between, [anchor(converted(root))], NOW)
        else:
            with pytest.raises(ChainError, match="so many"):
                chains.check(converted(leaf), between, [anchor(converted(root))], NOW)
        assert other_verifier(root, [authority, below], leaf, NOW) == good


def test_a_chain_ends() -> None:
    """One link more than there may be leads nowhere."""
    links = [certificate("A1", 31, ca=True)]
    for number in range(2, 7):
        issuer = f"A{number - 1}"
        links.append(certificate(f"A{number}", 30 + number, ca=True, issuer=issuer, issuer_number=29 + number))
    root, *between = map(converted, links)
    for leaf, good in ((between[chains.MAX_LINKS - 1], True), (between[chains.MAX_LINKS], False)):
        if good:
            assert chains.check(leaf, between, [anchor(root)], NOW)
        else:
            with pytest.raises(ChainError):
                chains.check(leaf, between, [anchor(root)], NOW)


def test_weak_keys_and_foreign_signatures_do_not_count() -> None:
    """An authority with RSA-1024, and one that signs with ECDSA."""
    weak = certificate("Weak", 37, ca=True, bits=1024)
    leaf = certificate("leaf", 33, issuer="Weak", issuer_number=37, hosts=(HOST,))
    with pytest.raises(ChainError, match="1024 bits"):
        chains.check(converted(leaf), [], [anchor(converted(weak))], NOW)
    curve = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder().subject_name(leaf.subject).issuer_name(made()[1].subject).serial_number(1)
    builder = builder.not_valid_before(NOW - timedelta(1)).not_valid_after(NOW + timedelta(1))
    elliptic = builder.public_key(key(33).public_key()).sign(curve, SHA256())
    with pytest.raises(ChainError, match="not signed by RSA"):
        checked((*made()[:2], elliptic))


def test_who_is_missing_is_told_with_where_to_find_it() -> None:
    """The addresses are those of the certificate whose issuer is not at hand."""
    root, authority, leaf = made(
        leaf={"issuer_url": "http://ca.example/authority.crt"}, authority={"issuer_url": "http://ca.example/root.crt"}
    )
    for between, anchors, url in (
        ([], [anchor(converted(root))], "http://ca.example/authority.crt"),
        ([converted(authority)], [], "http://ca.example/root.crt"),
    ):
        with pytest.raises(IssuerUnknown) as unknown:
            chains.check(converted(leaf), between, anchors, NOW)
        assert unknown.value.urls == (url,)


def test_a_maze_of_equal_names_takes_no_time() -> None:
    """Authorities that all certify each other under one name are given up after some signatures."""
    maze = [converted(certificate("Maze", 38, ca=True, issuer="Maze", issuer_number=38)) for _ in range(40)]
    leaf = converted(certificate("leaf", 33, issuer="Maze", issuer_number=38, hosts=(HOST,)))
    begun = time.perf_counter()
    with pytest.raises(ChainError):
        chains.check(leaf, maze, [], NOW)
    assert time.perf_counter() - begun < 1


def test_real_chains_are_judged_as_the_other_verifier_does(shared_data: Path) -> None:
    """The signers of real documents, at times before, within and after: both verifiers say the same."""
    folder = shared_data / "azure/certs"
    everything = [
        cert for file in sorted(folder.glob("*.pem")) for cert in x509.load_pem_x509_certificates(file.read_bytes())
    ]
    roots = [cert for cert in everything if cert.subject == cert.issuer]
    between = [cert for cert in everything if cert.subject != cert.issuer]
    anchors, below = [anchor(converted(cert)) for cert in roots], [converted(cert) for cert in between]
    store, told = verification.Store(roots), []
    for name in ("coder_regular", "rhsm"):
        attested = json.loads((shared_data / f"azure/{name}.attested.json").read_text("utf-8"))
        (der,) = cms.parse(cms.from_text(attested["signature"].encode())).certificates
        for year, month in ((2019, 6), (2020, 12), (2021, 1), (2021, 12), (2022, 4), (2023, 1), (2023, 3), (2026, 11)):
            at = datetime(year, month, 15, tzinfo=UTC)
            try:
                chains.check(read(der), below, anchors, at)
                ours = True
            except ChainError:
                ours = False
            verifier = verification.PolicyBuilder().store(store).time(at).build_server_verifier(x509.DNSName(HOST))
            try:
                verifier.verify(x509.load_der_x509_certificate(der), between)
                theirs = True
            except verification.VerificationError:
                theirs = False
            told.append((name, at, ours, theirs))
    assert [each for each in told if each[2] != each[3]] == []
    assert {each[2] for each in told} == {True, False}


def test_no_bit_of_a_certificate_can_be_flipped() -> None:
    """A changed leaf is no certificate any more, or does not lead to the root."""
    root, authority, leaf = made()
    der, survivors = leaf.public_bytes(Encoding.DER), []
    between, anchors = [converted(authority)], [anchor(converted(root))]
    for place, bit in itertools.product(range(len(der)), (0, 4, 7)):
        changed = bytearray(der)
        changed[place] ^= 1 << bit
        try:
            chains.check(read(bytes(changed)), between, anchors, NOW)
        except (CertificateError, ChainError):
            continue
        survivors.append((place, bit))
    assert survivors == []


@given(st.integers(0, 2**32))
def test_mutations_are_refused_in_words(seed: int) -> None:
    """Bytes exchanged at random give a CertificateError, or a certificate; never another fault."""
    source, der = random.Random(seed), bytearray(made()[2].public_bytes(Encoding.DER))
    for _ in range(source.randrange(1, 30)):
        der[source.randrange(len(der))] = source.randrange(256)
    with contextlib.suppress(CertificateError):
        assert read(bytes(der)).key


def test_a_critical_extension_that_is_not_understood_is_refused() -> None:
    """RFC 5280, section 4.2: whoever does not know what it demands must not go on."""
    builder = x509.CertificateBuilder().subject_name(made()[2].subject).issuer_name(made()[2].issuer).serial_number(1)
    builder = builder.not_valid_before(NOW - timedelta(1)).not_valid_after(NOW + timedelta(1))
    builder = builder.public_key(key(33).public_key())
    demanding = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    for critical in (False, True):
        der = builder.add_extension(demanding, critical=critical).sign(key(32), SHA256()).public_bytes(Encoding.DER)
        if critical:
            with pytest.raises(CertificateError, match="critical"):
                read(der)
        else:
            read(der)


def test_a_folder_gives_all_its_certificates(tmp_path: Path) -> None:
    """In PEM, several in one file, and in DER, in folders below too; other files are left alone."""
    root, authority, leaf = made()
    write(tmp_path / "a.pem", root)
    (tmp_path / "below").mkdir()
    both = authority.public_bytes(Encoding.PEM) + leaf.public_bytes(Encoding.PEM)
    (tmp_path / "below" / "b.crt").write_bytes(both)
    (tmp_path / "c.cer").write_bytes(root.public_bytes(Encoding.DER))
    (tmp_path / "readme.txt").write_text("not a certificate")
    found = [(file.name, each.title) for file, each in in_folder(tmp_path)]
    assert found == [("a.pem", "Root"), ("b.crt", "Authority"), ("b.crt", "leaf"), ("c.cer", "Root")]


@pytest.mark.parametrize(
    "content", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n"]
)
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    """Whoever has to mend it knows which one."""
    (tmp_path / "broken.pem").write_bytes(content)
    with pytest.raises(CertificateError, match=r"broken\.pem"):
        in_folder(tmp_path)


def test_pem_that_is_cut_off_is_refused() -> None:
    """The lines of PEM have to be whole."""
    text = made()[0].public_bytes(Encoding.PEM)
    with pytest.raises(CertificateError):
        unwrapped(text[: len(text) // 2])
