"""Licenses to measure with, written straight into a database, and the wishes of those who use them."""

from __future__ import annotations

import msgspec

from licentia.contract.products import Terms
from licentia.domain.instants import to_micros
from licentia.domain.seats import Claim, Release
from licentia.storage.database import Database

ACTOR = "bench"
_CODE = "INSERT INTO product_code (code) VALUES ($1)"
_LICENSES = """
INSERT INTO license (id, order_id, ticket_id, line_id, sku, product_code, name, terms, quantity, placed, to_reclaim,
  standing, overdraft_placed, restores, renewals, first_activated_at, created_at)
WITH RECURSIVE counted(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM counted WHERE n + 1 < $2)
SELECT CAST($1 AS text) || '-' || n, 'bench', 'bench', '1', $1, $1, 'bench', $3, $4, $4, 0, 'live', 0, 0, 0, $5, $5
FROM counted
"""
_POOLS = """
INSERT INTO seat_pool (id, activation_id, license_id, container_id, user_id, product_code, leasing, state, seats,
  overdraft, unlimited, in_use, waiters)
WITH RECURSIVE counted(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM counted WHERE n + 1 < $2)
SELECT CAST($1 AS text) || '-' || n, 'bench', $1 || '-' || n, 'bench', $1 || '-' || n, $1, true, 'open', $3,
  0, false, 0, 0
FROM counted
"""


class Stock(msgspec.Struct, frozen=True):
    """Floating licenses of one product code, each with so many seats and a user of its own."""

    product_code: str
    licenses: int
    seats: int

    def user(self, number: int) -> str:
        """Who uses the license of this number; numbers beyond the last begin anew."""
        return f"{self.product_code}-{number % self.licenses}"

    def claim(self, lease: str, number: int) -> Claim:
        """The wish for one seat of the license of this number, or to renew it."""
        user = self.user(number)
        return Claim(lease_id=lease, product_code=self.product_code, user=user, bindings=(user,), actor=ACTOR)


HOT = Stock("bench-hot", 1, 10_000)
"""All want the same license."""
SPREAD = Stock("bench-spread", 1_000, 50)
"""Everyone has one of many."""


def release(lease: str) -> Release:
    """The wish to give a seat back."""
    return Release(lease_id=lease, actor=ACTOR)


async def lay_in(database: Database, stock: Stock) -> None:
    """Write the licenses and their seats, as if they had been ordered and activated."""
    terms = msgspec.json.encode(Terms()).decode()
    async with database.write() as tx:
        now = to_micros(await tx.now())
        await tx.rows(_CODE, stock.product_code)
        await tx.rows(_LICENSES, stock.product_code, stock.licenses, terms, stock.seats, now)
        await tx.rows(_POOLS, stock.product_code, stock.licenses, stock.seats)
