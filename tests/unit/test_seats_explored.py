"""The seats as a model, explored whole: every interleaving of a few clients, whose transactions are single steps.

docs/seats.md has it on paper. Times are ticks that are left, so that there are finitely many worlds, and
no history is too long to be looked at. The book itself is held to the model at every step, and designs
that sell a seat twice must be found out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from licentia.domain.instants import DAY
from licentia.domain.seats import Granted, Seat

LIFE, BORROW = 2, 4


class Client(NamedTuple):
    """A client and the row of its lease: ticks left in the table (0: ended, None: no row) and as it was promised."""

    row: int | None = None
    borrowed: bool = False
    promised: int = 0
    seen: int | None = None
    """What a broken design has looked at before it writes."""


class World(NamedTuple):
    """The tables and what the clients believe. `closing`: withdrawn, what was granted runs out."""

    clients: tuple[Client, ...]
    in_use: int = 0
    closing: bool = False

    def after(self, index: int, in_use: int, **changes: Any) -> World:
        """This world after a change of one client."""
        mine = self.clients[index]._replace(**changes)
        return self._replace(clients=(*self.clients[:index], mine, *self.clients[index + 1 :]), in_use=in_use)


Step = tuple[str, World]
Design = Callable[[World, int], Iterator[Step]]


def ended(world: World, needed: int) -> World:
    """The world after so many ended leases were deleted, if there are as many, and the counter lowered."""
    for index, client in enumerate(world.clients):
        if needed > 0 and client.row == 0:
            world, needed = world.after(index, world.in_use - 1, row=None, borrowed=False), needed - 1
    return world


def claim(world: World, index: int, seats: int, life: int, *, borrow: bool) -> World:
    """Claim or renew, and end what is needed of what has ended: one transaction under the lock of the pool."""
    client = world.clients[index]
    if world.closing:
        lost = client.row is not None
        return world.after(index, world.in_use - lost, row=None, borrowed=False, promised=0)
    if client.row:
        left = max(life, client.row) if client.borrowed else life
        return world.after(index, world.in_use, row=left, borrowed=client.borrowed or borrow, promised=left)
    if client.row == 0:
        world = world.after(index, world.in_use - 1, row=None, borrowed=False)
    world = ended(world, world.in_use + 1 - seats)
    if world.in_use == seats:
        return world
    return world.after(index, world.in_use + 1, row=life, borrowed=borrow, promised=life)


def emptied(world: World) -> World:
    """All leases ended by the vendor or the owner, who takes the promises back."""
    return World(tuple(Client() for _ in world.clients))


def passed(world: World) -> World:
    """A tick later. The table changes by no write of anybody's: what has ended still holds its seat."""
    return world._replace(
        clients=tuple(
            client._replace(
                row=client.row and client.row - 1,
                borrowed=client.borrowed and client.row != 1,
                promised=max(0, client.promised - 1),
            )
            for client in world.clients
        )
    )


def is_borrowed(world: World) -> bool:
    """Whether somebody works offline."""
    return any(client.borrowed and client.row for client in world.clients)


def ours(world: World, seats: int) -> Iterator[Step]:
    """The design: each step is a transaction that holds the pool's row."""
    yield "tick", passed(world)
    yield "withdraw now", emptied(world)._replace(closing=True)
    yield "withdraw at next contact", world._replace(closing=True)
    if not is_borrowed(world):
        yield "return and activate anew", emptied(world)
    for index, client in enumerate(world.clients):
        yield f"{index} claims", claim(world, index, seats, LIFE, borrow=False)
        yield f"{index} borrows", claim(world, index, seats, BORROW, borrow=True)
        yield f"{index} crashes", world.after(index, world.in_use, promised=0)
        gone = client.row is not None
        yield f"{index} releases", world.after(index, world.in_use - gone, row=None, borrowed=False, promised=0)


def expiry_is_read(world: World, seats: int) -> Iterator[Step]:
    """Broken: a claim counts the leases that have not ended, and a renewal locks no more than its own row."""
    yield "tick", passed(world)
    for index, client in enumerate(world.clients):
        if client.seen:
            yield f"{index} writes", world.after(index, 0, row=LIFE, promised=LIFE, seen=None)
        elif client.row:
            yield f"{index} looks", world.after(index, 0, seen=client.row)
        elif sum(bool(other.row) for other in world.clients) < seats:
            yield f"{index} claims", world.after(index, 0, row=LIFE, promised=LIFE)


def counted_before_the_lock(world: World, seats: int) -> Iterator[Step]:
    """Broken: one statement counts and inserts, but what it counts is from before it had the lock."""
    yield "tick", passed(world)
    for index, client in enumerate(world.clients):
        if client.seen is not None:
            granted = {"row": LIFE, "promised": LIFE} if client.seen < seats else {}
            yield f"{index} inserts", world.after(index, 0, seen=None, **granted)
        elif not client.row:
            yield f"{index} counts", world.after(index, 0, seen=sum(bool(other.row) for other in world.clients))


def counter_by_itself(world: World, seats: int) -> Iterator[Step]:
    """Broken: a release lowers the counter in one transaction and deletes the lease in the next."""
    yield "tick", passed(world)
    for index, client in enumerate(world.clients):
        yield f"{index} crashes", world.after(index, world.in_use, promised=0, seen=None)
        if client.seen:
            yield f"{index} deletes", world.after(index, world.in_use, row=None, seen=None)
        else:
            yield f"{index} claims", claim(world, index, seats, LIFE, borrow=False)
            if client.row:
                yield f"{index} lowers", world.after(index, world.in_use - 1, promised=0, seen=1)


