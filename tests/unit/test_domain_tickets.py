"""Ticket codes: every way a person may type one, and what is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licentia.domain.tickets import ALPHABET, LENGTH, new_ticket, printed, read_ticket

CODES = st.text(ALPHABET, min_size=LENGTH, max_size=LENGTH)
LOOKALIKES = {"0": "0OoO", "1": "1IiLl"}


@st.composite
def typed_codes(draw: st.DrawFn) -> tuple[str, str]:
    """A code, and the same as a person may type it."""
    code = draw(CODES)
    typed = draw(st.text(" -", max_size=3))
    for character in code:
        typed += draw(st.sampled_from(LOOKALIKES.get(character, character + character.lower())))
        typed += draw(st.sampled_from(["", "", "", " ", "-", " - "]))
    return code, typed


@given(typed_codes())
def test_a_code_survives_how_it_is_typed(code_and_typed: tuple[str, str]) -> None:
    """Case, spaces, dashes in any place and I/1, L/1, O/0 mix-ups do not matter."""
    code, typed = code_and_typed
    assert read_ticket(typed) == printed(code)


@given(CODES)
def test_the_printed_form_is_five_groups_of_five(code: str) -> None:
    """What is printed reads back as itself and holds the code in order."""
    shown = printed(code)
    assert [len(group) for group in shown.split("-")] == [5] * 5
    assert shown.replace("-", "") == code
    assert read_ticket(shown) == shown


@given(st.text(ALPHABET, max_size=60).filter(lambda code: len(code) != LENGTH))
def test_another_length_is_no_ticket(code: str) -> None:
    """A code that lacks a character or has one too many is refused."""
    assert read_ticket(code) is None


@given(CODES, st.integers(0, LENGTH - 1), st.sampled_from("Uu!_Ü日\n\t\0"))
def test_a_foreign_character_is_no_ticket(code: str, place: int, foreign: str) -> None:
    """A U, which the alphabet leaves out, and whatever else is not of it, is refused."""
    assert read_ticket(code[:place] + foreign + code[place + 1 :]) is None


def test_a_code_has_125_random_bits() -> None:
    """25 places, each with all 32 characters, and no code comes twice."""
    assert len(set(ALPHABET)) == 32
    assert LENGTH * 5 == 125
    codes = [new_ticket().replace("-", "") for _ in range(1500)]
    assert len(set(codes)) == len(codes)
    for place in range(LENGTH):
        assert {code[place] for code in codes} == set(ALPHABET)


@pytest.mark.parametrize("looks_like", "ILOU")
def test_the_alphabet_has_no_lookalikes(looks_like: str) -> None:
    """What could be taken for another character is never printed."""
    assert looks_like not in ALPHABET
