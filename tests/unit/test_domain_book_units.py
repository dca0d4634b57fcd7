"""The book: units by meter, once for each request."""

from __future__ import annotations

from typing import Any

from licentia.domain.instants import DAY
from licentia.domain.seats import Consumed
from licentia.errors import IdempotencyMismatch, LicenseExpired, NotLicensed, UnitsExhausted

LATE = "2099-01-01T00:00:00Z"
METERS = [{"name": "render", "units": 10}, {"name": "export", "units": 5}]


def test_each_meter_has_units_of_its_own(tables: Any) -> None:
    """The nameless meter and those with names do not draw on each other; one that is not sold is empty."""
    tables.pool(units=100, meters=METERS)
    assert tables.consume(40, "r1") == Consumed(60)
    assert tables.consume(4, "r2", meter="render") == Consumed(6)
    assert tables.consume(5, "r3", meter="export") == Consumed(0)
    assert "of the meter 'export'" in tables.consume(1, "r4", meter="export").detail
    assert isinstance(tables.consume(1, "r5", meter="print"), UnitsExhausted)
    assert tables.consume(60, "r6") == Consumed(0)


def test_a_request_consumes_once(tables: Any) -> None:
    """A repeat has the first answer, in the same transaction or later; other content under the id is a mistake."""
    tables.pool(units=10)
    assert tables.consume(3) == Consumed(7)
    tables.consume(2, "r2")
    assert tables.consume(3) == Consumed(7)
    assert isinstance(tables.consume(4), IdempotencyMismatch)
    assert tables.meters[0].used == 5


def test_all_or_nothing(tables: Any) -> None:
    """Too few units are left alone, and the denial is counted."""
    tables.pool(units=10)
    assert isinstance(tables.consume(11), UnitsExhausted)
    assert tables.meters[0].used == 0
    assert dict(tables.book.denied) == {("license of p1", "cad", "units_exhausted"): 1}
    assert tables.consume(10, "r2") == Consumed(0)


def test_the_license_that_ends_first_gives_first(tables: Any) -> None:
    """One request may empty several; the trail has a line for each."""
    tables.pool("p1", units=10)
    tables.pool("p2", units=10, expires_at=LATE)
    assert tables.consume(15) == Consumed(5)
    assert {meter.license_id: meter.used for meter in tables.meters} == {"license of p1": 5, "license of p2": 10}
    assert [event.data["units"] for event in tables.happened] == [10, 5]


def test_a_license_in_two_containers_has_its_units_once(tables: Any) -> None:
    """Its meter is the license's, not the pool's."""
    first, second = tables.pool("p1", units=10), tables.pool("p2")
    second.license_id = first.license_id
    assert tables.consume(4) == Consumed(6)


def test_an_ended_license_gives_nothing(tables: Any) -> None:
    """The refusal is its end, unless another license is good."""
    tables.pool("p1", units=10, expires_at="2020-01-01T00:00:00Z")
    assert isinstance(tables.consume(1), LicenseExpired)
    tables.pool("p2", units=3)
    assert tables.consume(1) == Consumed(2)
    assert isinstance(tables.consume(1, "r2", user="ben"), NotLicensed)


def test_consuming_is_using(tables: Any) -> None:
    """The usage period begins with the first units."""
    pool = tables.pool(units=10, usage_period_days=3)
    tables.consume(1)
    assert pool.until == tables.now + 3 * DAY
