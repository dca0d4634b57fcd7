"""Numbers of other systems as ids of ours."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from lxml import etree

from licentia.contract.types import Id
from licentia.domain.naturalkeys import as_id, natural, printable

NUMBERS = st.one_of(
    st.text(min_size=1, max_size=200),
    st.text("~0123456789abcdef./ ", min_size=1, max_size=80),
    st.binary(min_size=1, max_size=40).map(lambda octets: octets.decode("latin-1")),
)


@given(NUMBERS)
def test_it_is_always_an_id(number: str) -> None:
    """Whatever a system calls its orders, the id is one of ours."""
    assert msgspec.convert(natural(number), Id) == natural(number)


@given(NUMBERS, NUMBERS)
@example("a/b", "a~2fb")
@example("~", "~7e")
@example("x" * 64, "x" * 65)
@example("x" * 65, "x" * 66)
@example("\u00e9", "e\u0301")
def test_different_numbers_have_different_ids(one: str, other: str) -> None:
    """No two orders of a system meet under one id."""
    assert (natural(one) == natural(other)) is (one == other)


@given(st.lists(NUMBERS, min_size=2, max_size=2, unique=True))
def test_long_ids_are_no_short_ones(pair: list[str]) -> None:
    """The id of one number is never what another number is called as it stands."""
    one, other = pair
    assert natural(natural(one)) != natural(other) or natural(one) == other


@given(st.from_regex(r"[A-Za-z0-9._\-]{1,64}", fullmatch=True))
def test_a_plain_number_is_its_own_id(number: str) -> None:
    """What people read in their shop is what they read here."""
    assert natural(number) == as_id(number) == number


@given(NUMBERS)
def test_what_a_person_wrote_is_found(number: str) -> None:
    """A person may write the id, or the number as the system has it."""
    assert as_id(natural(number)) == natural(number)
    assert "~" in number or as_id(number) == natural(number)


@given(st.text(max_size=300) | st.just("\x00\ufffe\ud800x"), st.integers(1, 254))
def test_a_printable_text_fits_into_xml(text: str, longest: int) -> None:
    """SOAP carries it."""
    shown = printable(text, longest)
    assert shown is None or 0 < len(shown) <= longest
    etree.Element("x").text = shown


@pytest.mark.parametrize("nothing", [None, "", "\x00", "\ud800"])
def test_nothing_to_show_is_none(nothing: str | None) -> None:
    """A name of nothing is no name."""
    assert printable(nothing, 10) is None
