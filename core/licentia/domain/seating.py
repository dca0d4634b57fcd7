"""The small rules by which a book judges a claim: its time, its terms, how long it lasts, what it shares."""

from __future__ import annotations

import hashlib

from licentia.contract.products import Terms
from licentia.domain.instants import DAY, FOREVER, SECOND, from_micros, optional_instant
from licentia.domain.seats import Claim, Pool, Seat
from licentia.domain.terms import Validity, check_use, check_validity, share_key
from licentia.errors import BorrowNotAllowed, InvalidRequest, NoFreeSeats

SHOWN = 10
"""How many holders a refusal names."""


def check_time(pool: Pool, now: int) -> None:
    """Refuse a use outside the license's time.

    Raises:
        LicenseNotYetValid, LicenseExpired: with the time in the message.
    """
    if (pool.since is not None and now < pool.since) or (pool.until is not None and now >= pool.until):
        check_validity(Validity(optional_instant(pool.since), optional_instant(pool.until)), from_micros(now))


def check_terms(terms: Terms, wish: Claim) -> None:
    """Refuse what the terms do not cover.

    Raises:
        FeatureNotLicensed, MaintenanceEnded: see `check_use`.
        BorrowNotAllowed: the license knows no offline leases.
        InvalidRequest: a node-locked license, and no station named.
    """
    if wish.feature is not None or wish.release_date is not None:
        check_use(terms, feature=wish.feature, release_date=wish.release_date)
    if wish.borrow_days is not None and terms.offline_days is None:
        raise BorrowNotAllowed(f"A lease of {wish.product_code!r} cannot be borrowed: its terms have no offline_days.")
    if terms.license_model == "node_locked" and wish.station is None:
        raise InvalidRequest.at("/station", "a node-locked license is used at one station: name it")


def expiry(wish: Claim, pool: Pool, now: int) -> int:
    """When a lease of this pool ends if it is not renewed: as wished, but not beyond what the license allows."""
    terms = pool.terms
    if wish.borrow_days is not None and terms.offline_days is not None:
        end = now + min(wish.borrow_days, terms.offline_days) * DAY
    else:
        end = now + min(wish.ttl_seconds or terms.lease_ttl_seconds, terms.lease_ttl_seconds) * SECOND
    return end if pool.until is None or end < pool.until else pool.until


def start_period(pool: Pool, now: int) -> None:
    """Note the first use of the pool's license, from which a usage period runs."""
    pool.first_used_at = now
    if pool.terms.usage_period_days:
        end = now + pool.terms.usage_period_days * DAY
        pool.until = end if pool.until is None else min(pool.until, end)


def could_ever_fit(wish: Claim, pools: list[Pool]) -> bool:
    """Whether the pools could hold the seats if nobody else used them."""
    alone = [pool.capacity for pool in pools if share_key(pool.terms, user=wish.user, station=wish.station) is None]
    return wish.seats <= max(sum(alone), *(pool.capacity for pool in pools))


def assigned_until(pool: Pool, now: int) -> int | None:
    """Until when a seat that is taken now stays its user's or its node's; None: no longer than its leases."""
    terms = pool.terms
    if terms.license_model == "node_locked":
        return FOREVER
    if terms.license_model == "named_user" and terms.reassign_after_days is not None:
        return now + terms.reassign_after_days * DAY
    return None


def assignment_id(pool_id: str, key: str) -> str:
    """The id of the row that keeps a seat for its user or node; no lease can have it, because of the plus sign."""
    return "+" + hashlib.sha256(f"{pool_id} {key}".encode()).hexdigest()[:60]


def all_taken(wish: Claim, seats: int, holders: list[Seat]) -> NoFreeSeats:
    """The refusal that says who holds the seats, those that end first."""
    names = ", ".join(_holder(seat) for seat in holders[:SHOWN]) + (" and others" if len(holders) > SHOWN else "")
    by = f", by {names}" if names else ""
    wanted = "" if wish.seats == 1 else f" {wish.seats} seats were asked for."
    return NoFreeSeats(f"All {seats} seats of {wish.product_code!r} are in use{by}.{wanted}")


def _holder(seat: Seat) -> str:
    at = f" at {seat.station}" if seat.station else ""
    if seat.expires_at >= FOREVER:
        return f"{seat.user_id}{at} for good"
    now = "%H:%M:%S" if seat.state in ("live", "lingering") else "%Y-%m-%d %H:%M"
    return f"{seat.user_id}{at} until {from_micros(seat.expires_at):{now}} UTC"
