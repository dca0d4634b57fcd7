"""Ticket codes: what a person types, and what it means.

A code is 25 characters of Crockford's base 32 (https://www.crockford.com/base32.html), 125 random
bits, printed as five groups of five. That alphabet has no I, L, O or U, so what looks like one of
the first three can only be a 1 or a 0.
"""

from __future__ import annotations

import secrets

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 25
_FORGIVEN = str.maketrans({"I": "1", "L": "1", "O": "0", " ": None, "-": None})


def new_ticket() -> str:
    """A fresh code in its printed form."""
    number = secrets.randbits(5 * LENGTH)
    return printed("".join(ALPHABET[number >> 5 * place & 31] for place in range(LENGTH)))


def printed(code: str) -> str:
    """25 characters as five groups of five."""
    return "-".join(code[start : start + 5] for start in range(0, LENGTH, 5))


def read_ticket(typed: str) -> str | None:
    """The printed form of what a person typed, or None if it cannot be a ticket."""
    code = typed.upper().translate(_FORGIVEN)
    if len(code) != LENGTH or not set(code) <= set(ALPHABET):
        return None
    return printed(code)
