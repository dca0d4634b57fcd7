"""The difference between two contents of an order.

Contents are compared, never replayed: whatever came before, the licenses end up as the newest
version of the order says, and a version that says the same again changes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import msgspec

from licentia.contract.orders import Customer, OrderLine
from licentia.contract.products import Item
from licentia.errors import InvalidRequest


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A license that the order already has; `per_unit` seats for each unit of its line."""

    license_id: str
    line_id: str
    sku: str
    per_unit: int


class Issue(msgspec.Struct, frozen=True, kw_only=True):
    """A license to create: `units` of the product were ordered on this line."""

    line_id: str
    sku: str
    item: Item
    units: int


class Resize(msgspec.Struct, frozen=True, kw_only=True):
    """A license whose line now has so many `units` of the product; none when the line is gone."""

    license_id: str
    units: int
    seats: int


def diff(lines: Iterable[OrderLine], held: Iterable[Held], items: Mapping[str, list[Item]]) -> list[Issue | Resize]:
    """What makes the licenses fit these lines.

    A line is known by its id and SKU: another SKU on the same line id is a line gone and a new one.
    A license keeps the terms it was sold with, so only a new line looks at `items` (by SKU).
    """
    wanted = {(line.line_id, line.sku): line.quantity for line in lines}
    changes: list[Issue | Resize] = []
    known = set()
    for license in held:
        units = wanted.get((license.line_id, license.sku), 0)
        known.add((license.line_id, license.sku))
        changes.append(Resize(license_id=license.license_id, units=units, seats=units * license.per_unit))
    for (line_id, sku), units in wanted.items():
        if (line_id, sku) not in known:
            changes.extend(Issue(line_id=line_id, sku=sku, item=item, units=units) for item in items[sku])
    return changes


def check_lines(lines: Iterable[OrderLine]) -> None:
    """Refuse a line id that occurs twice.

    Raises:
        InvalidRequest: pointing at the second one.
    """
    seen: set[str] = set()
    for index, line in enumerate(lines):
        if line.line_id in seen:
            raise InvalidRequest.at(f"/lines/{index}/line_id", f"the line id {line.line_id!r} occurs twice")
        seen.add(line.line_id)


def content_digest(customer: Customer, lines: Iterable[OrderLine]) -> str:
    """SHA-256 over the content, whatever the order of its lines: equal digests are the same version."""
    content = (customer, sorted(lines, key=lambda line: line.line_id))
    return hashlib.sha256(msgspec.json.encode(content)).hexdigest()
