"""The ledger of an order: whatever order messages come in, and however often, it comes to the same."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from licentia.connectors import Change, Customer, Line
from licentia.domain.ledger import STATES, Ledger, Parked, begin_with, tell

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MS = 1_767_268_800_000
"""A version that is a time in milliseconds, as most systems have it."""


def line(line_id: str, quantity: int = 0, sku: str | None = None) -> Line:
    """A line of so many; its article is called as the line."""
    return Line(line_id=line_id, sku=line_id.upper() if sku is None else sku, quantity=Decimal(quantity))


def lines(**quantities: int) -> tuple[Line, ...]:
    """Lines by their ids."""
    return tuple(line(line_id, quantity) for line_id, quantity in quantities.items())


def placed(version: int, **quantities: int) -> Change:
    """All of the order."""
    buyer = Customer(id="anna")
    told = lines(**quantities)
    return Change(kind="placed", order_number="1", version=version, full_snapshot=True, customer=buyer, lines=told)


def returned(number: str, version: int = 0, **quantities: int) -> Change:
    """A return of a number; without lines of everything."""
    told = lines(**quantities)
    return Change(kind="returned", order_number=number, version=version, full_snapshot=not told, lines=told, origin="1")


def renewed(number: str, version: int = 0, origin: str | None = "1", **quantities: int) -> Change:
    """A renewal of a number."""
    return Change(kind="renewed", order_number=number, version=version, lines=lines(**quantities), origin=origin)


def cancelled(version: int = 0, number: str = "1") -> Change:
    """The end of the order, or of another number."""
    return Change(kind="cancelled", order_number=number, version=version)


def copy(ledger: Ledger) -> Ledger:
    """The ledger, as the database gives it back."""
    return msgspec.json.decode(msgspec.json.encode(ledger), type=Ledger)


def came(changes: Iterable[Change], *, ledger: Ledger | None = None) -> Ledger:
    """The ledger after these, one a second; what cannot be told yet is tried again after each that could."""
    ledger, waiting = ledger or Ledger(number="1"), list[tuple[Change, datetime]]()
    for second, change in enumerate(changes):
        waiting.append((change, NOON + timedelta(seconds=second)))
        moved = True
        while moved:
            moved = False
            for each in list(waiting):
                attempt = copy(ledger)
                try:
                    _told(attempt, *each)
                except Parked:
                    continue
                ledger, moved = attempt, True
                waiting.remove(each)
    return ledger


def _told(ledger: Ledger, change: Change, at: datetime) -> None:
    opens = change.kind == "cancelled" or (change.kind in STATES and change.full_snapshot)
    if not (ledger.placed or ledger.cancelled or opens):
        raise Parked("order_unknown", "Nobody has placed it.")
    if not ledger.is_stale(change, at):
        tell(ledger, change, at, part=change.kind == "cancelled" and change.order_number != ledger.number)


def left(ledger: Ledger) -> dict[str, int]:
    """What is left of each line that has anything."""
    return {line_id: int(count) for line_id, count in ledger.quantities().items() if count}


def refusal(ledger: Ledger, change: Change) -> Parked:
    """Why a change cannot be told."""
    with pytest.raises(Parked) as refused:
        tell(ledger, change, NOON + timedelta(days=1), part=False)
    return refused.value


# --- any order, any number of times -----------------------------------------------------------------

IDS = st.sampled_from("abc")
QUANTITIES = st.dictionaries(IDS, st.integers(0, 9), max_size=3)


@st.composite
def worlds(draw: st.DrawFn) -> list[Change]:
    """What has really happened to an order, in the order in which it did; each with a version of its own."""
    happened: list[Any] = [("placed", draw(QUANTITIES))]
    kinds = draw(st.sampled_from([("placed", "cancelled"), ("placed", "part")]))
    happened += draw(st.lists(st.tuples(st.sampled_from((*kinds, "returned", "renewed")), QUANTITIES), max_size=7))
    changes = []
    for place, (kind, quantities) in enumerate(happened):
        version = MS + place * 1000
        if kind == "placed":
            changes.append(placed(version, **quantities))
        elif kind == "part":
            part = msgspec.structs.replace(placed(version, **quantities), kind="changed", full_snapshot=False)
            changes.append(part)
        elif kind == "cancelled":
            changes.append(cancelled(version))
        elif kind == "renewed":
            changes.append(renewed(f"n{draw(st.integers(1, 3))}", version))
        else:
            line_id = draw(IDS)
            changes.append(returned(f"r-{line_id}", version, **{line_id: draw(st.integers(0, 9))}))
    return changes


def expected(changes: Sequence[Change]) -> tuple[dict[str, int], int, bool]:
    """What is left, how often it was renewed, whether it is cancelled: by the newest state of each number."""
    ordered: dict[str, int] = {}
    over = False
    returns: dict[str, Change] = {}
    for change in changes:
        if change.kind in STATES:
            over = False
            told = {each.line_id: int(each.quantity) for each in change.lines}
            ordered = told if change.full_snapshot else ordered | told
        elif change.kind == "cancelled":
            over = True
        elif change.kind == "returned":
            returns[change.order_number] = change
    for change in returns.values():
        for each in change.lines:
            count = int(each.quantity) or 10**6  # no quantity is all of the line
            ordered[each.line_id] = max(0, ordered.get(each.line_id, 0) - count)
    renewals = {change.order_number for change in changes if change.kind == "renewed"}
    return {line_id: count for line_id, count in ordered.items() if count}, len(renewals), over


@given(worlds(), st.data())
def test_any_order_and_any_repetition_come_to_the_same(changes: list[Change], data: st.DataObject) -> None:
    """Where versions are told, only what has happened counts, not how it was delivered."""
    again = data.draw(st.lists(st.sampled_from(changes), max_size=5))
    arrived = data.draw(st.permutations([*changes, *again]))
    ledger = came(arrived)
    quantities, renewals, over = expected(changes)
    assert ledger.cancelled is over
    assert over or left(ledger) == quantities
    assert [ledger.renewals(line_id) for line_id in ledger.lines] == [renewals] * len(ledger.lines)


@given(worlds())
def test_quantities_are_never_negative(changes: list[Change]) -> None:
    """However much comes back, nothing is owed by the seller."""
    ledger = came(changes)
    assert all(count >= 0 for count in ledger.quantities().values())


@given(worlds())
def test_it_survives_the_database(changes: list[Change]) -> None:
    """What is written down and read again is the same ledger."""
    ledger = came(changes)
    assert copy(ledger) == ledger


# --- states -----------------------------------------------------------------------------------------


def test_without_versions_the_last_one_counts() -> None:
    """A system that tells no versions is believed in the order in which it speaks."""
    assert left(came([placed(0, a=1), placed(0, a=2)])) == {"a": 2}


def test_a_change_of_some_lines_leaves_the_others() -> None:
    """An older change of another line still counts, although a newer one came first."""
    newer = Change(kind="changed", order_number="1", version=3, lines=lines(a=5))
    older = Change(kind="changed", order_number="1", version=2, lines=lines(b=7))
    for arrived in itertools.permutations([placed(1, a=1, b=1), newer, older]):
        assert left(came(arrived)) == {"a": 5, "b": 7}


def test_what_is_known_of_the_buyer_stays() -> None:
    """A state that tells only the id keeps the name; a refund tells nothing of who bought, a new buyer all."""
    ledger = came([msgspec.structs.replace(placed(1, a=1), customer=Customer(id="anna", name="Anna", email="a@x"))])
    for told, name in (("anna", "Anna"), ("bert", None)):
        tell(ledger, msgspec.structs.replace(placed(2, a=1), customer=Customer(id=told)), NOON, part=False)
        assert ledger.customer is not None
        assert (ledger.customer.id, ledger.customer.name) == (told, name)
    tell(ledger, msgspec.structs.replace(returned("r1", a=1), customer=Customer(id="card-1")), NOON, part=False)
    assert ledger.customer == Customer(id="bert")


def test_a_cancelled_order_without_versions_is_for_a_person() -> None:
    """Nobody knows which is newer, the cancellation or the order."""
    ledger = came([cancelled()])
    assert refusal(ledger, placed(0, a=1)).code == "order_cancelled"


def test_a_line_with_another_article_is_another_line() -> None:
    """What is known of the article is not carried over to another one."""
    ledger = came([placed(1, a=1)])
    ledger.lines["a"].known = True
    tell(ledger, placed(2, a=2), NOON, part=False)
    assert ledger.lines["a"].known
    other = msgspec.structs.replace(placed(3), lines=(line("a", 3, "B"),))
    tell(ledger, other, NOON, part=False)
    assert not ledger.lines["a"].known


# --- returns ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("numbers", "same"), [((), True), (("g1", "g9"), True), (("a",), True), (("g2",), False)])
@pytest.mark.parametrize("article", ["", "a"])
def test_an_article_may_be_told_by_its_other_numbers_alone(numbers: tuple[str, ...], same: bool, article: str) -> None:
    """A line without a number of its own means the article with one of its other numbers; with none, the known one."""
    known = Line(line_id="l", sku=article, quantity=Decimal(2), alternatives=("g1",))
    later = Line(line_id="l", sku="", quantity=Decimal(3), alternatives=numbers)
    ledger = came(
        [msgspec.structs.replace(placed(version), lines=(told,)) for version, told in ((1, known), (2, later))]
    )
    same = same if article or numbers != ("a",) else False
    assert (ledger.lines["l"].alternatives == ("g1",), ledger.lines["l"].quantity) == (same, 3)


def test_a_whole_return_beside_partial_ones_is_capped() -> None:
    """One of three comes back, then all: nothing is left, and nothing is counted below."""
    assert left(came([placed(1, a=3), returned("r1", a=1)])) == {"a": 2}
    assert left(came([placed(1, a=3), returned("r1", a=1), returned("r2")])) == {}
    assert left(came([placed(1, a=3, b=1), returned("r1", a=2), returned("r2", a=2)])) == {"b": 1}


def test_a_return_by_the_orders_own_number_is_none_of_its_states() -> None:
    """A system that tells a return under the order's number: a late older state of the order still counts."""
    part = Change(kind="returned", order_number="1", version=5, lines=lines(a=2), origin="1")
    for arrived in itertools.permutations([placed(1, a=3), part, placed(2, a=3, b=2)]):
        assert left(came(arrived)) == {"a": 1, "b": 2}


