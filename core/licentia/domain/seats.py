"""What the seats of licenses are counted in: pools, leases, those who wait, and what may be asked of them.

Times are microseconds since the Unix epoch, by the database's clock. Seats are counted in a pool (one
license in one container), never by counting leases.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

from licentia.contract.products import Terms
from licentia.domain.instants import FOREVER
from licentia.errors import LicensingError

SeatState = Literal["live", "borrowed", "lingering", "assigned"]
"""`assigned` is no lease: it keeps a seat for its named user, or for the node it is locked to."""


class Pool(msgspec.Struct, kw_only=True):
    """The seats of one license in one container, locked by this transaction."""

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
    waiters: int
    since: int | None
    until: int | None
    first_used_at: int | None
    terms: Terms

    @property
    def capacity(self) -> int:
        """The most seats that may be in use."""
        return FOREVER if self.unlimited else self.seats + self.overdraft


class Seat(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The seats that one lease holds in one pool.

    `charged` of them are counted: those of one `share_key` in a pool count once. A lease over several
    licenses has `parts` of these: the first bears the lease's id, the others `ID+1`, `ID+2`, ...
    """

    id: str
    pool_id: str
    user_id: str
    station: str | None
    feature: str | None
    share_key: str | None
    seats: int
    charged: int
    granted_at: int
    expires_at: int
    state: SeatState = "live"
    parts: int = 1

    @property
    def lease_id(self) -> str:
        """The lease it belongs to; no id of a caller's has a plus sign."""
        return self.id.partition("+")[0]


class Waiter(msgspec.Struct, frozen=True, kw_only=True):
    """Who waits for seats of a pool; a smaller id came earlier. Silent for too long, it has gone away."""

    id: int
    lease_id: str
    pool_id: str
    seats: int
    seen_at: int


class Meter(msgspec.Struct, kw_only=True):
    """The units of one kind that a license has. The nameless meter is that of the term `units`."""

    id: int
    license_id: str
    name: str
    total: int
    used: int


class Happened(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A change of the books, for the audit trail."""

    kind: str
    actor: str
    data: Mapping[str, Any]


class Claim(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Renew the lease of this id if it lives, else claim it.

    `owner` restricts the caller to leases of that user; `may_wait` says that the claim still has time
    to wait for its turn.
    """

    lease_id: str
    product_code: str
    user: str
    bindings: tuple[str, ...]
    actor: str
    owner: str | None = None
    seats: int = 1
    feature: str | None = None
    station: str | None = None
    release_date: datetime | None = None
    ttl_seconds: int | None = None
    borrow_days: int | None = None
    may_wait: bool = False


class Release(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Give the seats back, at once or when they have lingered; what is gone already is as good as released."""

    lease_id: str
    actor: str
    owner: str | None = None


class Consume(msgspec.Struct, frozen=True, kw_only=True):
    """Consume units, once for each request id; `digest` tells whether a repeat asks for the same."""

    request_id: str
    digest: str
    product_code: str
    user: str
    bindings: tuple[str, ...]
    actor: str
    units: int
    meter: str = ""


Wish = Claim | Release | Consume


class Granted(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A claim that was granted or renewed: the parts, the pool of each, and the seats then in use in these."""

    parts: tuple[Seat, ...]
    licenses: tuple[str, ...]
    product_code: str
    in_use: int
    total: int | None
    now: int
    created: bool


class Consumed(msgspec.Struct, frozen=True):
    """Units were consumed; so many are left."""

    remaining: int


class Waiting(msgspec.Struct, frozen=True):
    """No seat is free yet: ask again, with the same lease id."""

    ahead: int


class Full(msgspec.Struct, frozen=True):
    """All seats of these pools are taken, so many: refused."""

    wish: Claim
    pools: tuple[str, ...]
    seats: int


class Again(msgspec.Struct, frozen=True):
    """The books have changed between two looks: ask again at once."""


Outcome = Granted | Consumed | Waiting | Full | Again | LicensingError | None
