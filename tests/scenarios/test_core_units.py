"""Units: consumed once per request, from the license that ends first."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from licentia.errors import (
    IdempotencyMismatch,
    LicenseExpired,
    LicenseNotYetValid,
    LicenseWithdrawn,
    NotLicensed,
    ProductUnknown,
    UnitsExhausted,
)


async def consume(desk: Any, units: int, request_id: str, user: str = "ada", product_code: str = "run") -> int:
    """Consume units; what remains."""
    reply = await desk("ConsumeUnits", user=user, product_code=product_code, units=units, request_id=request_id)
    return int(reply.remaining)


async def denied(desk: Any, error: Any, units: int = 1, request_id: str = "no", **fields: Any) -> Any:
    """Fail to consume units."""
    given = {"user": "ada", "product_code": "run"} | fields
    return await desk.refused(error, "ConsumeUnits", units=units, request_id=request_id, **given)


async def test_a_request_consumes_once(desk: Any) -> None:
    """A repeat of the request id gets the first answer, whatever was consumed since."""
    await desk.sold("run", units=100)
    assert await consume(desk, 30, "r1") == 70
    assert await consume(desk, 20, "r2") == 50
    assert await consume(desk, 30, "r1") == 70
    (license,) = (await desk("ListLicenses", user="ada")).licenses
    assert (license.units_total, license.units_remaining) == (100, 50)
    assert (await desk.kinds()).count("units.consumed") == 2


async def test_a_request_id_with_other_content_is_a_mistake(desk: Any) -> None:
    """Other units, another user or another product under the same id are refused and consume nothing."""
    await desk.sold("run", units=100)
    await desk.sold("run", "ben", units=100)
    await consume(desk, 30, "r1")
    for other in ({"units": 31}, {"user": "ben"}):
        await denied(desk, IdempotencyMismatch, **{"units": 30, "request_id": "r1"} | other)
    assert await consume(desk, 1, "r2") == 69


async def test_all_or_nothing(desk: Any) -> None:
    """Too few units are not consumed in part; the last one can be."""
    await desk.sold("run", units=100)
    assert "100 units are left; 101 were asked for" in (await denied(desk, UnitsExhausted, 101)).detail
    assert await consume(desk, 100, "r1") == 0
    await denied(desk, UnitsExhausted)
    assert await consume(desk, 100, "r1") == 0


async def test_what_ends_first_is_consumed_first(desk: Any) -> None:
    """One request may draw on several licenses, in the order of their ends."""
    for number, end in {"1": None, "2": "2031-01-01T00:00:00Z", "3": "2030-01-01T00:00:00Z"}.items():
        await desk.product("run", units=10, expires_at=end)
        await desk.activate((await desk.order(number, ("1", "run", 1))).ticket)
    assert await consume(desk, 15, "r1") == 15
    left = {
        number: (await desk("GetOrder", source="erp", order_number=number)).licenses[0].units_remaining
        for number in "123"
    }
    assert left == {"3": 0, "2": 5, "1": 10}
    consumed = [event.data for event in await desk.events() if event.kind == "units.consumed"]
    assert [event["units"] for event in consumed] == [10, 5]


async def test_many_consume_at_once(desk: Any) -> None:
    """Nothing is consumed twice or lost, whoever is first."""
    await desk.sold("run", units=10)
    outcomes = await asyncio.gather(*[consume(desk, 1, f"r{number}") for number in range(15)], return_exceptions=True)
    assert sorted(outcome for outcome in outcomes if isinstance(outcome, int)) == list(range(10))
    assert [type(outcome) for outcome in outcomes if not isinstance(outcome, int)] == [UnitsExhausted] * 5


async def test_one_request_sent_many_times_at_once(desk: Any) -> None:
    """An impatient client is charged once and gets one answer."""
    await desk.sold("run", units=10)
    assert set(await asyncio.gather(*[consume(desk, 3, "r1") for _ in range(10)])) == {7}


async def test_who_cannot_consume(desk: Any) -> None:
    """No license, no such product, a license without units, one that has ended or not begun."""
    await desk.product("run", units=10)
    await denied(desk, NotLicensed)
    await denied(desk, ProductUnknown, product_code="nope")
    await desk.sold("cad")
    await denied(desk, UnitsExhausted, product_code="cad")
    await desk.sold("late", units=5, activation_at="2099-01-01T00:00:00Z")
    await denied(desk, LicenseNotYetValid, product_code="late")
    activation = await desk.sold("run", units=10, expires_after_days=1)
    await desk.sql("UPDATE license SET first_activated_at = first_activated_at - $1", 90_000_000_000)
    await denied(desk, LicenseExpired)
    await desk("ReturnActivation", activation_id=activation.activation_id)
    await denied(desk, NotLicensed)


async def test_a_withdrawn_license_gives_no_units(desk: Any) -> None:
    """The refusal says that the vendor took the license back, at once or at the next contact."""
    for mode in ("now", "at_next_contact"):
        activation = await desk.sold("run", f"user-{mode}", units=10)
        license_id = activation.licenses[0].license_id
        await desk("WithdrawLicense", license_id=license_id, reason="unpaid", mode=mode)
        await denied(desk, LicenseWithdrawn, user=f"user-{mode}")


async def test_units_start_the_usage_period(desk: Any) -> None:
    """Consuming is using: the days of a usage period count from the first units."""
    activation = await desk.sold("run", units=10, usage_period_days=3)
    assert activation.licenses[0].expires_at is None
    await consume(desk, 1, "r1")
    (license,) = (await desk("ListLicenses", user="ada")).licenses
    assert license.expires_at is not None
    assert license.expires_at - activation.activated_at >= timedelta(days=3)
