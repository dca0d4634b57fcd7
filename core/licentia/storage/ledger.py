"""The seat ledger: every grant, renewal and end of a lease, exact across processes and crashes.

The order of locks is always pools by id, licenses by id, containers by id, then an event chain; a
lease is only touched by who holds its pool's row. Seats are counted in the pool, never by counting
leases: a count and a lock in one statement would see different moments. Expiry is a write for the same
reason: a lease holds its seats until someone who needs them ends it, under the lock, by the database's
own clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from licentia.contract.products import Terms
from licentia.domain.terms import validity
from licentia.storage.database import Connection, Transaction
from licentia.storage.fields import from_micros, optional_instant, to_micros


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `seat_pool` that this transaction has locked, with the terms of its license."""

    id: str
    license_id: str
    container_id: str
    user_id: str | None
    product_code: str
    leasing: bool
    state: str
    seats: int
    overdraft: int
    unlimited: bool
    in_use: int
    valid_until: datetime | None
    first_activated_at: datetime | None
    first_used_at: datetime | None
    terms: Terms

    def may_be_used(self, bindings: Sequence[str], product_code: str) -> bool:
        """Whether a user with these bindings may draw on it."""
        return (
            self.leasing and self.state == "open" and self.product_code == product_code and self.user_id in bindings
        )

    def has_room(self, seats: int) -> bool:
        """Whether so many more seats fit."""
        return self.unlimited or self.in_use + seats <= self.seats + self.overdraft


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `lease`."""

    id: str
    pool_id: str
    license_id: str
    product_code: str
    user_id: str
    station: str | None
    feature: str | None
    share_key: str
    seats: int
    charged: int
    granted_at: datetime
    expires_at: datetime
    released_at: datetime | None = None


_POOL = (
    "SELECT p.id, p.license_id, p.container_id, p.user_id, p.product_code, p.leasing, p.state, p.seats, p.overdraft,"
    " p.unlimited, p.in_use, p.valid_until, l.first_activated_at, l.first_used_at, l.terms"
    " FROM seat_pool p JOIN license l ON l.id = p.license_id"
)


async def lock_usable_pools(
    tx: Transaction, bindings: Sequence[str], product_code: str, also: str = ""
) -> tuple[list[Pool], list[Pool]]:
    """The open pools that a user with these bindings may draw on, and the pool `also` if it is none of them.

    All are locked in the order of their ids.
    """
    marks = ", ".join(f"${index}" for index in range(3, len(bindings) + 3))
    usable = f"p.product_code = $1 AND p.user_id IN ({marks}) AND p.leasing AND p.state = 'open'"
    query = f"{_POOL} WHERE ({usable}) OR p.id = $2 ORDER BY p.id {_lock(tx)}"
    rows = await tx.rows(query, product_code, also, *bindings)
    pools = [_pool(row) for row in rows]
    fit = [pool for pool in pools if pool.may_be_used(bindings, product_code)]
    return fit, [pool for pool in pools if pool not in fit]


async def lock_pool(tx: Transaction, pool_id: str) -> Pool:
    """One pool, locked."""
    row = await tx.row(f"{_POOL} WHERE p.id = $1 {_lock(tx)}", pool_id)
    assert row is not None
    return _pool(row)


async def lock_pools_of(tx: Transaction, column: str, value: str) -> list[Pool]:
    """The pools of one license or activation that are not closed, locked in the order of their ids."""
    assert column in ("license_id", "activation_id")
    rows = await tx.rows(f"{_POOL} WHERE p.{column} = $1 AND p.state <> 'closed' ORDER BY p.id {_lock(tx)}", value)
    return [_pool(row) for row in rows]


async def find_lease(connection: Connection, lease_id: str) -> Held | None:
    """A lease by its id."""
    row = await connection.row("SELECT * FROM lease WHERE id = $1", lease_id)
    return None if row is None else _held(row)


async def leases_of(connection: Connection, pool_id: str, *, expired_at: datetime | None = None) -> list[Held]:
    """The leases of a pool, the oldest first; with `expired_at`, those that had ended by then."""
    until = 2**63 - 1 if expired_at is None else to_micros(expired_at)
    rows = await connection.rows(
        "SELECT * FROM lease WHERE pool_id = $1 AND expires_at <= $2 ORDER BY granted_at, id", pool_id, until
    )
    return [_held(row) for row in rows]


async def sharing(tx: Transaction, pool: Pool, share_key: str) -> list[Held]:
    """The leases of a pool that are counted together under this key."""
    rows = await tx.rows("SELECT * FROM lease WHERE pool_id = $1 AND share_key = $2", pool.id, share_key)
    return [_held(row) for row in rows]


async def grant(tx: Transaction, pool: Pool, lease: Held) -> int | None:
    """Take `lease.charged` seats and write the lease; the seats then in use, or None if they do not fit."""
    taken = await tx.row(
        "UPDATE seat_pool SET in_use = in_use + $2 WHERE id = $1 AND state = 'open'"
        " AND (unlimited OR in_use + $2 <= seats + overdraft) RETURNING in_use",
        pool.id,
        lease.charged,
    )
    if taken is None:
        return None
    await tx.rows(
        "INSERT INTO lease (id, pool_id, license_id, product_code, user_id, station, feature, share_key, seats,"
        " charged, granted_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        lease.id, lease.pool_id, lease.license_id, lease.product_code, lease.user_id, lease.station, lease.feature,
        lease.share_key, lease.seats, lease.charged, to_micros(lease.granted_at), to_micros(lease.expires_at),
    )  # fmt: skip
    return int(taken["in_use"])


async def renew(tx: Transaction, lease: Held, expires_at: datetime, now: datetime) -> bool:
    """Let a lease live until `expires_at`; false if it has ended before `now`."""
    rows = await tx.rows(
        "UPDATE lease SET expires_at = $2, released_at = NULL WHERE id = $1 AND expires_at > $3 RETURNING id",
        lease.id,
        to_micros(expires_at),
        to_micros(now),
    )
    return bool(rows)


async def linger(tx: Transaction, lease: Held, until: datetime, now: datetime) -> None:
    """Note that a lease was released, and let its seats stay taken until then."""
    await tx.rows(
        "UPDATE lease SET expires_at = $2, released_at = $3 WHERE id = $1", lease.id, to_micros(until), to_micros(now)
    )


async def end(tx: Transaction, pool: Pool, leases: Iterable[Held], now: datetime) -> Pool:
    """End leases of a locked pool and free their seats; the pool after it.

    Where others still share a key with an ended lease, the largest of them takes over what has to be
    charged for them all.
    """
    in_use = pool.in_use
    keys = set()
    for lease in leases:
        await tx.rows("DELETE FROM lease WHERE id = $1", lease.id)
        await tx.rows(
            "INSERT INTO past_lease"
            " (lease_id, pool_id, license_id, product_code, share_key, seats, granted_at, ended_at)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            lease.id, lease.pool_id, lease.license_id, lease.product_code, lease.share_key, lease.seats,
            to_micros(lease.granted_at), to_micros(min(now, lease.expires_at)),
        )  # fmt: skip
        in_use -= lease.charged
        keys.add(lease.share_key)
    for key in sorted(key for key in keys if not key.startswith("lease ")):
        if survivors := await sharing(tx, pool, key):
            largest = max(survivors, key=lambda lease: (lease.seats, lease.id))
            missing = largest.seats - sum(lease.charged for lease in survivors)
            await tx.rows("UPDATE lease SET charged = charged + $2 WHERE id = $1", largest.id, missing)
            in_use += missing
    await tx.rows("UPDATE seat_pool SET in_use = $2 WHERE id = $1", pool.id, in_use)
    return msgspec.structs.replace(pool, in_use=in_use)


async def set_state(tx: Transaction, pool: Pool, state: str) -> None:
    """Open, closing (withdrawn: it grants nothing more) or closed (given back)."""
    await tx.rows("UPDATE seat_pool SET state = $2 WHERE id = $1", pool.id, state)


def _lock(tx: Transaction) -> str:
    return f"{tx.for_update} OF p" if tx.for_update else ""


def _pool(row: dict[str, Any]) -> Pool:
    terms = msgspec.json.decode(row["terms"], type=Terms)
    activated_at, used_at = optional_instant(row["first_activated_at"]), optional_instant(row["first_used_at"])
    # The column was written at the activation; a first use since then has fixed another end.
    ends = (
        optional_instant(row["valid_until"]),
        validity(terms, activated_at=activated_at, first_used_at=used_at).until,
    )
    members = row | {
        "terms": terms,
        "leasing": bool(row["leasing"]),
        "unlimited": bool(row["unlimited"]),
        "first_activated_at": activated_at,
        "first_used_at": used_at,
        "valid_until": min((end for end in ends if end is not None), default=None),
    }
    return Pool(**members)


def _held(row: dict[str, Any]) -> Held:
    return Held(
        **row
        | {
            "granted_at": from_micros(row["granted_at"]),
            "expires_at": from_micros(row["expires_at"]),
            "released_at": optional_instant(row["released_at"]),
        }
    )
