"""The server against a second bookkeeping: whatever is done, in whatever order, both say the same.

`office.py` is the model. Time passes by making everything else older, by whole hours.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from typing import Any

import hypothesis
import office
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from licentia.domain.instants import FOREVER
from licentia.errors import Conflict

TEAM = """
from licentia.directories import Subject, UserDirectory
class Plugin(UserDirectory):
    async def _identify(self, claim):
        return Subject(user=claim.user, groups=("group:" + claim.user.partition(".")[0],)) if claim.user else None
"""
HOUR = 3_600_000_000


class Seats(RuleBasedStateMachine):
    """Random histories of one product, at two servers of one database."""

    run: Callable[[Coroutine[Any, Any, Any]], Any]
    desks: list[Any]
    open: Callable[[], Coroutine[Any, Any, Any]]
    numbers = itertools.count()

    @initialize(
        model=st.sampled_from(("floating", "floating", "named_user", "station_share", "exclusive", "node_locked",
                               "unlimited")),
        sizes=st.lists(st.tuples(st.integers(1, 3), st.integers(0, 1)), min_size=1, max_size=3),
        terms=st.fixed_dictionaries({}, optional={
            "linger_seconds": st.sampled_from((3600, 7200)), "offline_days": st.just(2),
            "reassign_after_days": st.just(1),
        }),
    )  # fmt: skip
    def sell(self, model: str, sizes: list[tuple[int, int]], terms: dict[str, Any]) -> None:
        """Sell licenses, each ending later than the one before."""
        if model != "named_user":
            terms.pop("reassign_after_days", None)
        self.team = f"team{next(self.numbers)}"
        self.office = office.Office(model, terms)
        for number, (seats, overdraft) in enumerate(sizes):
            whole = terms | {"license_model": model, "overdraft": overdraft, "units": 10, "lease_ttl_seconds": 604_800}
            end = f"{2080 + number}-01-01T00:00:00Z"
            self.run(self.desks[0].product(self.team, quantity=seats, expires_at=end, **whole))
            order = self.run(self.desks[0].order(f"{self.team}-{number}", ("1", self.team, 1)))
            activation = self.run(self.desks[0].activate(order.ticket, f"group:{self.team}"))
            (license,) = activation.licenses
            self.office.licenses.append(
                office.License(license.license_id, activation.activation_id, order.ticket, seats, overdraft, 10)
            )

    def same(self, expected: Callable[[], Any], name: str, desk: int = 0, **fields: Any) -> tuple[Any, Any]:
        """Do it in the office and at a server: both succeed, or both refuse for the same reason."""
        try:
            wanted = expected()
        except office.Refused as refusal:
            self.run(self.desks[desk].refused(refusal.error, name, **fields))
            return None, None
        return wanted, self.run(self.desks[desk](name, **fields))

    @rule(
        id=st.sampled_from("abcde"), user=st.sampled_from(("ada", "ben")), station=st.sampled_from(("ws1", "ws2")),
        seats=st.sampled_from((1, 1, 1, 2, 3)), hours=st.integers(1, 6),
        days=st.sampled_from((None, None, None, 1, 3)), desk=st.integers(0, 1), again=st.booleans(),
        alike=st.booleans(),
    )  # fmt: skip
    def claim(
        self, id: str, user: str, station: str, seats: int, hours: int, days: int | None, desk: int, again: bool,
        alike: bool,
    ) -> None:  # fmt: skip
        """Claim or renew; a client that lost the answer asks again."""
        if alike and (lease := self.office.live().get(id)):
            user, station, seats = lease.user, lease.station, lease.seats
        fields = {
            "lease_id": f"{self.team}-{id}", "user": f"{self.team}.{user}", "product_code": self.team, "seats": seats,
            "station": station, "ttl_seconds": hours * 3600, "borrow_days": days,
        }  # fmt: skip
        wish = (id, user, station, seats, hours, days)
        created, lease = self.same(lambda: self.office.claim(*wish), "CheckoutLicense", desk, **fields)
        if lease is None:
            return
        assert lease.created is created
        held = self.office.leases[id]
        parts = {part.license_id: part.seats for part in lease.licenses} or {lease.license_id: lease.seats}
        assert (parts, lease.state) == (held.parts, held.state)
        if again:
            self.office.claim(*wish)
            self.run(self.hang_up(desk, fields))
            assert not self.run(self.desks[1 - desk]("CheckoutLicense", **fields)).created
            # What was abandoned may be under way still, and would claim anew after a release at the other server.
            self.run(self.desks[desk]("ReleaseLease", lease_id=f"{self.team}-none"))

    async def hang_up(self, desk: int, fields: dict[str, Any]) -> None:
        """Claim, and do not wait for the answer."""
        task = asyncio.create_task(self.desks[desk]("CheckoutLicense", **fields))
        for _ in range(3):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    @rule(id=st.sampled_from("abcde"), desk=st.integers(0, 1))
    def release(self, id: str, desk: int) -> None:
        """Give back, or what never was."""
        self.office.release(id)
        self.run(self.desks[desk]("ReleaseLease", lease_id=f"{self.team}-{id}"))

    @rule(hours=st.sampled_from((1, 2, 5, 24)))
    def time_passes(self, hours: int) -> None:
        """Everything is older, but for what is for good."""
        self.office.now += hours
        older = "UPDATE lease SET granted_at = granted_at - $1, expires_at = expires_at - $1 WHERE expires_at < $2"
        mine = " AND pool_id IN (SELECT id FROM seat_pool WHERE product_code = $3)"
        self.run(self.desks[0].sql(older + mine, hours * HOUR, FOREVER, self.team))

    @rule(number=st.integers(0, 2), mode=st.sampled_from(("now", "at_next_contact")), seldom=st.integers(0, 3))
    def withdraw(self, number: int, mode: str, seldom: int) -> None:
        """The vendor takes a license back."""
        license = self.office.licenses[number % len(self.office.licenses)]
        if seldom or license.state == "returned":
            return
        live = any(license.id in lease.parts for lease in self.office.live().values())
        self.run(self.desks[0]("WithdrawLicense", license_id=license.id, reason="", mode=mode))
        license.state = "closing"
        if mode == "now" or not live:
            self.office.clear(license)

    @rule(number=st.integers(0, 2))
    def give_back(self, number: int) -> None:
        """The owner returns an activation, which nobody may have borrowed from, and activates it anew next time."""
        license = self.office.licenses[number % len(self.office.licenses)]
        if license.state == "returned":
            activation = self.run(self.desks[0].activate(license.ticket, f"group:{self.team}"))
            license.activation, license.state = activation.activation_id, "open"
            return
        if license.state != "open":
            return
        held = [lease for lease in self.office.live().values() if license.id in lease.parts]
        if any(lease.state == "borrowed" for lease in held):
            self.run(self.desks[0].refused(Conflict, "ReturnActivation", activation_id=license.activation))
        else:
            self.run(self.desks[0]("ReturnActivation", activation_id=license.activation))
            license.state = "returned"
            self.office.clear(license)

    @rule(request=st.sampled_from("abcdefgh"), desk=st.integers(0, 1))
    def consume(self, request: str, desk: int) -> None:
        """Consume units, or repeat that."""
        units = 1 + ord(request) % 5
        fields = {"user": f"{self.team}.ada", "product_code": self.team, "request_id": f"{self.team}-{request}"}
        consumed = lambda: self.office.consume(request, units)  # noqa: E731
        wanted, reply = self.same(consumed, "ConsumeUnits", desk, units=units, **fields)
        assert reply is None or reply.remaining == wanted

    @rule(seldom=st.integers(0, 9))
    def crash(self, seldom: int) -> None:
        """A server is gone without a word, another one starts."""
        if not seldom and len(self.desks) < 5:
            self.desks.insert(1, self.run(self.open()))

    @invariant()
    def both_say_the_same(self) -> None:
        """The leases, what is in use of each license, and that it is never more than was sold."""
        if not hasattr(self, "office"):
            return
        listed = self.run(self.desks[0]("ListLeases", product_code=self.team, limit=500)).leases
        shown = sorted((lease.lease_id, lease.license_id, lease.seats, lease.state) for lease in listed)
        assert shown == sorted(
            (f"{self.team}-{id}", license_id, seats, lease.state)
            for id, lease in self.office.live().items()
            for license_id, seats in lease.parts.items()
        )
        used = {one.license_id: one.seats_in_use
                for one in self.run(self.desks[1]("ListLicenses", user=f"{self.team}.ada")).licenses}  # fmt: skip
        assert used == {
            license.id: sum(self.office.groups(license).values())
            for license in self.office.licenses
            if license.state == "open"
        }
        rows = self.run(self.desks[0].sql("SELECT * FROM seat_pool WHERE product_code = $1", self.team))
        assert all(row["unlimited"] or row["in_use"] <= row["seats"] + row["overdraft"] for row in rows)


async def histories(open_desk: Callable[..., Any], url: str, examples: int) -> None:
    """Run random histories on a database; `open_desk` looks at the books in the end."""

    async def opened() -> Any:
        return await open_desk(database=url, directories=("company",))

    loop = asyncio.get_running_loop()

    def run(work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(timeout=60)

    desks = [await opened(), await opened()]
    machine = type("Seats", (Seats,), {"run": staticmethod(run), "desks": desks, "open": staticmethod(opened)})
    settings = hypothesis.settings(max_examples=examples, stateful_step_count=30, deadline=None)
    await asyncio.to_thread(run_state_machine_as_test, machine, settings=settings)


async def test_any_history_equals_a_second_bookkeeping(
    database_url: str, open_desk: Callable[..., Any], install: Callable[..., None]
) -> None:
    """Grants, refusals, choices and counts are those of the model, at any step of some random histories."""
    install("directories", "company", TEAM)
    await histories(open_desk, database_url, 15)


@pytest.mark.slow
async def test_many_histories_equal_a_second_bookkeeping(
    database_url: str, open_desk: Callable[..., Any], install: Callable[..., None]
) -> None:
    """The same, for far more of them."""
    install("directories", "company", TEAM)
    await histories(open_desk, database_url, 400)
