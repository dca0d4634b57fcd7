"""Which product an article of a business system is sold as."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal

import msgspec

from licentia.domain.ledger import Parked, Told

LARGEST = 1_000_000
"""Units of a product that a line has at most, as `licentia.contract.types.Quantity` says."""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """An article, with these options at least, is `factor` of the product `sku` per piece; None: nothing is licensed.

    A rule of no connection (empty) is for all of them.
    """

    article: str
    connection: str = ""
    options: Mapping[str, str] = {}
    sku: str | None
    factor: int = 1


def candidates(line: Told) -> list[str]:
    """The numbers of an article, the better known first."""
    return list(dict.fromkeys(number for number in (line.article, *line.alternatives) if number))


def choose(line: Told, rules: Iterable[Rule], products: Collection[str]) -> tuple[str | None, int] | None:
    """The product and the factor; None if nobody knows the article.

    A rule wins over a product of the same number, a better known number over an alternative, a rule of the
    connection over one for all, and the rule with more options over one with fewer.
    """
    rules = list(rules)
    for number in candidates(line):
        fitting = [rule for rule in rules if rule.article == number and rule.options.items() <= line.options.items()]
        if fitting:
            best = max(fitting, key=lambda rule: (bool(rule.connection), len(rule.options)))
            return best.sku, best.factor
        if number in products:
            return number, 1
    return None


def units(line_id: str, line: Told, pieces: Decimal) -> int:
    """How many units of its product so many pieces of an article are.

    Raises:
        Parked: no whole number, or more than an order can have.
    """
    count = pieces * line.factor
    if count != count.to_integral_value():
        raise Parked(
            "fraction", f"Line {line_id!r} comes to {count.normalize():f} of {line.sku!r}, which is no whole number."
        )
    if count > LARGEST:
        raise Parked("too_many", f"Line {line_id!r} comes to {count:f} of {line.sku!r}; the most are {LARGEST}.")
    return int(count)