def test_a_shop_whose_order_is_refunded_tells_all_of_it() -> None:
    """The state `refunded` of an order takes back all, whatever else is told later of what was ordered."""
    whole = Change(kind="returned", order_number="1", version=5, full_snapshot=True, lines=lines(a=3), origin="1")
    for arrived in itertools.permutations([placed(1, a=3), whole, placed(2, a=3, b=2)]):
        assert left(came(arrived)) == {}


def test_a_return_that_is_called_off_takes_nothing_back() -> None:
    """A return document that is cancelled is none; the order stays."""
    ledger = came([placed(1, a=3), returned("r1", 2, a=2), cancelled(3, "r1")])
    assert left(ledger) == {"a": 3}
    assert not ledger.cancelled


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (returned("r1", x=1), "line_unknown"),
        (msgspec.structs.replace(returned("r1"), full_snapshot=False), "undecided"),
        (renewed("1"), "undecided"),
    ],
)
def test_what_cannot_be_decided_is_for_a_person(change: Change, code: str) -> None:
    """Nothing is guessed."""
    assert refusal(came([placed(1, a=3)]), change).code == code


def test_a_return_finds_its_line_by_the_article() -> None:
    """Systems whose returns have lines of their own name the article."""
    back = msgspec.structs.replace(returned("r1"), full_snapshot=False, lines=(line("9", 1, "A"),))
    assert left(came([placed(1, a=3), back])) == {"a": 2}


