"""What the tests of the seat rules share: the tables in memory, where each call is a transaction of its own."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import msgspec
import pytest

from licentia.contract.products import Terms
from licentia.domain.book import Book
from licentia.domain.instants import DAY, FOREVER, SECOND, to_micros
from licentia.domain.seats import Claim, Consume, Happened, Meter, Outcome, Pool, Release, Seat, Waiter, Wish

START = 1_800_000_000 * SECOND


class Tables:
    """Pools, seats, queue and meters, carried from one book to the next as the ledger does."""

    def __init__(self) -> None:
        self.now = START
        self.pools: dict[str, Pool] = {}
        self.seats: dict[str, Seat] = {}
        self.waiters: list[Waiter] = []
        self.meters: list[Meter] = []
        self.consumed: dict[str, tuple[str, int]] = {}
        self.happened: list[Happened] = []
        self.book: Book
        self._arrived = 0

    def pool(self, id: str = "p1", seats: int = 1, *, units: int | None = None, **terms: Any) -> Pool:
        """Sell seats to ada; a field that a pool has is the pool's, every other is one of the terms."""
        given = {name: terms.pop(name) for name in ("user_id", "product_code", "state", "leasing") if name in terms}
        agreed = msgspec.convert(terms, Terms)
        whole: dict[str, Any] = {"user_id": "ada", "product_code": "cad", "state": "open", "leasing": True} | given
        pool = self.pools[id] = Pool(
            id=id,
            license_id=f"license of {id}",
            container_id="box",
            seats=seats,
            overdraft=agreed.overdraft,
            unlimited=agreed.license_model == "unlimited",
            in_use=0,
            waiters=0,
            since=None if agreed.activation_at is None else to_micros(agreed.activation_at),
            until=None if agreed.expires_at is None else to_micros(agreed.expires_at),
            first_used_at=None,
            terms=agreed,
            **whole,
        )
        for name, total in (({} if units is None else {"": units}) | {m.name: m.units for m in agreed.meters}).items():
            self.meters.append(Meter(id=len(self.meters), license_id=pool.license_id, name=name, total=total, used=0))
        return pool

    def claim(self, lease_id: str = "l1", **fields: Any) -> Any:
        """Claim or renew, alone in a transaction."""
        return self.settle(self.wish(lease_id, **fields))[0]

    def release(self, lease_id: str = "l1", owner: str | None = None) -> Outcome:
        """Release, alone in a transaction."""
        return self.settle(Release(lease_id=lease_id, actor="key", owner=owner))[0]

    def consume(self, units: int, request_id: str = "r1", **fields: Any) -> Any:
        """Consume units, alone in a transaction."""
        given: dict[str, Any] = {"digest": f"{units}{fields}", "product_code": "cad", "user": "ada"} | fields
        wish = Consume(request_id=request_id, units=units, bindings=(given["user"],), actor="key", **given)
        return self.settle(wish)[0]

    def wish(self, lease_id: str = "l1", **fields: Any) -> Claim:
        """A claim by ada on `cad`, where nothing else is said."""
        given: dict[str, Any] = {"user": "ada", "product_code": "cad"} | fields
        given = {"bindings": (given["user"],)} | given
        return Claim(lease_id=lease_id, actor="key", **given)

    def settle(self, *wishes: Wish) -> list[Outcome]:
        """Judge wishes in one transaction, and keep what it leaves behind, if that is right."""
        codes = {pool.product_code for pool in self.pools.values()}
        self.book = book = Book(
            self.now,
            self.pools.values(),
            self.seats.values(),
            self.waiters,
            meters=self.meters,
            consumed=self.consumed,
            known_codes=codes,
        )
        outcomes = [
            book.claim(wish)
            if isinstance(wish, Claim)
            else book.release(wish)
            if isinstance(wish, Release)
            else book.consume(wish)
            for wish in wishes
        ]
        self.seats, self.consumed = book.seats, book.consumed
        self.waiters = []
        for waiter in sorted((w for queue in book.waiting.values() for w in queue), key=lambda w: w.id):
            if waiter.id >= FOREVER:
                self._arrived += 1
                waiter = msgspec.structs.replace(waiter, id=self._arrived)
            self.waiters.append(waiter)
        self.happened += book.happened
        self.check()
        return outcomes

    def check(self) -> None:
        """The invariants of the tables, whatever was asked."""
        charged: dict[str, int] = defaultdict(int)
        groups: dict[tuple[str, str], list[Seat]] = defaultdict(list)
        for seat in self.seats.values():
            assert 0 <= seat.charged <= seat.seats, seat
            charged[seat.pool_id] += seat.charged
            groups[seat.pool_id, seat.share_key or seat.id].append(seat)
        for pool in self.pools.values():
            assert pool.in_use == charged[pool.id] <= pool.capacity, pool
        for group in groups.values():
            assert sum(seat.charged for seat in group) == max(seat.seats for seat in group), group
        for meter in self.meters:
            assert 0 <= meter.used <= meter.total, meter

    def after(self, *, seconds: float = 0, days: float = 0) -> None:
        """Let time pass."""
        self.now += int(seconds * SECOND + days * DAY)

    def live(self) -> list[str]:
        """The ids of the rows that have not ended."""
        return sorted(id for id, seat in self.seats.items() if seat.expires_at > self.now)

    def kinds(self) -> list[str]:
        """What happened, by kind."""
        return [event.kind for event in self.happened]


@pytest.fixture
def tables() -> Tables:
    """Empty tables."""
    return Tables()


@pytest.fixture(scope="session")
def make_tables() -> type[Tables]:
    """Makes tables anew for each example of a property."""
    return Tables
