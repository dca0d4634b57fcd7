"""The seats of one license: whatever happens to them, they follow from what is ordered and what is placed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from licentia.domain.licenses import Stock
from licentia.errors import Conflict, LicenseWithdrawn, TicketExhausted

SEATS = st.integers(0, 12)
NOW = datetime(2026, 5, 1, tzinfo=UTC)


class Life(RuleBasedStateMachine):
    """Any sequence of sales, activations, returns and withdrawals, against a second bookkeeping."""

    def __init__(self) -> None:
        super().__init__()
        self.stock = Stock(quantity=5)
        self.ordered = 5
        self.placed = 0
        self.standing = "live"

    @rule(seats=SEATS)
    def place(self, seats: int) -> None:
        if self.standing != "live":
            with pytest.raises(LicenseWithdrawn):
                self.stock.place(seats)
        elif seats > max(0, self.ordered - self.placed):
            with pytest.raises(TicketExhausted):
                self.stock.place(seats)
        else:
            self.stock = self.stock.place(seats)
            self.placed += seats

    @rule(seats=SEATS)
    def take_back(self, seats: int) -> None:
        if seats > self.placed:
            with pytest.raises(Conflict):
                self.stock.take_back(seats)
        else:
            self.stock = self.stock.take_back(seats)
            self.placed -= seats

    @rule(seats=SEATS)
    def order(self, seats: int) -> None:
        self.stock = self.stock.order(seats)
        assert self.stock.order(seats) == self.stock, "the same order again changes nothing"
        self.ordered = seats

    @rule(at_once=st.booleans())
    def withdraw(self, at_once: bool) -> None:
        self.stock = self.stock.withdraw(at_once=at_once)
        if self.standing != "withdrawn":
            self.standing = "withdrawn" if at_once else "withdraw_pending"

    @invariant()
    def the_numbers_fit(self) -> None:
        stock = self.stock
        assert 0 <= stock.to_reclaim <= stock.placed <= stock.quantity
        assert stock.placed == self.placed
        assert stock.quantity == max(self.ordered, self.placed)
        assert stock.to_reclaim == max(0, self.placed - self.ordered)
        assert stock.standing == self.standing
        assert stock.available == (max(0, self.ordered - self.placed) if self.standing == "live" else 0)


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=40, stateful_step_count=30)


def test_a_refusal_says_how_many_are_left() -> None:
    """Who asks for too many seats is told how many there are."""
    with pytest.raises(TicketExhausted, match="2 of 5 seats are left; 3 were asked for"):
        Stock(quantity=5, placed=3).place(3)


@pytest.mark.parametrize(
    ("stock", "state"),
    [
        (Stock(quantity=2), "available"),
        (Stock(quantity=2, placed=1), "activated"),
        (Stock(quantity=0), "withdrawn"),
        (Stock(quantity=2).withdraw(at_once=True), "withdrawn"),
        (Stock(quantity=2, placed=1).withdraw(at_once=True), "withdrawn"),
        (Stock(quantity=2, placed=1).withdraw(at_once=False), "withdraw_pending"),
        (Stock(quantity=2, placed=1).order(0), "activated"),
        (Stock(quantity=2, placed=1).order(0).take_back(1), "withdrawn"),
    ],
)
def test_the_state_in_one_word(stock: Stock, state: str) -> None:
    """The word for people follows from the seats and from what the vendor decided."""
    assert stock.state(None, NOW) == state


@pytest.mark.parametrize(
    ("stock", "state"),
    [
        (Stock(quantity=2, placed=1), "expired"),
        (Stock(quantity=2), "expired"),
        (Stock(quantity=2).withdraw(at_once=True), "withdrawn"),
        (Stock(quantity=2, placed=1).withdraw(at_once=False), "withdraw_pending"),
    ],
)
def test_what_was_decided_comes_before_what_time_did(stock: Stock, state: str) -> None:
    """A withdrawn license stays withdrawn when it expires, and expiry is exact."""
    assert stock.state(NOW, NOW) == state
    assert stock.state(NOW + timedelta(microseconds=1), NOW) != "expired"
