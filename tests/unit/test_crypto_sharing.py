"""Secret sharing: enough shares give the secret, fewer tell nothing, a wrong one gives another secret."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from licentia.crypto.sharing import PRIME, combine, new_secret, split

secrets_ = st.integers(0, PRIME - 1).map(lambda number: number.to_bytes(32, "big"))


class Cut(NamedTuple):
    """A secret, its shares, and in which order they are drawn."""

    secret: bytes
    threshold: int
    shares: list[bytes]
    order: list[int]

    def drawn(self, count: int) -> dict[int, bytes]:
        """The first so many shares in that order."""
        return {index: self.shares[index] for index in self.order[:count]}


@st.composite
def cuts(draw: st.DrawFn) -> Cut:
    """Any secret, cut for any threshold."""
    total = draw(st.integers(1, 20))
    threshold = draw(st.integers(1, total))
    secret = draw(secrets_)
    return Cut(secret, threshold, split(secret, threshold, total), draw(st.permutations(range(total))))


def solved(shares: Mapping[int, bytes]) -> bytes:
    """The value at 0 of the polynomial through the shares, by solving for its coefficients in exact fractions."""
    points = [(index + 1, int.from_bytes(value, "big")) for index, value in shares.items()]
    rows = [[Fraction(x**power) for power in range(len(points))] + [Fraction(y)] for x, y in points]
    for column in range(len(rows)):
        pivot = rows[column]
        for row in rows[column + 1 :]:
            factor = row[column] / pivot[column]
            for place in range(column, len(row)):
                row[place] -= factor * pivot[place]
    coefficients: list[Fraction] = []
    for row in reversed(rows):
        place = len(rows) - len(coefficients) - 1
        rest = sum((row[place + 1 + n] * known for n, known in enumerate(reversed(coefficients))), Fraction(0))
        coefficients.append((row[-1] - rest) / row[place])
    first = coefficients[-1]
    return (first.numerator * pow(first.denominator, PRIME - 2, PRIME) % PRIME).to_bytes(32, "big")


def completing(known: Mapping[int, bytes], index: int, secret: bytes) -> bytes:
    """The value at `index` of the polynomial through the known shares that has this secret at 0."""
    points = {0: int.from_bytes(secret, "big")}
    points |= {at + 1: int.from_bytes(value, "big") for at, value in known.items()}
    total = Fraction(0)
    for at, value in points.items():
        term = Fraction(value)
        for other in points:
            if other != at:
                term *= Fraction(index + 1 - other, at - other)
        total += term
    return (total.numerator * pow(total.denominator, PRIME - 2, PRIME) % PRIME).to_bytes(32, "big")


def test_a_new_secret_is_a_number_of_the_field() -> None:
    """It has 32 bytes, is below the prime, and is another one each time."""
    made = {new_secret() for _ in range(200)}
    assert len(made) == 200
    assert all(len(secret) == 32 and int.from_bytes(secret, "big") < PRIME for secret in made)
    assert {secret[0] >> 3 for secret in made} > {0, 15}


@given(cuts())
def test_any_shares_that_are_enough_give_the_secret(cut: Cut) -> None:
    """Which shares, in which order, and whether there are more than enough, makes no difference."""
    for count in range(cut.threshold, len(cut.shares) + 1):
        assert combine(cut.drawn(count)) == cut.secret


@given(cuts(), secrets_)
def test_one_share_less_determines_nothing(cut: Cut, other: bytes) -> None:
    """For every other secret there is a share that would complete the same shares to it."""
    known = cut.drawn(cut.threshold - 1)
    missing = cut.order[cut.threshold - 1]
    assert combine(known | {missing: completing(known, missing, other)}) == other


@given(cuts(), st.integers(1, PRIME - 1))
def test_a_wrong_share_gives_another_secret(cut: Cut, by: int) -> None:
    """Nothing shows that a share is wrong, but the secret is never the right one."""
    drawn = cut.drawn(cut.threshold)
    index = cut.order[0]
    drawn[index] = ((int.from_bytes(drawn[index], "big") + by) % PRIME).to_bytes(32, "big")
    assert combine(drawn) != cut.secret


@settings(max_examples=25)
@given(cuts())
def test_a_second_way_to_compute_it_agrees(cut: Cut) -> None:
    """Elimination in exact fractions finds the same secret."""
    assert solved(cut.drawn(cut.threshold)) == cut.secret


def test_the_same_secret_is_cut_anew_each_time() -> None:
    """Shares of two cuts have nothing in common, unless one share is enough."""
    secret = new_secret()
    assert not set(split(secret, 2, 10)) & set(split(secret, 2, 10))
    assert set(split(secret, 1, 3)) == {secret}


@pytest.mark.parametrize(("threshold", "total"), [(0, 3), (4, 3), (1, 256), (-1, -1), (0, 0)])
def test_an_impossible_cut_is_refused(threshold: int, total: int) -> None:
    """The threshold is 1 at least, and at most as many shares as there are."""
    with pytest.raises(ValueError, match="cannot be made"):
        split(bytes(32), threshold, total)


@pytest.mark.parametrize("wrong", [b"", bytes(31), bytes(33), PRIME.to_bytes(32, "big"), b"\xff" * 32])
def test_what_is_no_number_of_the_field_is_refused(wrong: bytes) -> None:
    """A secret and a share are 32 bytes below the prime."""
    with pytest.raises(ValueError, match="32 bytes"):
        split(wrong, 1, 1)
    with pytest.raises(ValueError, match="32 bytes"):
        combine({0: wrong})


@pytest.mark.parametrize("shares", [{}, {-1: bytes(32)}, {255: bytes(32)}])
def test_shares_need_an_index(shares: dict[int, bytes]) -> None:
    """No share at all is refused, and one whose index no cut makes; -1 would be the secret itself."""
    with pytest.raises(ValueError, match="index"):
        combine(shares)
