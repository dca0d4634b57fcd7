"""The seat ledger: it locks the rows that wishes concern, lets the book judge them, and writes what has changed.

The order of locks is always pools by id, licenses by id, containers by id, then an event chain; a
lease is only touched by who holds its pool's row. Seats are counted in the pool, never by counting
leases: a count and a lock in one statement would see different moments. Expiry is a write for the same
reason: a lease holds its seats until someone who needs them ends it, under the lock, by the database's
own clock, which is read after the locks are held.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache

import msgspec

from licentia.contract.products import Terms
from licentia.domain import seating
from licentia.domain.book import Book
from licentia.domain.instants import DAY, FOREVER, to_micros
from licentia.domain.seats import Claim, Consume, Full, Happened, Meter, Outcome, Pool, Release, Seat, Waiter, Wish
from licentia.domain.terms import share_key
from licentia.storage.eventlog import Head, Mark, block, lock_head
from licentia.storage.statements import Change, Count, Delete, Insert, Query, Row, Update, Work, Write

LEAST_ENDED, MOST_ENDED = 500, 5000
"""Within these, a batch ends as many expired leases of a pool as it may need; who still finds no seat asks again."""

_decoded = lru_cache(maxsize=4096)(msgspec.json.Decoder(Terms).decode)
_MINUTE = 60_000_000

_COLUMNS = (
    "p.id, p.license_id, p.container_id, p.user_id, p.product_code, p.leasing, p.state, p.seats, p.overdraft,"
    " p.unlimited, p.in_use, p.waiters, p.valid_until, l.first_activated_at, l.first_used_at, l.terms"
)
_JOINED = "FROM seat_pool p JOIN license l ON l.id = p.license_id"
_POOLS = f"SELECT {_COLUMNS} {_JOINED}"
_AND_HELD = f"SELECT {_COLUMNS}, EXISTS (SELECT 1 FROM held) AS held {_JOINED}"
_CONCERNED = (
    "WITH held AS (SELECT pool_id FROM lease WHERE id = ANY($1::text[])"
    " UNION ALL SELECT pool_id FROM lease WHERE whole = ANY($1::text[]))"
    f" {_AND_HELD} WHERE p.id IN (SELECT pool_id FROM held UNION"
    " SELECT s.id FROM unnest($2::text[], $3::text[]) AS asked(user_id, product_code)"
    " JOIN seat_pool s ON s.user_id = asked.user_id AND s.product_code = asked.product_code"
    " WHERE s.state <> 'closed') ORDER BY p.id FOR UPDATE OF p"
)
_CONCERNED_SQLITE = (
    "WITH held AS (SELECT pool_id FROM lease WHERE id IN (SELECT value FROM json_each($1))"
    " UNION ALL SELECT pool_id FROM lease WHERE whole IN (SELECT value FROM json_each($1)))"
    f" {_AND_HELD} WHERE p.id IN (SELECT pool_id FROM held UNION"
    " SELECT s.id FROM json_each($2) AS asked JOIN seat_pool s ON s.user_id = json_extract(asked.value, '$[0]')"
    " AND s.product_code = json_extract(asked.value, '$[1]') WHERE s.state <> 'closed') ORDER BY p.id"
)
_LEASES = "SELECT * FROM lease WHERE id = ANY($1::text[]) UNION ALL SELECT * FROM lease WHERE whole = ANY($1::text[])"
_EXPIRED = (
    "SELECT e.* FROM unnest($1::text[]) AS p(id) CROSS JOIN LATERAL"
    " (SELECT * FROM lease WHERE pool_id = p.id AND expires_at <= $2 ORDER BY expires_at LIMIT $3) AS e"
)
_EXPIRED_SQLITE = (
    "SELECT e.* FROM json_each($1) AS p JOIN lease e ON e.rowid IN"
    " (SELECT rowid FROM lease WHERE pool_id = p.value AND expires_at <= $2 ORDER BY expires_at LIMIT $3)"
)
_SHARING = (
    "SELECT l.* FROM unnest($1::text[], $2::text[]) AS asked(pool_id, share_key)"
    " JOIN lease l ON l.pool_id = asked.pool_id AND l.share_key = asked.share_key"
)
_SHARING_SQLITE = (
    "SELECT l.* FROM json_each($1) AS asked JOIN lease l ON l.pool_id = json_extract(asked.value, '$[0]')"
    " AND l.share_key = json_extract(asked.value, '$[1]')"
)
_HOLDERS = (
    "SELECT h.* FROM unnest($1::text[]) AS p(id) CROSS JOIN LATERAL"
    " (SELECT * FROM lease WHERE pool_id = p.id ORDER BY expires_at, id LIMIT $2) AS h"
)
_HOLDERS_SQLITE = (
    "SELECT h.* FROM json_each($1) AS p JOIN lease h ON h.rowid IN"
    " (SELECT rowid FROM lease WHERE pool_id = p.value ORDER BY expires_at, id LIMIT $2)"
)

_LEASE = (
    "id", "whole", "parts", "pool_id", "user_id", "station", "feature", "share_key", "seats", "charged", "granted_at",
    "expires_at", "state",
)  # fmt: skip
_PAST = ("lease_id", "pool_id", "share_key", "seats", "granted_at", "ended_at")


def settle(wishes: Sequence[Wish]) -> Work[tuple[list[Outcome], Mark | None]]:
    """Judge a batch in one transaction and record what happened; the outcome of each, and the mark of all."""
    book, head = yield from _opened(wishes)
    outcomes = _judged(book, wishes)
    changes = _changes(book)
    mark = None
    if book.happened:
        more, mark = block(head, book.happened, book.now)
        changes += more
    if changes:
        yield Write(changes)
    return (yield from _explained(outcomes)), mark


def lock_pools(column: str, value: str) -> Work[list[Pool]]:
    """The pools of one license, activation or container that are not closed, locked in the order of their ids."""
    assert column in ("license_id", "activation_id", "container_id")
    where = f"p.{column} = $1 AND p.state <> 'closed'"
    rows = yield Query(f"{_POOLS} WHERE {where} ORDER BY p.id FOR UPDATE OF p", (value,))
    return [_pool(row) for row in rows]


def borrowed(pool_id: str, now: int) -> Work[list[Seat]]:
    """The offline leases of a pool that have not ended."""
    query = "SELECT * FROM lease WHERE pool_id = $1 AND expires_at > $2 AND state = 'borrowed'"
    rows = yield Query(query, (pool_id, now))
    return [_seat(row) for row in rows]


def live_leases(pool_ids: Sequence[str], now: int) -> Work[Sequence[Row]]:
    """One lease of these pools that lives, if any does."""
    query = "SELECT id FROM lease WHERE pool_id = ANY($1::text[]) AND expires_at > $2 AND state <> 'assigned' LIMIT 1"
    return (yield Query(query, ([*pool_ids], now)))


def end_all(pool: Pool, kind: str, actor: str, now: int) -> Work[tuple[int, list[Happened]]]:
    """End everything that holds seats of a locked pool, and its queue; how many leases lived, and what happened."""
    rows = yield Query("SELECT * FROM lease WHERE pool_id = $1 ORDER BY granted_at, id", (pool.id,))
    queued = yield Query("SELECT * FROM waiter WHERE pool_id = $1", (pool.id,))
    book = Book(now, [pool], map(_seat, rows), (_waiter(row) for row in queued))
    book.dissolve_queues()
    lived = sum(seat.expires_at > now and seat.state != "assigned" for seat in book.seats.values())
    for seat in [*book.seats.values()]:
        book.end(book.seats[seat.id], kind, actor)
    if changes := _changes(book):
        yield Write(changes)
    return lived, book.happened


def set_state(pool: Pool, state: str) -> Work[None]:
    """Open, closing (withdrawn: it grants nothing more) or closed (given back)."""
    yield Write((Update("seat_pool", ("id", "state"), [(pool.id, state)]),))


def _opened(wishes: Sequence[Wish]) -> Work[tuple[Book, Head]]:
    """A book of all that the wishes concern, and the head of an event chain."""
    lease_ids = [wish.lease_id for wish in wishes if not isinstance(wish, Consume)]
    askers = [wish for wish in wishes if not isinstance(wish, Release)]
    pairs = [*{(binding, wish.product_code) for wish in askers for binding in wish.bindings}]
    users, codes = [user for user, _ in pairs], [code for _, code in pairs]
    for_sqlite = (_CONCERNED_SQLITE, (lease_ids, [*map(list, pairs)]))
    rows = yield Query(_CONCERNED, (lease_ids, users, codes), for_sqlite)
    pools = {row["id"]: _pool(row) for row in rows}
    # A lease that is claimed elsewhere after this look breaks the primary key, and the batch is done again.
    known = any(row["held"] for row in rows)
    claims = [wish for wish in wishes if isinstance(wish, Claim)]
    consumptions = [wish for wish in wishes if isinstance(wish, Consume)]
    yield from _lock_first_uses(pools, claims, consumptions)
    seats = {}
    if known:
        rows = yield Query(_LEASES, (lease_ids,))
        seats = {row["id"]: _seat(row) for row in rows}
    head = yield from lock_head()
    now = head.now
    more_expired: set[str] = set()
    if short := _maybe_full(pools.values(), claims):
        most = min(MOST_ENDED, LEAST_ENDED + sum(wish.seats for wish in claims))
        values = (short, now, most)
        rows = yield Query(_EXPIRED, values, (_EXPIRED_SQLITE, values))
        seats |= {row["id"]: _seat(row) for row in rows}
        ended = Counter(row["pool_id"] for row in rows)
        more_expired = {pool_id for pool_id in short if ended[pool_id] == most}
    yield from _load_sharing(pools, claims, seats)
    waiters: list[Waiter] = []
    if queued := [pool.id for pool in pools.values() if pool.waiters]:
        rows = yield Query("SELECT * FROM waiter WHERE pool_id = ANY($1::text[]) ORDER BY id", (queued,))
        waiters = [_waiter(row) for row in rows]
    meters: list[Meter] = []
    consumed = {}
    if consumptions:
        licenses = sorted({pool.license_id for pool in pools.values()})
        rows = yield Query("SELECT * FROM meter WHERE license_id = ANY($1::text[])", (licenses,))
        meters = [msgspec.convert(dict(row), Meter) for row in rows]
        ids = [wish.request_id for wish in consumptions]
        rows = yield Query("SELECT * FROM unit_consumption WHERE request_id = ANY($1::text[])", (ids,))
        consumed = {row["request_id"]: (row["digest"], row["remaining"]) for row in rows}
    offered = {pool.product_code for pool in pools.values()}
    sold: set[str] = set()
    if unknown := [*{wish.product_code for wish in askers} - offered]:
        rows = yield Query("SELECT code FROM product_code WHERE code = ANY($1::text[])", (unknown,))
        sold = {row["code"] for row in rows}
    book = Book(
        now,
        pools.values(),
        seats.values(),
        waiters,
        meters=meters,
        consumed=consumed,
        known_codes=sold | offered,
        more_expired=more_expired,
    )
    return book, head


def _lock_first_uses(pools: dict[str, Pool], claims: list[Claim], consumptions: list[Consume]) -> Work[None]:
    """Lock the licenses that may get their first use, or give units, and look at them again."""
    ids = {pool.license_id for pool in pools.values() if pool.terms.usage_period_days and pool.first_used_at is None}
    if consumptions:
        codes = {wish.product_code for wish in consumptions}
        ids |= {pool.license_id for pool in pools.values() if pool.product_code in codes}
    if ids and (claims or consumptions):
        query = "SELECT id, first_used_at FROM license WHERE id = ANY($1::text[]) ORDER BY id FOR UPDATE"
        rows = yield Query(query, (sorted(ids),))
        used = {row["id"]: row["first_used_at"] for row in rows}
        for pool in pools.values():
            if used.get(pool.license_id) is not None and pool.first_used_at is None:
                seating.start_period(pool, used[pool.license_id])


def _maybe_full(pools: Iterable[Pool], claims: list[Claim]) -> list[str]:
    """The pools that might not have seats for all who ask for some."""
    wanted: Counter[tuple[str, str]] = Counter()
    for wish in claims:
        for binding in wish.bindings:
            wanted[binding, wish.product_code] += wish.seats
    return [
        pool.id
        for pool in pools
        if pool.in_use + wanted[pool.user_id or "", pool.product_code] > pool.capacity or pool.waiters
    ]


def _load_sharing(pools: dict[str, Pool], claims: list[Claim], seats: dict[str, Seat]) -> Work[None]:
    """Add the seats that share a key with what is claimed or may end."""
    keys = {(seat.pool_id, seat.share_key) for seat in seats.values() if seat.share_key}
    shared: dict[tuple[str | None, str], list[Pool]] = defaultdict(list)
    for pool in pools.values():
        if pool.terms.license_model not in ("floating", "unlimited") and pool.state == "open" and pool.leasing:
            shared[pool.user_id, pool.product_code].append(pool)
    for wish in claims if shared else ():
        for binding in wish.bindings:
            for pool in shared.get((binding, wish.product_code), ()):
                if key := share_key(pool.terms, user=wish.user, station=wish.station):
                    keys.add((pool.id, key))
    if keys:
        chosen = [*keys]
        values = ([pool for pool, _ in chosen], [key for _, key in chosen])
        rows = yield Query(_SHARING, values, (_SHARING_SQLITE, ([*map(list, chosen)],)))
        for row in rows:
            seats[row["id"]] = _seat(row)


def _judged(book: Book, wishes: Sequence[Wish]) -> list[Outcome]:
    return [
        book.claim(wish)
        if isinstance(wish, Claim)
        else book.release(wish)
        if isinstance(wish, Release)
        else book.consume(wish)
        for wish in wishes
    ]


def _changes(book: Book) -> tuple[Change, ...]:
    """What has to be written so that the tables say what the book says."""
    new, changed, replaced, gone = [], [], [], []
    for id, seat in book.seats.items():
        stored = book.stored.get(id)
        if stored is None:
            new.append(_row(seat))
        elif stored is not seat:
            if stored.granted_at == seat.granted_at and stored.pool_id == seat.pool_id:
                changed.append((id, seat.charged, seat.expires_at, seat.state))
            else:
                replaced.append(_row(seat))
    gone = [id for id in book.stored if id not in book.seats]
    pools = [
        (pool.id, pool.in_use, pool.waiters)
        for pool in book.pools.values()
        if book.counted[pool.id] != (pool.in_use, pool.waiters)
    ]
    past = [_past(seat, book.now) for seat in book.ended]
    read = [(meter.id, meter.used) for key, meter in book.meters.items() if meter.used != book.metered[key]]
    denied = [(*key[:2], book.now // _MINUTE * _MINUTE, key[2], count) for key, count in book.denied.items()]
    changes: list[Change] = [
        Insert("lease", _LEASE, new),
        Update("lease", ("id", "charged", "expires_at", "state"), changed),
        Update("lease", _LEASE, replaced),
        Delete("lease", "id", gone),
        Update("seat_pool", ("id", "in_use", "waiters"), pools),
        Insert("past_lease", _PAST, past),
        Count("denial", ("license_id", "product_code", "minute", "reason", "count"), denied),
        Update("license", ("id", "first_used_at"), [(id, book.now) for id in sorted(book.first_used)]),
        Update("meter", ("id", "used"), read),
        Insert(
            "unit_consumption",
            ("request_id", "digest", "remaining", "at"),
            [(*consumption, book.now) for consumption in book.consumptions],
        ),
        *_queue_changes(book),
    ]
    return tuple(change for change in changes if (change.keys if isinstance(change, Delete) else change.rows))


def _queue_changes(book: Book) -> Iterable[Change]:
    before = {waiter.id: waiter for waiter in book.queued}
    after = {waiter.id: waiter for queue in book.waiting.values() for waiter in queue}
    came = [(w.lease_id, w.pool_id, w.seats, w.seen_at) for w in after.values() if w.id >= FOREVER]
    yield Insert("waiter", ("lease_id", "pool_id", "seats", "seen_at"), came)
    seen = [(id, w.seats, w.seen_at) for id, w in after.items() if id in before and w != before[id]]
    yield Update("waiter", ("id", "seats", "seen_at"), seen)
    yield Delete("waiter", "id", [*before.keys() - after.keys()])


def _explained(outcomes: list[Outcome]) -> Work[list[Outcome]]:
    """The outcomes, where who found no seat is told who has them."""
    if pools := [*{pool for outcome in outcomes if isinstance(outcome, Full) for pool in outcome.pools}]:
        values = (pools, seating.SHOWN + 1)
        rows = yield Query(_HOLDERS, values, (_HOLDERS_SQLITE, values))
        holders = sorted(map(_seat, rows), key=lambda seat: (seat.expires_at, seat.id))
        return [
            seating.all_taken(outcome.wish, outcome.seats, [seat for seat in holders if seat.pool_id in outcome.pools])
            if isinstance(outcome, Full)
            else outcome
            for outcome in outcomes
        ]
    return outcomes


def _pool(row: Row) -> Pool:
    terms = _decoded(row["terms"])
    until, activated_at = row["valid_until"], row["first_activated_at"]
    if terms.expires_after_days is not None and activated_at is not None:
        until = min(activated_at + terms.expires_after_days * DAY, FOREVER if until is None else until)
    pool = Pool(
        id=row["id"],
        license_id=row["license_id"],
        container_id=row["container_id"],
        user_id=row["user_id"],
        product_code=row["product_code"],
        leasing=bool(row["leasing"]),
        state=row["state"],
        seats=row["seats"],
        overdraft=row["overdraft"],
        unlimited=bool(row["unlimited"]),
        in_use=row["in_use"],
        waiters=row["waiters"],
        since=None if terms.activation_at is None else to_micros(terms.activation_at),
        until=until,
        first_used_at=None,
        terms=terms,
    )
    if row["first_used_at"] is not None:
        seating.start_period(pool, row["first_used_at"])
    return pool


def _waiter(row: Row) -> Waiter:
    return msgspec.convert(dict(row), Waiter)


def _seat(row: Row) -> Seat:
    return Seat(
        id=row["id"],
        pool_id=row["pool_id"],
        user_id=row["user_id"],
        station=row["station"],
        feature=row["feature"],
        share_key=row["share_key"],
        seats=row["seats"],
        charged=row["charged"],
        granted_at=row["granted_at"],
        expires_at=row["expires_at"],
        state=row["state"],
        parts=row["parts"],
    )


def _past(seat: Seat, now: int) -> tuple[object, ...]:
    key = seat.share_key or f"lease {seat.lease_id}"
    return (seat.lease_id, seat.pool_id, key, seat.seats, seat.granted_at, min(seat.expires_at, now))


def _row(seat: Seat) -> tuple[object, ...]:
    return (
        seat.id, seat.lease_id if seat.parts > 1 else None, seat.parts, seat.pool_id, seat.user_id, seat.station,
        seat.feature, seat.share_key, seat.seats, seat.charged, seat.granted_at, seat.expires_at, seat.state,
    )  # fmt: skip
