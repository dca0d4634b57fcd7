"""The book: what holds after any history whatever. `Tables.check` looks at every step that no seat is sold twice."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from licentia.domain.seats import Consume, Consumed, Full, Granted, Outcome, Waiting
from licentia.errors import IdempotencyMismatch, LicensingError, UnitsExhausted

MODELS = ("floating", "named_user", "node_locked", "exclusive", "station_share", "unlimited")
TYPES = (Granted, Full, Waiting, LicensingError, type(None))

pools = st.lists(
    st.fixed_dictionaries(
        {"license_model": st.sampled_from(MODELS), "seats": st.integers(1, 4), "user_id": st.just("team")},
        optional={
            "overdraft": st.integers(1, 2),
            "linger_seconds": st.sampled_from((5, 30)),
            "reassign_after_days": st.just(1),
            "offline_days": st.just(2),
            "expires_at": st.sampled_from(("2027-01-15T09:00:00Z", "2028-01-01T00:00:00Z")),
        },
    ),
    min_size=1,
    max_size=3,
)
claims = st.fixed_dictionaries(
    {"lease_id": st.sampled_from("abcd"), "user": st.sampled_from(("ada", "ben")), "seats": st.integers(1, 4)},
    optional={
        "station": st.sampled_from(("ws1", "ws2")),
        "ttl_seconds": st.sampled_from((5, 60, 600)),
        "borrow_days": st.integers(1, 3),
        "may_wait": st.just(True),
    },
)
pauses = st.sampled_from((0, 0, 0, 0, 0, 1, 4, 30, 3600, 86_400))
steps = st.lists(st.tuples(pauses, st.one_of(claims, claims, st.sampled_from("abcd"))), min_size=5, max_size=25)


def sold(tables: Any, terms: Any) -> Any:
    """Tables with these pools."""
    for number, each in enumerate(terms):
        tables.pool(f"p{number}", **each)
    return tables


def do(tables: Any, step: Any) -> Outcome:
    """Let time pass, then claim or release."""
    pause, wish = step
    tables.after(seconds=pause)
    return tables.release(wish) if isinstance(wish, str) else tables.claim(**wish, bindings=("team",))


@given(pools, steps)
def test_no_history_sells_a_seat_twice(make_tables: Any, terms: Any, history: Any) -> None:
    """Every step has one of the answers that there are, and leaves the books in order."""
    tables = sold(make_tables(), terms)
    for step in history:
        assert isinstance(do(tables, step), TYPES)


@given(
    st.sampled_from(("named_user", "station_share")),
    st.lists(st.one_of(st.sampled_from("abcd"), st.tuples(st.sampled_from("abcd"), st.integers(1, 4))), min_size=5),
)
def test_a_group_is_charged_its_largest_member(make_tables: Any, model: Any, history: Any) -> None:
    """Claimed and released in whatever order, the seats of those who share are the seats of the largest of them."""
    tables = make_tables()
    tables.pool(seats=4, license_model=model)
    mine: dict[str, int] = {}
    for step in history:
        if isinstance(step, str):
            tables.release(step)
            mine.pop(step, None)
        else:
            id, seats = step
            seats = mine.setdefault(id, seats)
            assert isinstance(tables.claim(id, seats=seats, station="ws1"), Granted)
        assert tables.pools["p1"].in_use == max(mine.values(), default=0)


@given(pools, steps, st.lists(claims, min_size=1, max_size=4))
def test_a_repeat_changes_nothing(make_tables: Any, terms: Any, history: Any, wishes: Any) -> None:
    """Whatever a claim was answered, at the same instant the same claim is answered the same, and nothing happens."""
    tables = sold(make_tables(), terms)
    for step in history:
        do(tables, step)
    for wish in wishes:
        first = do(tables, (0, wish))
        seats, waiters, happened = dict(tables.seats), list(tables.waiters), len(tables.happened)
        second = do(tables, (0, wish))
        if isinstance(first, Granted):
            borrowed = first.parts[0].state == "borrowed"
            assert isinstance(second, Granted)
            assert second == msgspec.structs.replace(first, created=False)
            assert len(tables.happened) - happened == (len(first.parts) if borrowed and "borrow_days" in wish else 0)
        else:
            assert type(second) is type(first)
            assert len(tables.happened) == happened or isinstance(first, LicensingError)
        if not isinstance(first, LicensingError):
            assert (tables.seats, tables.waiters) == (seats, waiters)


@given(pools, steps, claims)
def test_a_release_undoes_a_claim(make_tables: Any, terms: Any, history: Any, wish: Any) -> None:
    """Where nothing lingers or is assigned, the seats that were in use before are in use after."""
    plain = [
        {name: value for name, value in each.items() if name not in ("linger_seconds", "reassign_after_days")}
        | ({"license_model": "floating"} if each["license_model"] == "node_locked" else {})
        for each in terms
    ]
    tables = sold(make_tables(), plain)
    for step in history:
        do(tables, step)
    tables.release(wish["lease_id"])
    before = {id: tables.seats[id].seats for id in tables.live()}
    if isinstance(do(tables, (0, wish)), Granted):
        tables.release(wish["lease_id"])
    assert {id: tables.seats[id].seats for id in tables.live()} == before


@given(pools, steps)
def test_the_choice_does_not_depend_on_the_order_of_rows(make_tables: Any, terms: Any, history: Any) -> None:
    """Two databases that give pools and seats in another order give the same seats of the same licenses."""
    tables, mirrored = sold(make_tables(), terms), sold(make_tables(), terms)
    for step in history:
        mirrored.pools = dict(reversed(mirrored.pools.items()))
        mirrored.seats = dict(reversed(mirrored.seats.items()))
        first, second = do(tables, step), do(mirrored, step)
        assert str(first) == str(second)
        assert tables.seats == mirrored.seats


@given(
    st.integers(1, 3),
    st.lists(st.tuples(st.sampled_from((0, 0, 1, 2)), st.sampled_from("abcdefgh"), st.booleans()), max_size=40),
    st.fixed_dictionaries({id: st.integers(1, 2) for id in "abcdefgh"}),
)
def test_nobody_is_overtaken(make_tables: Any, capacity: Any, history: Any, sizes: Any) -> None:
    """After every grant there is still room for all who came before and were heard of in the last three seconds."""
    tables = make_tables()
    tables.pool(seats=capacity)
    came: dict[str, int] = {}
    seen: dict[str, int] = {}
    for number, (pause, id, releases) in enumerate(history):
        tables.after(seconds=pause)
        seats = min(sizes[id], capacity)
        for other in [other for other in came if seen[other] <= tables.now - 3_000_000]:
            del came[other], seen[other]
        if id in tables.seats:
            if releases:
                tables.release(id)
            continue
        mine = came.get(id, number)
        outcome = tables.claim(id, seats=seats, may_wait=True)
        ahead = sum(min(sizes[other], capacity) for other, place in came.items() if place < mine)
        free = capacity - tables.pools["p1"].in_use
        if isinstance(outcome, Granted):
            assert free >= ahead
            came.pop(id, None)
            seen.pop(id, None)
        else:
            assert outcome == Waiting(sum(place < mine for place in came.values()))
            assert free < ahead + seats
            came[id], seen[id] = mine, tables.now


@given(
    st.integers(1, 30),
    st.integers(1, 30),
    st.lists(st.tuples(st.integers(1, 12), st.sampled_from("abcdef"), st.sampled_from(("", "render"))), max_size=20),
    st.integers(1, 3),
)
def test_units_are_consumed_once_and_never_below_zero(
    make_tables: Any, plain: Any, render: Any, requests: Any, together: Any
) -> None:
    """What the meters lost is what was granted, each request id once, however many come in one transaction."""
    tables = make_tables()
    tables.pool("p1", units=plain, meters=[{"name": "render", "units": render}])
    tables.pool("p2", units=plain)
    granted: dict[str, tuple[int, str]] = {}
    for start in range(0, len(requests), together):
        batch = requests[start : start + together]
        wishes = [
            Consume(request_id=id, digest=f"{units} {meter}", product_code="cad", user="ada", bindings=("ada",),
                    actor="key", units=units, meter=meter)
            for units, id, meter in batch
        ]  # fmt: skip
        for (units, id, meter), outcome in zip(batch, tables.settle(*wishes), strict=True):
            if id in granted:
                assert isinstance(outcome, Consumed if granted[id] == (units, meter) else IdempotencyMismatch)
            elif isinstance(outcome, Consumed):
                granted[id] = units, meter
            else:
                total = {"": 2 * plain, "render": render}[meter]
                assert isinstance(outcome, UnitsExhausted)
                assert sum(taken for taken, of in granted.values() if of == meter) + units > total
    for meter in ("", "render"):
        used = sum(each.used for each in tables.meters if each.name == meter)
        assert used == sum(units for units, of in granted.values() if of == meter)
