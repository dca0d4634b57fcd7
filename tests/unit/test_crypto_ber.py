"""BER becomes DER, and nothing grows, hangs or crashes on the way."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licentia.crypto.ber import MAX_BYTES, MAX_DEPTH, BerError, to_der

Tree = tuple[int, "bytes | list[Tree]"]

PRIMITIVE = st.tuples(st.sampled_from([0x02, 0x04, 0x06, 0x0C, 0x80]), st.binary(max_size=300))
TREES = st.recursive(
    PRIMITIVE,
    lambda below: st.tuples(st.sampled_from([0x30, 0x31, 0xA0, 0xA3]), st.lists(below, max_size=4)),
    max_leaves=20,
)


def length(size: int) -> bytes:
    """A length as DER wants it."""
    if size < 128:
        return bytes([size])
    digits = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([128 + len(digits)]) + digits


def der(tree: Tree) -> bytes:
    """The tree in DER."""
    tag, inside = tree
    contents = inside if isinstance(inside, bytes) else b"".join(map(der, inside))
    return bytes([tag]) + length(len(contents)) + contents


def indefinite(tree: Tree) -> bytes:
    """The tree with indefinite lengths wherever BER allows them, and every octet string in two pieces."""
    tag, inside = tree
    if isinstance(inside, list):
        return bytes([tag, 0x80]) + b"".join(map(indefinite, inside)) + b"\0\0"
    if tag != 0x04:
        return der(tree)
    middle = len(inside) // 2
    return b"\x24\x80" + der((0x04, inside[:middle])) + der((0x04, inside[middle:])) + b"\0\0"


@given(TREES)
def test_der_stays_as_it_is_and_ber_becomes_it(tree: Tree) -> None:
    """Both ways of writing a tree have one outcome."""
    assert to_der(der(tree)) == der(tree)
    assert to_der(indefinite(tree)) == der(tree)


@given(TREES, st.data())
def test_a_part_is_not_the_whole(tree: Tree, data: st.DataObject) -> None:
    """What is cut off or goes on after its end is refused."""
    whole = data.draw(st.sampled_from([der(tree), indefinite(tree)]))
    for wrong in (whole[: data.draw(st.integers(0, len(whole) - 1))], whole + b"\0"):
        with pytest.raises(BerError):
            to_der(wrong)


@given(st.binary(max_size=400))
def test_noise_is_refused_in_words(noise: bytes) -> None:
    """Whatever comes is DER in the end, or a BerError."""
    with contextlib.suppress(BerError):
        assert to_der(to_der(noise)) == to_der(noise)


@pytest.mark.parametrize(
    "bomb",
    [
        b"\x30\x80" * 30_000,
        b"\x24\x80" * (MAX_DEPTH + 2) + b"\0\0" * (MAX_DEPTH + 2),
        b"\x30\x84\xff\xff\xff\xff" + b"\0" * 60_000,
        b"\x30\xff" + b"\xff" * 127 + b"\0" * 60_000,
        b"\x30\x80" + b"\x05\x00" * 30_000 + b"\0\0",
        b"\x24\x80" + b"\x04\x00" * 30_000 + b"\0\0",
        b"\x04\x83\x01\x00\x00" + b"\0" * 65_536,
        b"\x30" * MAX_BYTES,
        b"\x3f" + b"\xff" * 60_000,
    ],
    ids=["deep", "too-deep", "long", "longest", "many", "pieces", "large", "tags", "long-tag"],
)
def test_a_bomb_is_refused_at_once(bomb: bytes) -> None:
    """Depth, number and size are limited, so the time is."""
    begun = time.perf_counter()
    with pytest.raises(BerError):
        to_der(bomb)
    assert time.perf_counter() - begun < 1


@pytest.mark.parametrize("wrong", ["0401", "0480", "04810161", "0482000161", "2403020101", "0000", "", "30", "1f0100"])
def test_what_is_not_well_formed_is_refused(wrong: str) -> None:
    """Lengths in longer form than needed, primitive elements without end, foreign pieces."""
    with pytest.raises(BerError):
        to_der(bytes.fromhex(wrong))
