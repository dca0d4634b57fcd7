"""Seats beyond those sold, seats that linger, and units by several meters, as the books and the reports show them."""

from __future__ import annotations

import asyncio
from typing import Any

from licentia.errors import IdempotencyMismatch, NoFreeSeats, UnitsExhausted

METERS = [{"name": "render", "units": 10}, {"name": "export", "units": 5}]


async def pass_time(desk: Any, seconds: float) -> None:
    """Let all leases be older."""
    await desk.sql("UPDATE lease SET expires_at = expires_at - $1", int(seconds * 1_000_000))


async def in_use(desk: Any) -> tuple[int, int]:
    """Seats in use and seats sold, as the user's list shows them."""
    (license,) = (await desk("ListLicenses", user="ada")).licenses
    return license.seats_in_use, license.seats_total


async def test_an_overdraft_shows_as_more_in_use_than_sold(desk: Any) -> None:
    """In the answer, in the list of licenses and in the peak of the report; then it is full."""
    await desk.sold(quantity=2, overdraft=3)
    lease = await desk.checkout("a", seats=4)
    assert (lease.seats_in_use, lease.seats_total) == (4, 2)
    assert await in_use(desk) == (4, 2)
    assert "All 5 seats" in (await desk.full(NoFreeSeats, seats=2)).detail
    await desk.checkout("b")
    usage = await desk("GetUsage")
    assert [one.peak for one in usage.products] == [one.peak for one in usage.licenses] == [5]


async def test_a_lingering_seat_shows_as_taken(desk: Any) -> None:
    """It is listed as lingering until its time is over, and counts as in use until then."""
    await desk.sold(linger_seconds=60)
    await desk.checkout("a")
    await desk("ReleaseLease", lease_id="a")
    assert [(one.lease_id, one.state) for one in (await desk("ListLeases")).leases] == [("a", "lingering")]
    assert await in_use(desk) == (1, 1)
    await pass_time(desk, 60)
    assert await desk.leases() == []
    assert await in_use(desk) == (0, 1)
    assert (await desk.checkout("b")).seats_in_use == 1
    assert (await desk.kinds())[-3:] == ["lease.lingers", "lease.expired", "lease.granted"]


async def test_a_shared_seat_lingers_once(desk: Any) -> None:
    """Two leases of a station that were released are one seat that lingers."""
    await desk.sold(quantity=2, license_model="station_share", linger_seconds=60)
    for lease_id in "ab":
        await desk.checkout(lease_id, station="ws1")
        await desk("ReleaseLease", lease_id=lease_id)
    assert await in_use(desk) == (1, 2)
    assert (await desk.checkout("c", station="ws2")).seats_in_use == 2
    await desk.full(NoFreeSeats, station="ws3")


async def test_each_meter_has_units_of_its_own(desk: Any) -> None:
    """They are sold, consumed and shown apart; the one without a name is that of the term `units`."""
    activation = await desk.sold("run", quantity=3, units=100, meters=METERS)

    async def consume(units: int, request_id: str, **meter: str) -> int:
        call = {"user": "ada", "product_code": "run", "units": units, "request_id": request_id}
        return int((await desk("ConsumeUnits", **call, **meter)).remaining)

    assert await consume(40, "r1") == 260
    assert await consume(7, "r2", meter="render") == 23
    assert await consume(7, "r2", meter="render") == 23
    call = {"user": "ada", "product_code": "run", "units": 7}
    await desk.refused(IdempotencyMismatch, "ConsumeUnits", request_id="r2", meter="export", **call)
    refusal = await desk.refused(UnitsExhausted, "ConsumeUnits", request_id="r3", meter="print", **call)
    assert "0 units of the meter 'print' are left" in refusal.detail
    (license,) = (await desk("ListLicenses", user="ada")).licenses
    shown = [(meter.name, meter.units_total, meter.units_remaining) for meter in license.meters]
    assert shown == [("export", 15, 15), ("render", 30, 23)]
    assert (license.units_total, license.units_remaining) == (300, 260)
    (license,) = (await desk("GetTicket", code=activation.ticket)).licenses
    assert [meter.units_remaining for meter in license.meters] == [15, 23]


async def test_meters_grow_and_shrink_with_the_order(desk: Any) -> None:
    """A later version of the order changes every meter, but never below what was consumed."""
    await desk.product("run", meters=METERS)
    order = await desk.order("1", ("1", "run", 2))
    await desk.activate(order.ticket)
    call = {"user": "ada", "product_code": "run"}
    await desk("ConsumeUnits", units=15, request_id="r1", meter="render", **call)
    less = await desk.order("1", ("1", "run", 1))
    shown = {meter.name: (meter.units_total, meter.units_remaining) for meter in less.licenses[0].meters}
    assert shown == {"render": (15, 0), "export": (5, 5)}
    more = await desk.order("1", ("1", "run", 4))
    shown = {meter.name: (meter.units_total, meter.units_remaining) for meter in more.licenses[0].meters}
    assert shown == {"render": (40, 25), "export": (20, 20)}


async def test_many_consume_two_meters_at_once(desk: Any) -> None:
    """Each gives exactly what it has, whoever is first."""
    await desk.sold("run", meters=METERS)

    async def consume(number: int, meter: str) -> bool:
        call = {"user": "ada", "product_code": "run", "units": 1, "request_id": f"{meter}{number}"}
        try:
            await desk("ConsumeUnits", meter=meter, **call)
        except UnitsExhausted:
            return False
        return True

    for meter, total in (("render", 10), ("export", 5)):
        assert sum(await asyncio.gather(*[consume(number, meter) for number in range(14)])) == total