# --- renewals ---------------------------------------------------------------------------------------


def test_a_renewal_counts_once_however_often_it_is_told() -> None:
    """Processing, then completed: the same number, the same renewal."""
    ledger = came([placed(MS, a=3), renewed("n1", MS + 1), renewed("n1", MS + 2), renewed("n2", MS + 3, a=3)])
    assert ledger.renewals("a") == 2


def test_renewals_by_the_orders_own_number_are_told_apart_by_their_versions() -> None:
    """Twice a year, told in the wrong order and once more: two renewals, and no state of the order is lost."""
    first, second = renewed("1", 20260101, a=1), renewed("1", 20270101, a=1)
    ledger = came([placed(20250101, a=1), second, first, second, placed(20250601, a=2)])
    assert ledger.renewals("a") == 2
    assert left(ledger) == {"a": 2}


def test_a_renewal_that_is_paid_back_is_undone() -> None:
    """With its own lines, by its article, or as a whole; in any order, also if it is told again."""
    renewal = msgspec.structs.replace(renewed("n1", MS + 1), lines=(line("70", 3, "A"),))
    again = msgspec.structs.replace(renewal, version=MS + 5)
    for told in ((), (line("71", 3, "A"),), (line("71", 0, "A"),)):
        back = Change(kind="returned", order_number="r1", full_snapshot=not told, lines=told, origin="n1")
        ledger = came([placed(MS, a=3), renewal, back, again])
        assert ledger.renewals("a") == 0
        assert left(ledger) == {"a": 3}


