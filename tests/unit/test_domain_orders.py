"""Orders: whatever versions came before, the licenses end up as the newest one says."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from licentia.contract.orders import Customer, OrderLine
from licentia.contract.products import Item
from licentia.domain.licenses import Stock
from licentia.domain.orders import Held, Issue, check_lines, content_digest, diff
from licentia.errors import InvalidRequest

SKUS = ("cad", "render")
Catalogue = dict[str, list[Item]]


@st.composite
def contents(draw: st.DrawFn) -> list[OrderLine]:
    """The lines of one version of an order; none when it was cancelled."""
    ids = draw(st.lists(st.sampled_from("123"), unique=True, max_size=3))
    return [
        OrderLine(line_id=line_id, sku=draw(st.sampled_from(SKUS)), quantity=draw(st.integers(1, 9))) for line_id in ids
    ]


@st.composite
def catalogues(draw: st.DrawFn) -> Catalogue:
    """What each SKU licenses at one time."""
    return {
        sku: [
            Item(product_code=f"{sku}-{code}", quantity=draw(st.integers(1, 4)))
            for code in range(draw(st.integers(1, 3)))
        ]
        for sku in SKUS
    }


@dataclass
class Shelf:
    """The licenses of one order, as the services keep them."""

    stocks: dict[str, Stock] = field(default_factory=dict)
    held: dict[str, Held] = field(default_factory=dict)
    issued: int = 0

    def apply(self, lines: list[OrderLine], items: Catalogue) -> bool:
        """Make the licenses fit; whether anything changed."""
        before = dict(self.stocks)
        for change in diff(lines, list(self.held.values()), items):
            if isinstance(change, Issue):
                self.issued += 1
                key = f"lic{self.issued}"
                self.held[key] = Held(
                    license_id=key, line_id=change.line_id, sku=change.sku, per_unit=change.item.quantity
                )
                self.stocks[key] = Stock(quantity=change.units * change.item.quantity)
            else:
                assert change.seats == change.units * self.held[change.license_id].per_unit
                self.stocks[change.license_id] = self.stocks[change.license_id].order(change.seats)
        return before != self.stocks


@given(st.lists(st.tuples(contents(), catalogues()), min_size=1, max_size=6))
def test_any_path_ends_at_the_newest_version(versions: list[tuple[list[OrderLine], Catalogue]]) -> None:
    """Seats equal lines times the seats per unit they were sold with, and the same version again changes nothing."""
    shelf = Shelf()
    sold: dict[tuple[str, str], list[int]] = {}
    for lines, items in versions:
        shelf.apply(lines, items)
        assert not shelf.apply(lines, items)
        for line in lines:
            sold.setdefault((line.line_id, line.sku), [item.quantity for item in items[line.sku]])
    wanted = {(line.line_id, line.sku): line.quantity for line in versions[-1][0]}
    for key, per_units in sold.items():
        seats = [
            shelf.stocks[license.license_id].quantity
            for license in shelf.held.values()
            if (license.line_id, license.sku) == key
        ]
        assert seats == [wanted.get(key, 0) * per_unit for per_unit in per_units]
    assert len(shelf.held) == sum(len(per_units) for per_units in sold.values())


@given(contents(), contents(), catalogues(), st.data())
def test_placed_seats_are_owed_never_lost(
    first: list[OrderLine], second: list[OrderLine], items: Catalogue, data: st.DataObject
) -> None:
    """Less quantity takes what is not placed at once; placed seats stay until a return pays them back."""
    shelf = Shelf()
    shelf.apply(first, items)
    placed = {key: data.draw(st.integers(0, stock.quantity)) for key, stock in shelf.stocks.items()}
    shelf.stocks = {key: stock.place(placed[key]) for key, stock in shelf.stocks.items()}
    shelf.apply(second, items)
    wanted = {(line.line_id, line.sku): line.quantity for line in second}
    for key, seats in placed.items():
        license, stock = shelf.held[key], shelf.stocks[key]
        covered = wanted.get((license.line_id, license.sku), 0) * license.per_unit
        assert stock.placed == seats
        assert stock.take_back(seats).quantity == covered


def test_a_line_that_is_held_needs_its_product_no_more() -> None:
    """A license keeps the terms it was sold with, so a product that is gone does not stop a new version."""
    held = Held(license_id="a", line_id="1", sku="gone", per_unit=2)
    (change,) = diff([OrderLine(line_id="1", sku="gone", quantity=4)], [held], {})
    assert msgspec.to_builtins(change) == {"license_id": "a", "units": 4, "seats": 8}


def test_a_line_id_that_occurs_twice_is_pointed_at() -> None:
    """The second line of an id is refused by its place in the list."""
    lines = [OrderLine(line_id=line_id, sku="cad", quantity=1) for line_id in ("1", "2", "1")]
    check_lines(lines[:2])
    with pytest.raises(InvalidRequest) as refusal:
        check_lines(lines)
    assert [problem.pointer for problem in refusal.value.problems] == ["/lines/2/line_id"]


@given(contents(), st.randoms())
def test_the_order_of_lines_is_no_content(lines: list[OrderLine], random: object) -> None:
    """The same lines in another order are the same version."""
    shuffled = list(lines)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    customer = Customer(id="c")
    assert content_digest(customer, shuffled) == content_digest(customer, lines)


def test_every_part_of_the_content_counts() -> None:
    """Another customer, name, address, quantity, SKU, line id or a line more is another version."""
    customer, line = Customer(id="c"), OrderLine(line_id="1", sku="cad", quantity=1)
    variants = [
        (customer, [line]),
        (Customer(id="d"), [line]),
        (Customer(id="c", name="n"), [line]),
        (Customer(id="c", email="n"), [line]),
        (customer, [OrderLine(line_id="1", sku="cad", quantity=2)]),
        (customer, [OrderLine(line_id="1", sku="render", quantity=1)]),
        (customer, [OrderLine(line_id="2", sku="cad", quantity=1)]),
        (customer, [line, OrderLine(line_id="2", sku="cad", quantity=1)]),
        (customer, []),
    ]
    assert len({content_digest(*variant) for variant in variants}) == len(variants)
