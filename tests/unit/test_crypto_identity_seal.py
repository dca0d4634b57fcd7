"""A secret that is sealed to a name opens for that name, and for nothing else."""

from __future__ import annotations

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from licentia.crypto import identity_record
from licentia.crypto.identity_seal import Sealed, opened, seal
from licentia.errors import DocumentInvalid

SECRET = bytes(range(32))
NAME = "i-0123456789abcdef0"


def test_the_name_opens_it() -> None:
    """As often as one likes, and every sealed secret looks another."""
    sealed = [seal(SECRET, NAME, "aws") for _ in range(3)]
    assert {opened(each, NAME, "aws") for each in sealed} == {SECRET}
    for field in ("salt", "nonce", "box", "commitment"):
        assert len({getattr(each, field) for each in sealed}) == 3


def test_nothing_else_opens_it() -> None:
    """Another name, the name in another binding, no name."""
    sealed = seal(SECRET, NAME, "aws")
    for name, binding in ((NAME[:-1], "aws"), (NAME.upper(), "aws"), (NAME, "azure"), (NAME, ""), ("", "aws")):
        assert opened(sealed, name, binding) is None


def test_the_other_library_opens_it_too() -> None:
    """The scheme is HKDF-SHA256 and AES-256-GCM as they are written down."""
    sealed = seal(SECRET, NAME, "aws")
    derived = HKDF(SHA256(), 64, sealed.salt, b"licentia/binding/aws/1").derive(NAME.encode())
    assert sealed.commitment == derived[32:]
    assert AESGCM(derived[:32]).decrypt(sealed.nonce, sealed.box, None) == SECRET


def test_no_bit_of_it_can_be_flipped() -> None:
    """Neither in the salt, the nonce, the box nor the commitment; nor can a part be longer or shorter."""
    sealed = seal(SECRET, NAME, "aws")
    for field in ("salt", "nonce", "box", "commitment"):
        value = getattr(sealed, field)
        changes = [value[:place] + bytes([value[place] ^ 1]) + value[place + 1 :] for place in range(len(value))]
        for changed in (*changes, b"", value[:-1], value + b"\0"):
            assert opened(msgspec.structs.replace(sealed, **{field: changed}), NAME, "aws") is None


def test_a_record_is_read_as_it_was_written() -> None:
    """With what was known of the machine, and the keys in whatever form."""
    record = identity_record.read(
        identity_record.write(SECRET, NAME, "aws", attributes={"region": "xx"}, keys=[b"key", b"other"])
    )
    assert opened(record.sealed, NAME, "aws") == SECRET
    assert record.attributes == {"region": "xx"}
    assert msgspec.json.decode(record.keys, type=list[bytes]) == [b"key", b"other"]
    assert isinstance(record.sealed, Sealed)


@pytest.mark.parametrize("record", [b"", b"{}", b"[]", b"[" * 10_000, b"\xff", b'{"sealed": 1}'])
def test_a_damaged_record_is_told(record: bytes) -> None:
    """Whatever it is instead."""
    with pytest.raises(DocumentInvalid):
        identity_record.read(record)
