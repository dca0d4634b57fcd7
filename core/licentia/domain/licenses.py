"""The life of one license: seats that are sold, placed into containers, taken back, withdrawn.

    quantity     seats that the order covers, and those it no longer covers but that are still placed
    placed       seats in containers
    to_reclaim   placed seats that the order no longer covers; a return pays them back

Invariant: 0 <= to_reclaim <= placed <= quantity.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from licentia.contract.types import LicenseState
from licentia.errors import Conflict, LicenseWithdrawn, TicketExhausted

Standing = Literal["live", "withdraw_pending", "withdrawn"]
"""What the vendor has decided; an order never changes it."""


class Stock(msgspec.Struct, frozen=True, kw_only=True):
    """The seats of one license. Every method gives the stock after it."""

    quantity: int
    placed: int = 0
    to_reclaim: int = 0
    standing: Standing = "live"

    @property
    def available(self) -> int:
        """Seats that may be placed now."""
        return self.quantity - self.placed if self.standing == "live" else 0

    def place(self, seats: int) -> Stock:
        """Put seats into a container.

        Raises:
            LicenseWithdrawn: the vendor took the license back.
            TicketExhausted: fewer seats are left.
        """
        if self.standing != "live":
            raise LicenseWithdrawn("The license was withdrawn.")
        if seats > self.available:
            raise TicketExhausted(f"{self.available} of {self.quantity} seats are left; {seats} were asked for.")
        return msgspec.structs.replace(self, placed=self.placed + seats)

    def take_back(self, seats: int) -> Stock:
        """Return placed seats; what the order no longer covers is gone for good.

        Raises:
            Conflict: more seats than are placed.
        """
        if seats > self.placed:
            raise Conflict(f"{self.placed} seats are placed; {seats} cannot be returned.")
        reclaimed = min(seats, self.to_reclaim)
        return msgspec.structs.replace(
            self,
            quantity=self.quantity - reclaimed,
            placed=self.placed - seats,
            to_reclaim=self.to_reclaim - reclaimed,
        )

    def order(self, seats: int) -> Stock:
        """The order now covers so many seats: what is not placed goes at once, the rest is owed."""
        return msgspec.structs.replace(
            self, quantity=max(seats, self.placed), to_reclaim=max(0, self.placed - seats)
        )

    def withdraw(self, *, at_once: bool) -> Stock:
        """The vendor takes the license back; a withdrawal that took effect stays."""
        standing: Standing = "withdrawn" if at_once or self.standing == "withdrawn" else "withdraw_pending"
        return msgspec.structs.replace(self, standing=standing)

    def state(self, expires_at: datetime | None, now: datetime) -> LicenseState:
        """The state in one word, for people; what was decided comes before what time did."""
        if self.standing == "withdrawn" or (self.quantity == 0 and self.placed == 0):
            return "withdrawn"
        if self.standing == "withdraw_pending":
            return "withdraw_pending"
        if expires_at is not None and expires_at <= now:
            return "expired"
        return "activated" if self.placed else "available"