def test_a_part_of_a_renewal_is_for_a_person() -> None:
    """Two of three paid back of a renewal: whether it ends is not told."""
    ledger = came([placed(1, a=3), renewed("n1", a=3)])
    back = Change(kind="returned", order_number="r1", lines=lines(a=2), origin="n1")
    assert refusal(ledger, back).code == "undecided"


def test_a_renewal_that_is_cancelled_was_none_and_the_order_stays() -> None:
    """The renewal's own document is called off, and comes back if it is paid after all."""
    changes = [placed(MS, a=3), renewed("n1", MS + 1, a=3), cancelled(MS + 2, "n1")]
    ledger = came(changes)
    assert (ledger.renewals("a"), left(ledger), ledger.cancelled) == (0, {"a": 3}, False)
    assert came([renewed("n1", MS + 3, a=3)], ledger=ledger).renewals("a") == 1


def test_an_older_renewal_does_not_take_back_a_newer_quantity() -> None:
    """A renewal tells how many are paid for; the order's newer state tells it better."""
    renewal = msgspec.structs.replace(renewed("n1", MS + 1, a=3), full_snapshot=True)
    for arrived in itertools.permutations([placed(MS, a=1), renewal, placed(MS + 2, a=5)]):
        assert left(came(arrived)) == {"a": 5}
    for arrived in itertools.permutations([placed(MS, a=1), renewal]):
        assert left(came(arrived)) == {"a": 3}


@pytest.mark.parametrize("origin", ["sub", "1"])
def test_an_order_may_begin_with_a_renewal(origin: str) -> None:
    """It is placed by it, once, however often that is told; the next renewal is the first."""
    ledger, first = Ledger(number="1"), renewed("1", MS, origin, a=3)
    order = msgspec.structs.replace(first, kind="placed")
    tell(ledger, order, NOON, part=False)
    begin_with(ledger, order)
    assert (left(ledger), ledger.renewals("a")) == ({"a": 3}, 0)
    tell(ledger, first, NOON, part=False)
    assert ledger.renewals("a") == 0
    following = renewed("1" if origin == "1" else "2", MS + 9, origin, a=3)
    tell(ledger, following, NOON, part=False)
    assert ledger.renewals("a") == 1


# --- subscriptions ----------------------------------------------------------------------------------


def subscription(version: int, quantity: int) -> Change:
    """The state of a subscription of the article A, under its own number."""
    told = (line("item", quantity, "A"),)
    return Change(kind="changed", order_number="sub", version=version, full_snapshot=True, lines=told, origin="1")


def test_a_subscription_changes_only_its_own_lines() -> None:
    """A subscription of one article is a part of the order; the rest was bought for good."""
    ledger = came([placed(MS, a=1, b=2)])
    tell(ledger, subscription(MS + 1, 4), NOON, part=True)
    assert left(ledger) == {"a": 4, "b": 2}
    tell(ledger, cancelled(MS + 2, "sub"), NOON, part=True)
    assert left(ledger) == {"b": 2}
    assert not ledger.cancelled


def test_a_payment_is_another_name_of_what_it_paid_for() -> None:
    """Money goes back of a payment, which was that of a renewal."""
    ledger = came([placed(MS, a=1), renewed("n1", MS + 1)])
    tell(ledger, Change(kind="changed", order_number="pay", version=MS + 1, origin="n1"), NOON, part=True)
    tell(ledger, Change(kind="returned", order_number="r1", full_snapshot=True, origin="pay"), NOON, part=False)
    assert (ledger.renewals("a"), left(ledger)) == (0, {"a": 1})
