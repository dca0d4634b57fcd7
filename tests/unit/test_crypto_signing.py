"""Keys of suites: what they sign, and who else can check it."""

from __future__ import annotations

import pickle

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey, MLDSA65PublicKey
from hypothesis import given
from hypothesis import strategies as st

from licentia.crypto.leases import SigningKey
from licentia.crypto.signing import SoftwareKey, VerifyKey
from licentia.crypto.suites import ED25519, HYBRID, SUITES
from licentia.errors import DocumentInvalid

KEYS = {suite: SoftwareKey.generate(suite) for suite in SUITES}
suites = pytest.mark.parametrize("suite", SUITES)

SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
]
"""The points of order 1, 2, 4 and 8 of the curve, as far as their signs differ."""


@suites
@given(message=st.binary(max_size=200))
def test_a_key_checks_what_it_signed_and_nothing_else(suite: str, message: bytes) -> None:
    """A signature holds for its message only."""
    key = KEYS[suite]
    signatures = key.sign(message)
    assert key.public.check(message, signatures)
    assert not key.public.check(message + b"!", signatures)


@given(message=st.binary(max_size=200))
def test_another_library_checks_both_algorithms(message: bytes) -> None:
    """Ed25519 and ML-DSA-65 signatures, with an empty context, verify in `cryptography`."""
    key = KEYS[HYBRID]
    signatures = key.sign(message)
    Ed25519PublicKey.from_public_bytes(key.public.ed25519).verify(signatures["Ed25519"], message)
    MLDSA65PublicKey.from_public_bytes(key.public.mldsa65).verify(signatures["ML-DSA-65"], message)


def test_signatures_of_another_library_are_accepted() -> None:
    """What `cryptography` signs with the same kinds of keys is accepted here."""
    edwards, lattice = Ed25519PrivateKey.generate(), MLDSA65PrivateKey.generate()
    public = VerifyKey(HYBRID, edwards.public_key().public_bytes_raw(), lattice.public_key().public_bytes_raw())
    assert public.check(b"text", {"Ed25519": edwards.sign(b"text"), "ML-DSA-65": lattice.sign(b"text")})


def test_all_algorithms_of_a_suite_must_hold_and_no_others_may_be_there() -> None:
    """A hybrid key wants both signatures, each of its own key; a plain key wants exactly one."""
    key, other = KEYS[HYBRID], SoftwareKey.generate(HYBRID)
    good, bad = key.sign(b"text"), other.sign(b"text")
    for name in good:
        assert not key.public.check(b"text", {name: good[name]})
        assert not key.public.check(b"text", good | {name: bad[name]})
    assert not key.public.check(b"text", {})
    assert not key.public.check(b"text", good | {"ES256": b"\0" * 64})
    plain = VerifyKey(ED25519, key.public.ed25519)
    assert plain.check(b"text", {"Ed25519": good["Ed25519"]})
    assert not plain.check(b"text", good)


@suites
def test_a_signature_of_the_wrong_length_does_not_hold(suite: str) -> None:
    """One octet more or less is refused, not cut or filled up."""
    signatures = KEYS[suite].sign(b"text")
    for name, signature in signatures.items():
        for changed in (signature[:-1], signature + b"\0", b""):
            assert not KEYS[suite].public.check(b"text", signatures | {name: changed})


def test_the_name_of_a_key_stands_for_its_suite_too() -> None:
    """The same Ed25519 key has two names in two suites, each of 43 characters."""
    hybrid = KEYS[HYBRID].public
    names = {hybrid.kid, VerifyKey(ED25519, hybrid.ed25519).kid}
    assert len(names) == 2
    assert {len(name) for name in names} == {43}


@pytest.mark.parametrize("point", SMALL_ORDER)
def test_a_point_that_anybody_can_sign_for_is_refused(point: str) -> None:
    """Under a key of small order a signature of zeros would hold for many messages."""
    neutral = bytes.fromhex(SMALL_ORDER[0]) + bytes(32)
    key = VerifyKey(ED25519, bytes.fromhex(point))
    assert not any(key.check(bytes([number]), {"Ed25519": neutral}) for number in range(16))


def test_what_is_no_point_checks_nothing() -> None:
    """32 octets that are no point of the curve make a key under which nothing holds."""
    assert not VerifyKey(ED25519, b"\x02" + bytes(31)).check(b"text", {"Ed25519": bytes(64)})


@pytest.mark.parametrize(
    ("suite", "ed25519", "mldsa65"),
    [
        ("licentia-2", bytes(32), b""),
        (ED25519, bytes(31), b""),
        (ED25519, bytes(32), bytes(1952)),
        (HYBRID, bytes(32), b""),
        (HYBRID, bytes(32), bytes(1951)),
        (HYBRID, b"", bytes(1952)),
    ],
)
def test_a_key_has_exactly_the_parts_that_its_suite_names(suite: str, ed25519: bytes, mldsa65: bytes) -> None:
    """Another suite, or a raw key missing, too many or of another length, is no key."""
    with pytest.raises(ValueError, match="suite"):
        VerifyKey(suite, ed25519, mldsa65)


@suites
def test_a_private_key_comes_back_from_its_octets(suite: str) -> None:
    """It is the same key, and signs what the first one's public half checks."""
    again = SoftwareKey.from_bytes(KEYS[suite].to_bytes())
    assert again.public == KEYS[suite].public
    assert KEYS[suite].public.check(b"text", again.sign(b"text"))


@pytest.mark.parametrize("data", [b"", b"\1", b"\1\1", b"\2\1" + bytes(32), b"\1\3" + bytes(32), b"\1\2" + bytes(32)])
def test_other_octets_are_no_private_key(data: bytes) -> None:
    """Cut, of another version or of an unknown suite: refused with the documented error."""
    with pytest.raises(DocumentInvalid):
        SoftwareKey.from_bytes(data)


@suites
def test_the_private_half_is_not_shown(suite: str) -> None:
    """Neither `repr` nor `vars` of a key has its seeds."""
    key = KEYS[suite]
    assert key.public.kid in repr(key)
    assert key.to_bytes()[2:34].hex() not in repr(key)
    assert not hasattr(key, "__dict__")


def test_a_key_of_an_unknown_suite_is_not_made() -> None:
    """There is nothing to fall back to."""
    with pytest.raises(ValueError, match="no suite"):
        SoftwareKey.generate("licentia-0")


def test_a_public_key_is_a_plain_value() -> None:
    """It can be a member of a set and be sent to another process."""
    key = KEYS[HYBRID].public
    assert pickle.loads(pickle.dumps(key)) == key
    assert {key, key} == {key}


def test_no_key_has_an_id_that_looks_like_an_option() -> None:
    """Ids are typed on command lines, where a dash in front would make them options."""
    kids = [SoftwareKey.generate(ED25519).public.kid for _ in range(300)]
    kids += [SigningKey.generate().public.kid for _ in range(300)]
    assert [kid for kid in kids if kid.startswith("-")] == []
