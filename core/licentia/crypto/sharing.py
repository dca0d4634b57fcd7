"""Secret sharing: a secret is cut into shares, of which enough give it back and fewer tell nothing.

Shamir, "How to share a secret" (Communications of the ACM 22, 1979): the secret is the value at 0 of a
random polynomial of degree `threshold - 1`, share j is its value at j + 1. It is computed in the
integers modulo 2^255 - 19, the prime of Curve25519, so that a secret has 32 bytes. A share says
nothing of whether it is right: who combines must check the secret by other means. Weights are made by
giving one holder several shares.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

PRIME = 2**255 - 19
BYTES = 32
MOST_SHARES = 255


def new_secret() -> bytes:
    """A secret: 32 bytes, a big-endian number below the prime, each of them equally likely."""
    return secrets.randbelow(PRIME).to_bytes(BYTES, "big")


def split(secret: bytes, threshold: int, total: int) -> list[bytes]:
    """Shares of a secret, 32 bytes each, of which any `threshold` give it back.

    Raises:
        ValueError: the secret is not 32 bytes below the prime, or not 1 <= threshold <= total <= 255.
    """
    if not 1 <= threshold <= total <= MOST_SHARES:
        raise ValueError(f"{threshold} of {total} shares cannot be made")
    coefficients = [_number(secret), *(secrets.randbelow(PRIME) for _ in range(threshold - 1))]
    return [_value(coefficients, x).to_bytes(BYTES, "big") for x in range(1, total + 1)]


def combine(shares: Mapping[int, bytes]) -> bytes:
    """The secret, from shares by their index, which begins at 0 (Lagrange's formula).

    At least `threshold` right shares give it; fewer, or one that is wrong, give another number, which
    nothing tells from the secret.

    Raises:
        ValueError: there is no share, or one is not 32 bytes below the prime, or an index is not 0 to 254.
    """
    points = {index + 1: _number(value) for index, value in shares.items()}
    if not points or not all(1 <= at <= MOST_SHARES for at in points):
        raise ValueError("shares have an index from 0 to 254, and there must be one at least")
    total = 0
    for at, value in points.items():
        numerator, denominator = value, 1
        for other in points:
            if other != at:
                numerator = numerator * -other % PRIME
                denominator = denominator * (at - other) % PRIME
        total += numerator * pow(denominator, -1, PRIME)
    return (total % PRIME).to_bytes(BYTES, "big")


def _value(coefficients: list[int], x: int) -> int:
    """The polynomial's value at `x` (Horner's rule)."""
    total = 0
    for coefficient in reversed(coefficients):
        total = (total * x + coefficient) % PRIME
    return total


def _number(value: bytes) -> int:
    number = int.from_bytes(value, "big")
    if len(value) != BYTES or number >= PRIME:
        raise ValueError("not 32 bytes below the prime")
    return number
