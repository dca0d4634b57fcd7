"""Articles of business systems as products of ours."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licentia.domain.articles import LARGEST, Rule, candidates, choose, units
from licentia.domain.ledger import Parked, Told


def told(article: str = "A", *alternatives: str, **options: str) -> Told:
    """A line with an article and what was chosen with it."""
    return Told(article=article, alternatives=alternatives, options=options, quantity=Decimal(1))


def rule(sku: str | None = "cad", **fields: Any) -> Rule:
    """A rule for the article A, if not told otherwise."""
    return Rule(**{"article": "A", "sku": sku} | fields)


@pytest.mark.parametrize(
    ("line", "rules", "products", "chosen"),
    [
        (told(), [], [], None),
        (told(), [], ["A"], ("A", 1)),
        (told(), [], ["a"], None),
        (told(), [rule(factor=5)], ["A"], ("cad", 5)),
        (told(), [rule(None)], ["A"], (None, 1)),
        (told("", "B", "A"), [], ["A"], ("A", 1)),
        (told("X", "A"), [rule()], ["X"], ("X", 1)),
        (told(), [rule("all"), rule("own", connection="shop")], [], ("own", 1)),
        (told(size="L"), [rule(), rule("large", options={"size": "L"})], [], ("large", 1)),
        (told(size="S"), [rule(), rule("large", options={"size": "L"})], [], ("cad", 1)),
        (told(size="S"), [rule("large", options={"size": "L"})], ["A"], ("A", 1)),
        (told(size="L"), [rule("all", options={"size": "L"}), rule("own", connection="shop")], [], ("own", 1)),
    ],
)
def test_which_product(line: Told, rules: list[Rule], products: list[str], chosen: Any) -> None:
    """Rules before products, better known numbers first, own rules before common ones, then more options."""
    assert choose(line, rules, products) == chosen


def test_numbers_are_tried_once() -> None:
    """An empty number is none, and one that comes twice is one."""
    assert candidates(told("", "B", "", "B", "A")) == ["B", "A"]


@given(st.decimals(0, 10**6, places=9), st.integers(1, LARGEST))
def test_units_are_whole_and_bounded_or_refused(pieces: Decimal, factor: int) -> None:
    """A fraction of a product is never sold, and never rounded."""
    line = told()
    line.factor = factor
    wanted = pieces * factor
    if wanted == int(wanted) <= LARGEST:
        assert units("1", line, pieces) == wanted
        return
    with pytest.raises(Parked) as refused:
        units("1", line, pieces)
    assert refused.value.code == ("too_many" if wanted == int(wanted) else "fraction")
    assert refused.value.awaits is None


def test_half_a_pack_may_be_whole() -> None:
    """What counts is the product, not the article."""
    line = told()
    line.factor = 10
    assert units("1", line, Decimal("0.5")) == 5