def borrowed_is_returned(world: World, seats: int) -> Iterator[Step]:
    """Broken: an activation is returned although somebody works offline with it, who cannot be told."""
    yield "tick", passed(world)
    told = [client._replace(row=None, borrowed=False, promised=client.borrowed * client.promised)
            for client in world.clients]  # fmt: skip
    yield "return and activate anew", World(tuple(told))
    for index in range(len(world.clients)):
        yield f"{index} claims", claim(world, index, seats, LIFE, borrow=False)
        yield f"{index} borrows", claim(world, index, seats, BORROW, borrow=True)


def is_sold_once(world: World, seats: int) -> bool:
    """The invariant: no more clients than seats were promised one that still lasts."""
    return sum(client.promised > 0 for client in world.clients) <= seats


def explored(design: Design, clients: int, seats: int) -> dict[World, list[str]]:
    """Every world that can be reached, with the shortest way; the last breaks the invariant, or none does.

    Clients are alike, so that worlds which differ in their order only are one.
    """
    start = World((Client(),) * clients)
    ways: dict[World, list[str]] = {start: []}
    frontier = [start]
    while frontier:
        reached = []
        for world in frontier:
            for name, after in design(world, seats):
                known = after._replace(clients=tuple(sorted(after.clients, key=repr)))
                if known not in ways:
                    ways[known] = [*ways[world], name]
                    reached.append(known)
                    if not is_sold_once(known, seats):
                        return ways
        frontier = reached
    return ways


@pytest.mark.parametrize(("clients", "seats", "size"), [(2, 1, 28), (3, 1, 28), (3, 2, 210), (4, 3, 1120)])
def test_no_interleaving_sells_a_seat_twice(clients: int, seats: int, size: int) -> None:
    """In every world promises are kept, the counter counts the rows, and no seat is lost for ever."""
    worlds = explored(ours, clients, seats)
    assert len(worlds) == size
    for world in worlds:
        rows = [client.row for client in world.clients if client.row is not None]
        assert world.in_use == len(rows) <= seats, worlds[world]
        assert is_sold_once(world, seats), worlds[world]
        assert all((client.row or 0) >= client.promised for client in world.clients), worlds[world]
        if not world.closing:
            for _ in range(BORROW):
                world = passed(world)
            for index in range(seats):
                world = claim(world, index, seats, LIFE, borrow=False)
            assert sum(client.promised == LIFE for client in world.clients) == seats


@pytest.mark.parametrize("design", [expiry_is_read, counted_before_the_lock, counter_by_itself, borrowed_is_returned])
@pytest.mark.parametrize(("clients", "seats"), [(2, 1), (3, 2)])
def test_broken_designs_are_found_out(design: Design, clients: int, seats: int) -> None:
    """Each sells a seat twice within a few steps: so the exploration sees what it is made to see."""
    *_, (world, way) = explored(design, clients, seats).items()
    assert not is_sold_once(world, seats)
    assert len(way) <= 3 + 3 * seats, way


def test_the_way_in_which_a_read_expiry_sells_a_seat_twice() -> None:
    """The renewal has seen its lease alive, is late, and writes when another has the seat."""
    *_, way = explored(expiry_is_read, 2, 1).values()
    steps = [step.split()[-1] for step in way]
    assert steps == ["claims", "tick", "looks", "tick", "claims", "writes"]


@pytest.mark.parametrize(("clients", "seats"), [(2, 1), (3, 2), (4, 3)])
def test_the_book_takes_the_steps_of_the_model(make_tables: Any, clients: int, seats: int) -> None:
    """From every world the real rules come to the world that the model comes to, whatever is asked."""

    def tables_of(world: World) -> Any:
        tables = make_tables()
        terms = {"offline_days": BORROW, "lease_ttl_seconds": LIFE * 86_400}
        pool = tables.pool(seats=seats, state="closing" if world.closing else "open", **terms)
        pool.in_use = world.in_use
        for index, client in enumerate(world.clients):
            if client.row is not None:
                tables.seats[str(index)] = Seat(
                    id=str(index), pool_id="p1", user_id="ada", station=None, feature=None, share_key=None, seats=1,
                    charged=1, granted_at=0, expires_at=tables.now + client.row * DAY,
                    state="borrowed" if client.borrowed else "live",
                )  # fmt: skip
        return tables

    def seen(tables: Any) -> list[tuple[int, bool]]:
        rows = tables.seats.values()
        return sorted(((seat.expires_at - tables.now) // DAY, seat.state == "borrowed") for seat in rows)

    def modelled(world: World) -> list[tuple[int, bool]]:
        return sorted((client.row, client.borrowed) for client in world.clients if client.row is not None)

    for world in explored(ours, clients, seats):
        for index in range(clients):
            for borrow in (False, True):
                tables = tables_of(world)
                outcome = tables.claim(str(index), borrow_days=BORROW if borrow else None)
                after = claim(world, index, seats, BORROW if borrow else LIFE, borrow=borrow)
                assert seen(tables) == modelled(after), (world, index, borrow)
                assert tables.pools["p1"].in_use == after.in_use
                assert isinstance(outcome, Granted) == (not world.closing and bool(after.clients[index].row))
            tables = tables_of(world)
            tables.release(str(index))
            gone = world.clients[index].row is not None
            assert seen(tables) == modelled(world.after(index, world.in_use - gone, row=None, borrowed=False))
