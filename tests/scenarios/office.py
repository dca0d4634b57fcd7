"""A second bookkeeping of one product's seats: what each lease holds and until when, and nothing else.

No expiry on demand, no counters, locks or batches: what the server has to agree with. Time is in hours.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import Any

from licentia.errors import (
    BorrowNotAllowed,
    Conflict,
    LicenseWithdrawn,
    LicensingError,
    NoFreeSeats,
    NotLicensed,
    UnitsExhausted,
)


class Refused(Exception):
    """The office refuses, for the reason that the server must give too."""

    def __init__(self, error: type[LicensingError]) -> None:
        self.error = error


@dataclass
class License:
    """One license, in its order of use."""

    id: str
    activation: str
    ticket: str
    seats: int
    overdraft: int
    units: int
    state: str = "open"
    assigned: dict[str, tuple[int, float]] = field(default_factory=dict)
    """Seats that are kept for a user or node, and until when."""


@dataclass
class Held:
    """A lease: who has it, what it holds by license, until when."""

    user: str
    station: str
    seats: int
    parts: dict[str, int]
    end: float
    state: str
    whole: int


@dataclass
class Office:
    """The second bookkeeping."""

    model: str
    terms: dict[str, Any]
    licenses: list[License] = field(default_factory=list)
    leases: dict[str, Held] = field(default_factory=dict)
    consumed: dict[str, int] = field(default_factory=dict)
    now: float = 0

    def live(self) -> dict[str, Held]:
        """The leases that have not ended."""
        return {id: lease for id, lease in self.leases.items() if lease.end > self.now and lease.parts}

    def key(self, id: str, user: str, station: str) -> str:
        """Who counts together with this lease."""
        alone = self.model in ("floating", "unlimited")
        return f"alone {id}" if alone else user if self.model == "named_user" else station

    def groups(self, license: License) -> dict[str, int]:
        """The seats in use of a license, by who counts together."""
        found = {key: seats for key, (seats, end) in license.assigned.items() if end > self.now}
        for id, lease in self.live().items():
            if seats := lease.parts.get(license.id):
                key = self.key(id, lease.user, lease.station)
                found[key] = max(found.get(key, 0), seats)
        return found

    def free(self, license: License) -> float:
        """Seats that nobody uses."""
        if self.model == "unlimited":
            return inf
        return license.seats + license.overdraft - sum(self.groups(license).values())

    def usable(self) -> list[License]:
        """The licenses that may be drawn on."""
        usable = [license for license in self.licenses if license.state == "open"]
        if not usable:
            raise Refused(LicenseWithdrawn if any(one.state == "closing" for one in self.licenses) else NotLicensed)
        return usable

    def claim(self, id: str, user: str, station: str, seats: int, hours: int, days: int | None) -> bool:
        """Claim or renew; whether it is a new lease."""
        lease = self.live().get(id)
        if lease is not None and lease.state == "lingering" and len(lease.parts) < lease.whole:
            lease = None
        allowed = self.terms.get("offline_days")
        end = self.now + (hours if days is None or allowed is None else 24 * min(days, allowed))
        if lease is not None:
            whole = len(lease.parts) == lease.whole
            if lease.user != user or (whole and lease.seats != seats):
                raise Refused(Conflict)
            standing = {license.state for license in self.licenses if license.id in lease.parts}
            if not whole or standing != {"open"}:
                del self.leases[id]
                raise Refused(LicenseWithdrawn if whole else NotLicensed)
            if days is not None and allowed is None:
                raise Refused(BorrowNotAllowed)
            if self.model == "node_locked" and lease.station != station:
                raise Refused(Conflict)
            lease.end = max(end, lease.end) if lease.state == "borrowed" else end
            lease.state = "borrowed" if days is not None or lease.state == "borrowed" else "live"
            return False
        usable = self.usable()
        self.leases.pop(id, None)
        if days is not None and allowed is None:
            raise Refused(BorrowNotAllowed)
        parts = self.chosen(usable, self.key(id, user, station), seats)
        state = "live" if days is None else "borrowed"
        self.leases[id] = Held(user, station, seats, parts, end, state, len(parts))
        return True

    def chosen(self, usable: list[License], key: str, seats: int) -> dict[str, int]:
        """Where so many seats come from."""
        for license in usable:
            group = self.groups(license).get(key, 0)
            if not (self.model == "exclusive" and group) and (seats <= group or seats - group <= self.free(license)):
                days = inf if self.model == "node_locked" else self.terms.get("reassign_after_days", 0)
                if days and license.assigned.get(key, (0, 0))[1] <= self.now:
                    license.assigned[key] = seats, self.now + 24 * days
                return {license.id: seats}
        found: dict[str, int] = {}
        for license in usable if self.model == "floating" else ():
            if some := min(seats - sum(found.values()), self.free(license)):
                found[license.id] = int(some)
        if sum(found.values()) < seats:
            raise Refused(NoFreeSeats)
        return found

    def release(self, id: str) -> None:
        """Give back."""
        lease = self.live().get(id)
        if lease is not None and lease.state != "lingering":
            if self.terms.get("linger_seconds") and lease.state == "live":
                lease.state, lease.end = "lingering", self.now + self.terms["linger_seconds"] / 3600
            else:
                del self.leases[id]

    def clear(self, license: License) -> None:
        """End whatever holds seats of a license."""
        license.assigned.clear()
        for lease in self.leases.values():
            lease.parts.pop(license.id, None)

    def consume(self, request: str, units: int) -> int:
        """Consume units; how many are left."""
        if request not in self.consumed:
            usable = self.usable()
            left = sum(license.units for license in usable) - units
            if left < 0:
                raise Refused(UnitsExhausted)
            for license in usable:
                taken = min(units, license.units)
                license.units, units = license.units - taken, units - taken
            self.consumed[request] = left
        return self.consumed[request]
