"""The rules by which seats are granted, kept and freed, over the rows that a transaction has locked.

Nothing here reads or writes a database: `storage.ledger` fills a book, asks it, and writes what has
changed. Every wish is judged in the order in which it came, at one instant.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from functools import cached_property

import msgspec

from licentia.domain import seating
from licentia.domain.instants import FOREVER, SECOND, from_micros
from licentia.domain.seats import (
    Again,
    Claim,
    Consume,
    Consumed,
    Full,
    Granted,
    Happened,
    Meter,
    Outcome,
    Pool,
    Release,
    Seat,
    Waiter,
    Waiting,
)
from licentia.domain.terms import share_key
from licentia.errors import (
    Conflict,
    IdempotencyMismatch,
    InvalidRequest,
    LicenseExpired,
    LicenseNotYetValid,
    LicenseWithdrawn,
    LicensingError,
    NoFreeSeats,
    NotLicensed,
    ProductUnknown,
    UnitsExhausted,
)

SILENCE = 3 * SECOND
"""Who waits and was not heard of for so long has gone away."""


class Book:
    """Pools with their seats at one instant.

    `seats` must hold every part of each lease that is asked for, the seats that share a key with one
    of these, and of pools that may be full those that have ended; `waiters` all who wait for the pools;
    `known_codes` the product codes that were ever sold. Of the pools `more_expired` more seats have ended.
    """

    def __init__(
        self,
        now: int,
        pools: Iterable[Pool],
        seats: Iterable[Seat] = (),
        waiters: Iterable[Waiter] = (),
        *,
        meters: Iterable[Meter] = (),
        consumed: Mapping[str, tuple[str, int]] | None = None,
        known_codes: Collection[str] = (),
        more_expired: Collection[str] = (),
    ) -> None:
        self.now = now
        self.pools = {pool.id: pool for pool in pools}
        self.seats = {seat.id: seat for seat in seats}
        self.stored = dict(self.seats)
        self.counted = {pool.id: (pool.in_use, pool.waiters) for pool in self.pools.values()}
        self.ended: list[Seat] = []
        self.first_used: set[str] = set()
        self.denied: Counter[tuple[str, str, str]] = Counter()
        self.happened: list[Happened] = []
        self.queued = [*waiters]
        self.waiting: dict[str, list[Waiter]] = defaultdict(list)
        for waiter in self.queued:
            if waiter.seen_at > now - SILENCE:
                self.waiting[waiter.pool_id].append(waiter)
        for pool in self.pools.values():
            pool.waiters = len(self.waiting.get(pool.id, ()))
        self.meters = {(meter.license_id, meter.name): meter for meter in meters}
        self.metered = {key: meter.used for key, meter in self.meters.items()}
        self.consumed = dict(consumed or {})
        self.consumptions: list[tuple[str, str, int]] = []
        self._arrivals = itertools.count()
        self._known_codes = known_codes
        self._more_expired = more_expired
        self._offers: dict[tuple[tuple[str, ...], str], list[Pool]] = {}
        self._unused: dict[str, list[Pool]] = defaultdict(list)
        for pool in self.pools.values():
            if pool.terms.usage_period_days and pool.first_used_at is None:
                self._unused[pool.license_id].append(pool)
        self._sharing: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._expired: dict[str, list[str]] = defaultdict(list)
        self._split: dict[str, set[str]] = defaultdict(set)
        for seat in self.seats.values():
            self._remember(seat)
        expired = [seat for seat in self.seats.values() if seat.expires_at <= now]
        for seat in sorted(expired, key=lambda seat: (seat.expires_at, seat.id), reverse=True):
            self._expired[seat.pool_id].append(seat.id)

    # --- what may be asked ------------------------------------------------------------------------

    def claim(self, wish: Claim) -> Outcome:
        """Renew the lease if it lives, else take seats of the license that expires soonest, then by id.

        Seats that no single license has come from several, again those that expire soonest first.
        """
        try:
            parts = self._parts(wish.lease_id)
            if not parts:
                return self._take(wish)
            if any(part.pool_id not in self.pools for part in parts):
                return Again()
            own = wish.owner in (None, parts[0].user_id)
            released = own and len(parts) < parts[0].parts and all(part.state == "lingering" for part in parts)
            if parts[0].expires_at > self.now and not released:
                return self._renew(wish, parts)
            for part in parts:
                self.end(part, "lease.released" if released else "lease.expired", wish.actor)
            return self._take(wish)
        except LicensingError as refusal:
            self._leave_queue(wish.lease_id)
            return refusal

    def release(self, wish: Release) -> Outcome:
        """End the lease, or let it linger for as long as its terms say."""
        parts = self._parts(wish.lease_id)
        if not parts or wish.owner not in (None, parts[0].user_id):
            return None
        if any(part.pool_id not in self.pools for part in parts):
            return Again()
        for part in parts:
            pool = self.pools[part.pool_id]
            if part.expires_at <= self.now:
                self.end(part, "lease.expired", wish.actor)
            elif not pool.terms.linger_seconds or part.state == "borrowed":
                self.end(part, "lease.released", wish.actor)
            elif part.state != "lingering":
                until = min(self.now + pool.terms.linger_seconds * SECOND, _end_of(pool))
                self._put(msgspec.structs.replace(part, state="lingering", expires_at=until))
                self._note("lease.lingers", wish.actor, part, pool, until=from_micros(until))
        return None

    def consume(self, wish: Consume) -> Outcome:
        """Take units of the licenses that expire soonest; a repeat of the request id takes none."""
        if done := self.consumed.get(wish.request_id):
            digest, remaining = done
            if digest != wish.digest:
                return IdempotencyMismatch(f"The request id {wish.request_id!r} came with another consumption.")
            return Consumed(remaining)
        try:
            meters = self._meters(wish)
        except LicensingError as refusal:
            return refusal
        remaining = sum(meter.total - meter.used for meter in meters) - wish.units
        if remaining < 0:
            if meters:
                self.denied[meters[0].license_id, wish.product_code, UnitsExhausted.code] += 1
            of = f" of the meter {wish.meter!r}" if wish.meter else ""
            return UnitsExhausted(f"{remaining + wish.units} units{of} are left; {wish.units} were asked for.")
        missing = wish.units
        for meter in meters:
            if taken := min(missing, meter.total - meter.used):
                meter.used += taken
                missing -= taken
                self._note_use(meter.license_id)
                data = {
                    "license_id": meter.license_id,
                    "user": wish.user,
                    "request_id": wish.request_id,
                    "meter": wish.meter,
                    "units": taken,
                    "units_used": meter.used,
                }
                self.happened.append(Happened(kind="units.consumed", actor=wish.actor, data=data))
        self.consumed[wish.request_id] = wish.digest, remaining
        self.consumptions.append((wish.request_id, wish.digest, remaining))
        return Consumed(remaining)

    def end(self, seat: Seat, kind: str, actor: str) -> None:
        """End what one seat row holds, for the reason `kind`, and free its seats.

        Where others still share its key, the largest of them takes over what has to be charged for
        them all.
        """
        pool = self.pools[seat.pool_id]
        group = self._sharing[seat.pool_id, seat.share_key] if seat.share_key else set()
        group.discard(seat.id)
        del self.seats[seat.id]
        pool.in_use -= seat.charged
        if group and seat.charged:
            heir = max((self.seats[id] for id in group), key=lambda heir: (heir.seats, heir.id))
            missing = max(0, heir.seats - sum(self.seats[id].charged for id in group))
            self._put(msgspec.structs.replace(heir, charged=heir.charged + missing))
            pool.in_use += missing
        if seat.state == "assigned":
            kind = "seat.unassigned"
        else:
            self.ended.append(seat)
        self._note(kind, actor, seat, pool, in_use=pool.in_use)

    def dissolve_queues(self) -> None:
        """Send home all who wait for these pools; those who still want a seat queue anew elsewhere."""
        for queue in self.waiting.values():
            queue.clear()
        for pool in self.pools.values():
            pool.waiters = 0

    # --- how it is judged -------------------------------------------------------------------------

    @cached_property
    def _leasing(self) -> dict[tuple[str | None, str], list[tuple[int, Pool]]]:
        """The pools of each user and product code, with their places in the order in which they are drawn on."""
        leasing = defaultdict(list)
        for place, pool in enumerate(sorted(self.pools.values(), key=lambda pool: (_end_of(pool), pool.id))):
            if pool.leasing:
                leasing[pool.user_id, pool.product_code].append((place, pool))
        return leasing

    def _offered(self, bindings: tuple[str, ...], product_code: str) -> list[Pool]:
        """The pools of these users, the one that expires soonest first, then by id."""
        offered = self._offers.get((bindings, product_code))
        if offered is None:
            found = [each for user in {*bindings} for each in self._leasing.get((user, product_code), ())]
            offered = self._offers[bindings, product_code] = [pool for _, pool in sorted(found)]
        return offered

    def _renew(self, wish: Claim, parts: list[Seat]) -> Granted:
        first, seats = parts[0], sum(part.seats for part in parts)
        pools = [self.pools[part.pool_id] for part in parts]
        if wish.owner not in (None, first.user_id):
            raise Conflict(
                "The lease id is in use by somebody else.", help="Make lease ids that are unique, as UUIDs are."
            )
        if (wish.product_code, wish.user) != (pools[0].product_code, first.user_id) or (
            wish.seats != seats and len(parts) == first.parts
        ):
            raise Conflict(
                "The lease was claimed with another product code, user or number of seats.",
                help="Release the lease, or claim the other under an id of its own.",
            )
        try:
            if len(parts) < first.parts:
                raise NotLicensed("Some of the seats of this lease are gone: its licenses were withdrawn or returned.")
            for pool in pools:
                if pool.state != "open":
                    raise LicenseWithdrawn("The license was withdrawn by the vendor.")
                if pool.user_id not in wish.bindings:
                    raise NotLicensed(f"The user {wish.user!r} has no license for {wish.product_code!r} any more.")
                seating.check_time(pool, self.now)
        except (LicenseWithdrawn, NotLicensed, LicenseExpired, LicenseNotYetValid):
            for part in parts:
                self.end(part, "lease.ended", wish.actor)
            raise
        for pool in pools:
            seating.check_terms(pool.terms, wish)
            if pool.terms.license_model == "node_locked" and wish.station != first.station:
                raise Conflict(
                    f"The seat is locked to the node {first.station!r}.",
                    help="Claim a seat for the other node under a lease id of its own.",
                )
        until = min(seating.expiry(wish, pool, self.now) for pool in pools)
        state = first.state if first.state == "borrowed" else "live"
        if state == "borrowed":
            until = max(until, first.expires_at)
        if wish.borrow_days is not None:
            state = "borrowed"
        renewed = [msgspec.structs.replace(part, expires_at=until, state=state) for part in parts]
        for part, pool in zip(renewed, pools, strict=True):
            self._put(part)
            if wish.borrow_days is not None:
                self._note("lease.borrowed", wish.actor, part, pool, until=from_micros(until))
        return self._granted(renewed, created=False)

    def _usable(self, wish: Claim | Consume) -> list[Pool]:
        """The open pools that the user may draw on, the one that expires soonest first, then by id."""
        offered = self._offered(wish.bindings, wish.product_code)
        usable = [pool for pool in offered if pool.state == "open"]
        if not usable:
            withdrawn = any(pool.state == "closing" for pool in offered)
            error = why_nothing(wish.user, wish.product_code, withdrawn=withdrawn, known=self._known_codes)
            if not isinstance(error, ProductUnknown):
                self.denied["", wish.product_code, error.code] += 1
            raise error
        return usable

    def _meters(self, wish: Consume) -> list[Meter]:
        """The meters that may be drawn on now, in the order in which they are."""
        meters: dict[str, Meter] = {}
        refused: tuple[LicensingError, Pool] | None = None
        usable = 0
        for pool in self._usable(wish):
            try:
                seating.check_time(pool, self.now)
            except LicensingError as error:
                if refused is None or isinstance(refused[0], LicenseExpired):
                    refused = error, pool
                continue
            usable += 1
            if meter := self.meters.get((pool.license_id, wish.meter)):
                meters[pool.license_id] = meter
        if not usable and refused is not None:
            self.denied[refused[1].license_id, wish.product_code, refused[0].code] += 1
            raise refused[0]
        return [*meters.values()]

    def _take(self, wish: Claim) -> Outcome:
        usable = self._usable(wish)
        fit: list[Pool] = []
        refused: tuple[LicensingError, Pool] | None = None
        for pool in usable:
            try:
                seating.check_time(pool, self.now)
                seating.check_terms(pool.terms, wish)
            except LicensingError as error:
                if refused is None or isinstance(refused[0], LicenseExpired):
                    refused = error, pool
                continue
            fit.append(pool)
        if not fit:
            assert refused is not None
            if not isinstance(refused[0], InvalidRequest):
                self.denied[refused[1].license_id, wish.product_code, refused[0].code] += 1
            raise refused[0]
        for pool in fit:
            if seats := self._from_one(wish, pool):
                return self._grant(wish, seats)
        if len(fit) > 1 and (seats := self._from_several(wish, fit)):
            return self._grant(wish, seats)
        if any(pool.id in self._more_expired for pool in fit):
            return Again()
        if wish.may_wait and seating.could_ever_fit(wish, fit):
            return self._queue(wish, fit)
        self._leave_queue(wish.lease_id)
        self.denied[fit[0].license_id, wish.product_code, NoFreeSeats.code] += 1
        return Full(wish, tuple(pool.id for pool in fit), sum(pool.seats + pool.overdraft for pool in fit))

    def _from_one(self, wish: Claim, pool: Pool) -> list[Seat]:
        """The seats in this pool, or none if it has no room for all of them."""
        key = share_key(pool.terms, user=wish.user, station=wish.station)
        if key is None:
            if not self._has_room(pool, wish.seats, wish):
                return []
            return [self._seat(wish, pool, key, wish.seats, wish.seats)]
        for id in sorted(id for id in self._sharing[pool.id, key] if self.seats[id].expires_at <= self.now):
            self.end(self.seats[id], "lease.expired", wish.actor)
        group = [self.seats[id] for id in self._sharing[pool.id, key]]
        if pool.terms.license_model == "exclusive" and group:
            return []
        charge = max(0, wish.seats - sum(seat.charged for seat in group))
        if not self._has_room(pool, charge, wish):
            return []
        until = seating.assigned_until(pool, self.now)
        if until is None or any(seat.state == "assigned" for seat in group):
            return [self._seat(wish, pool, key, wish.seats, charge)]
        assigned = msgspec.structs.replace(
            self._seat(wish, pool, key, wish.seats, charge),
            id=seating.assignment_id(pool.id, key),
            expires_at=until,
            state="assigned",
        )
        return [assigned, self._seat(wish, pool, key, wish.seats, 0)]

    def _from_several(self, wish: Claim, fit: list[Pool]) -> list[Seat]:
        """The seats out of several pools, the whole of what each has left, or none if it is not enough."""
        missing = wish.seats
        seats: list[Seat] = []
        for pool in fit:
            key = share_key(pool.terms, user=wish.user, station=wish.station)
            if key is None and (some := min(missing, self._free(pool, wish))) > 0:
                part = self._seat(wish, pool, key, some, some)
                seats.append(msgspec.structs.replace(part, id=f"{part.id}+{len(seats)}" if seats else part.id))
                missing -= some
        if missing:
            return []
        ends = min(seat.expires_at for seat in seats)
        return [msgspec.structs.replace(seat, expires_at=ends, parts=len(seats)) for seat in seats]

    def _has_room(self, pool: Pool, charge: int, wish: Claim) -> bool:
        return charge == 0 or self._free(pool, wish, wanted=charge) >= charge

    def _free(self, pool: Pool, wish: Claim, *, wanted: int = FOREVER) -> int:
        """Seats that may be taken, after what has expired is ended if that is needed; those who came first go first."""
        reserved = sum(waiter.seats for waiter in self._ahead(pool, wish.lease_id)) if pool.waiters else 0
        expired = self._expired[pool.id]
        while expired and pool.capacity - pool.in_use - reserved < wanted:
            seat = self.seats.get(expired.pop())
            if seat is not None and seat.expires_at <= self.now:
                self.end(seat, "lease.expired", wish.actor)
        return pool.capacity - pool.in_use - reserved

    def _ahead(self, pool: Pool, lease_id: str) -> list[Waiter]:
        own = next((waiter.id for waiter in self.waiting[pool.id] if waiter.lease_id == lease_id), FOREVER * 2)
        return [waiter for waiter in self.waiting[pool.id] if waiter.id < own]

    def _queue(self, wish: Claim, fit: list[Pool]) -> Waiting:
        for pool in fit:
            queue = self.waiting[pool.id]
            # Who waits for the own station to become free keeps no seat from others.
            busy = pool.terms.license_model == "exclusive" and self._has_group(pool, wish)
            seats = 0 if busy else wish.seats
            for place, waiter in enumerate(queue):
                if waiter.lease_id == wish.lease_id:
                    queue[place] = msgspec.structs.replace(waiter, seats=seats, seen_at=self.now)
                    break
            else:
                queue.append(
                    Waiter(
                        id=FOREVER + next(self._arrivals),
                        lease_id=wish.lease_id,
                        pool_id=pool.id,
                        seats=seats,
                        seen_at=self.now,
                    )
                )
            pool.waiters = len(queue)
        return Waiting(len(self._ahead(fit[0], wish.lease_id)))

    def _has_group(self, pool: Pool, wish: Claim) -> bool:
        key = share_key(pool.terms, user=wish.user, station=wish.station)
        return key is not None and bool(self._sharing[pool.id, key])

    def _leave_queue(self, lease_id: str) -> None:
        for id, queue in self.waiting.items():
            queue[:] = [waiter for waiter in queue if waiter.lease_id != lease_id]
            if pool := self.pools.get(id):
                pool.waiters = len(queue)

    def _grant(self, wish: Claim, seats: list[Seat]) -> Granted:
        if self.waiting:
            self._leave_queue(wish.lease_id)
        leases = []
        begun = [seat for seat in seats if self._note_use(self.pools[seat.pool_id].license_id)] if self._unused else []
        if begun:
            end = min(_end_of(self.pools[seat.pool_id]) for seat in seats)
            seats = [msgspec.structs.replace(seat, expires_at=min(seat.expires_at, end)) for seat in seats]
        for seat in seats:
            pool = self.pools[seat.pool_id]
            pool.in_use += seat.charged
            self._put(seat)
            facts: dict[str, object] = {"seats": seat.seats, "charged": seat.charged, "in_use": pool.in_use}
            if seat.state == "assigned":
                self._note("seat.assigned", wish.actor, seat, pool, **facts)
                continue
            if seat.state == "borrowed":
                facts["until"] = from_micros(seat.expires_at)
            self._note("lease.granted", wish.actor, seat, pool, **facts)
            leases.append(seat)
        return self._granted(leases, created=True)

    def _note_use(self, license_id: str) -> bool:
        """A usage period starts with the first use of the license, for all its containers; whether this was it."""
        begun = self._unused.pop(license_id, [])
        for pool in begun:
            seating.start_period(pool, self.now)
        if begun:
            self.first_used.add(license_id)
        return bool(begun)

    def _seat(self, wish: Claim, pool: Pool, key: str | None, seats: int, charge: int) -> Seat:
        return Seat(
            id=wish.lease_id,
            pool_id=pool.id,
            user_id=wish.user,
            station=wish.station,
            feature=wish.feature,
            share_key=key,
            seats=seats,
            charged=charge,
            granted_at=self.now,
            expires_at=seating.expiry(wish, pool, self.now),
            state="live" if wish.borrow_days is None else "borrowed",
        )

    def _granted(self, parts: list[Seat], *, created: bool) -> Granted:
        if len(parts) == 1:
            pool = self.pools[parts[0].pool_id]
            return Granted(
                parts=(parts[0],),
                licenses=(pool.license_id,),
                product_code=pool.product_code,
                in_use=pool.in_use,
                total=None if pool.unlimited else pool.seats,
                now=self.now,
                created=created,
            )
        pools = [self.pools[part.pool_id] for part in parts]
        return Granted(
            parts=tuple(parts),
            licenses=tuple(pool.license_id for pool in pools),
            product_code=pools[0].product_code,
            in_use=sum(pool.in_use for pool in pools),
            total=None if any(pool.unlimited for pool in pools) else sum(pool.seats for pool in pools),
            now=self.now,
            created=created,
        )

    def _parts(self, lease_id: str) -> list[Seat]:
        """What there is of a lease, in order; some of a lease over several licenses may be gone."""
        first = self.seats.get(lease_id)
        if first is not None and first.parts == 1:
            return [first]
        ids = self._split.get(lease_id, ())
        return [self.seats[id] for id in sorted(ids) if id in self.seats]

    def _put(self, seat: Seat) -> None:
        self.seats[seat.id] = seat
        self._remember(seat)

    def _remember(self, seat: Seat) -> None:
        if seat.share_key:
            self._sharing[seat.pool_id, seat.share_key].add(seat.id)
        if seat.parts > 1:
            self._split[seat.lease_id].add(seat.id)

    def _note(self, kind: str, actor: str, seat: Seat, pool: Pool, **facts: object) -> None:
        data: dict[str, object] = {"license_id": pool.license_id, "pool_id": pool.id, "user": seat.user_id}
        if seat.state == "assigned":
            data["seat"] = seat.share_key
        else:
            data["lease_id"] = seat.lease_id
        if seat.station is not None:
            data["station"] = seat.station
        self.happened.append(Happened(kind=kind, actor=actor, data=data | facts))


def _end_of(pool: Pool) -> int:
    return FOREVER if pool.until is None else pool.until


def why_nothing(user: str, product_code: str, *, withdrawn: bool, known: Collection[str]) -> LicensingError:
    """Why a user has no license for a product code that may be used."""
    if withdrawn:
        return LicenseWithdrawn(f"The license of {user!r} for {product_code!r} was withdrawn.")
    if product_code not in known:
        return ProductUnknown(f"No product has the product code {product_code!r}.")
    return NotLicensed(f"The user {user!r} has no license for {product_code!r}.")
