"""Sealed documents: what opens them, and that nothing else does."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand
from hypothesis import given
from hypothesis import strategies as st

from licentia.crypto import sealing
from licentia.crypto.sealing import SEALED_LABEL, SEALED_TO_LABEL, BoxKey
from licentia.errors import DocumentInvalid

KEY = bytes(range(32))
BOX = BoxKey.generate()
some = st.binary(max_size=200)
HPKE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


@given(key=st.binary(min_size=16, max_size=64), header=some, text=some)
def test_a_sealed_text_comes_back(key: bytes, header: bytes, text: bytes) -> None:
    """With the same key and beside the same header, and it is never the same twice."""
    sealed = sealing.seal(key, header, text)
    assert sealing.unseal(key, header, sealed) == text
    assert sealing.seal(key, header, text) != sealed


@given(header=some, text=some)
def test_a_text_sealed_to_a_key_comes_back(header: bytes, text: bytes) -> None:
    """The owner of the key reads it, after the key was stored too."""
    sealed = sealing.seal_to(BOX.public, header, text)
    assert BOX.open(header, sealed) == text
    assert BoxKey.from_bytes(BOX.to_bytes()).open(header, sealed) == text


@pytest.mark.parametrize("text", [b"", b"a text"])
def test_every_changed_bit_is_refused(text: bytes) -> None:
    """Of both formats, of the header, and of the key."""
    sealed, to = sealing.seal(KEY, b"header", text), sealing.seal_to(BOX.public, b"header", text)
    for data, opened in (
        (sealed, lambda each: sealing.unseal(KEY, b"header", each)),
        (to, lambda each: BOX.open(b"header", each)),
    ):
        for bit in range(8 * len(data)):
            changed = bytearray(data)
            changed[bit // 8] ^= 1 << bit % 8
            with pytest.raises(DocumentInvalid):
                opened(bytes(changed))
    with pytest.raises(DocumentInvalid, match="another header"):
        sealing.unseal(KEY, b"Header", sealed)
    with pytest.raises(DocumentInvalid, match="another key"):
        sealing.unseal(KEY[::-1], b"header", sealed)
    with pytest.raises(DocumentInvalid):
        BOX.open(b"Header", to)
    with pytest.raises(DocumentInvalid):
        BoxKey.generate().open(b"header", to)


def test_every_cut_is_refused() -> None:
    """What lacks its end or its beginning is no sealed document."""
    sealed, to = sealing.seal(KEY, b"", b"text"), sealing.seal_to(BOX.public, b"", b"text")
    for position in range(len(sealed)):
        with pytest.raises(DocumentInvalid):
            sealing.unseal(KEY, b"", sealed[:position])
    for position in range(len(to)):
        with pytest.raises(DocumentInvalid):
            BOX.open(b"", to[:position])


@given(data=some)
def test_anything_else_is_refused_with_the_documented_error(data: bytes) -> None:
    """No octets make a reader fail in another way."""
    for version in (b"", b"\x01"):
        with pytest.raises(DocumentInvalid):
            sealing.unseal(KEY, b"", version + data)
        with pytest.raises(DocumentInvalid):
            BOX.open(b"", version + data)


def test_one_text_does_not_open_under_two_keys() -> None:
    """A box that GCM would open under another key too is refused by the commitment before it is tried."""
    sealed = sealing.seal(KEY, b"", b"text")
    other = sealing.sealed_with(sealed[1:33], KEY[::-1], b"", b"text")
    with pytest.raises(DocumentInvalid, match="another key"):
        sealing.unseal(KEY[::-1], b"", sealed[:65] + other[65:])
    with pytest.raises(DocumentInvalid, match="was changed"):
        sealing.unseal(KEY, b"", sealed[:65] + other[65:])


@given(header=some, text=some)
def test_another_library_opens_a_sealed_text(header: bytes, text: bytes) -> None:
    """From the layout alone: version, salt, commitment, box; key, nonce and commitment by HKDF."""
    sealed = sealing.seal(KEY, header, text)
    version, salt, commitment, box = sealed[:1], sealed[1:33], sealed[33:65], sealed[65:]
    material = HKDF(SHA256(), 76, salt, SEALED_LABEL).derive(KEY)
    assert (version, material[44:]) == (b"\x01", commitment)
    assert AESGCM(material[:32]).decrypt(material[32:44], box, header) == text


@given(text=some)
def test_another_library_reads_and_writes_what_is_sealed_to_a_key(text: bytes) -> None:
    """HPKE of `cryptography`, both ways; it knows no associated data, so the header is empty."""
    private = X25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    sealed = sealing.seal_to(public, b"", text)
    assert HPKE.decrypt(sealed[1:], private, SEALED_TO_LABEL) == text
    box = BoxKey.from_bytes(b"\x01" + private.private_bytes_raw())
    assert box.public == public
    theirs = HPKE.encrypt(text, X25519PublicKey.from_public_bytes(public), SEALED_TO_LABEL)
    assert box.open(b"", b"\x01" + theirs) == text


def labeled(
    suite: bytes, label: bytes, secret: bytes, *, salt: bytes = b"", info: bytes = b"", length: int = 0
) -> bytes:
    """LabeledExtract, or with a length LabeledExpand, of RFC 9180, section 4."""
    if not length:
        return HKDF.extract(SHA256(), salt or None, b"HPKE-v1" + suite + label + secret)
    return HKDFExpand(SHA256(), length, length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info).derive(secret)


@given(header=some, text=some)
def test_the_words_of_the_standard_open_what_is_sealed_to_a_key(header: bytes, text: bytes) -> None:
    """From RFC 9180, sections 4.1 and 5.1, over the primitives of `cryptography`."""
    private = X25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    sealed = sealing.seal_to(public, header, text)
    enc, kem, suite = sealed[1:33], b"KEM\x00\x20", b"HPKE\x00\x20\x00\x01\x00\x02"
    prk = labeled(kem, b"eae_prk", private.exchange(X25519PublicKey.from_public_bytes(enc)))
    shared = labeled(kem, b"shared_secret", prk, info=enc + public, length=32)
    context = b"\0" + labeled(suite, b"psk_id_hash", b"") + labeled(suite, b"info_hash", SEALED_TO_LABEL)
    secret = labeled(suite, b"secret", b"", salt=shared)
    key = labeled(suite, b"key", secret, info=context, length=32)
    nonce = labeled(suite, b"base_nonce", secret, info=context, length=12)
    assert AESGCM(key).decrypt(nonce, sealed[33:], header) == text


@pytest.mark.parametrize("public", [b"", bytes(31), bytes(32), b"\1" + bytes(31), bytes(33)])
def test_what_agrees_on_no_secret_is_no_key_to_seal_to(public: bytes) -> None:
    """Another length, or a point of small order, with which everybody would know the secret."""
    with pytest.raises(DocumentInvalid, match="no X25519 key"):
        sealing.seal_to(public, b"", b"text")


def test_a_short_key_is_a_mistake() -> None:
    """Nothing is sealed with what can be guessed."""
    with pytest.raises(ValueError, match="16 bytes"):
        sealing.seal(b"secret", b"", b"text")


@pytest.mark.parametrize("data", [b"", b"\x01" + bytes(31), b"\x02" + bytes(32), b"\x01" + bytes(33)])
def test_other_octets_are_no_private_key(data: bytes) -> None:
    """Cut or of another version: refused with the documented error."""
    with pytest.raises(DocumentInvalid):
        BoxKey.from_bytes(data)


def test_the_private_half_is_not_shown() -> None:
    """Neither `repr` nor `vars` of a key has its private half."""
    assert BOX.public.hex() in repr(BOX)
    assert BOX.to_bytes()[1:].hex() not in repr(BOX)
    assert not hasattr(BOX, "__dict__")
