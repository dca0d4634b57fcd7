"""Usage: what leases and denials add up to over a time."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from licentia.contract.operation import Operation, Reply, Request
from licentia.contract.types import Count, Cursor, Id, Instant, ProductCode


class GetUsage(Request):
    """Use over a time: from `from`, up to but not including `to`.

    With `per` each row is split by hours, days or months (UTC). A filter leaves the rows that it is
    about. Products come first, then customers, then licenses, over as many pages as it takes.
    """

    from_: Annotated[
        Instant | None, Meta(description="Absent: 30 days before `to`, at the full hour.")
    ] = field(name="from", default=None)
    to: Annotated[Instant | None, Meta(description="Absent: now.")] = None
    per: Annotated[Literal["total", "hour", "day", "month"], Meta(description="What a row is the sum of.")] = "total"
    product_code: ProductCode | None = None
    license_id: Id | None = None
    customer_id: Annotated[Id | None, Meta(description="The customer's id in the business system.")] = None
    cursor: Cursor | None = None
    limit: Annotated[int, Meta(ge=1, le=100_000, description="How many rows a page has at most, in all lists.")] = 10_000


class Denied(Reply):
    """How often a use was refused for one reason."""

    reason: Annotated[str, Meta(max_length=32, description="The code of the error.")]
    count: Count


class _Counts(Reply, kw_only=True):
    """What is counted, of whomever."""

    start: Annotated[Instant | None, Meta(description="With `per`: when the hour, day or month starts.")] = None
    checkouts: Count
    denials: Count
    denied: Annotated[list[Denied], Meta(description="The denials by reason.")] = []
    seat_seconds: Count
    peak: Count


class LicenseUsage(_Counts, kw_only=True):
    """Use of one license. `seat_seconds` adds up seats times seconds held, `peak` is the most seats at one instant."""

    license_id: Id
    product_code: ProductCode


class ProductUsage(_Counts, kw_only=True):
    """Use of one product code, over all its licenses."""

    product_code: ProductCode


class CustomerUsage(_Counts, kw_only=True):
    """Use of one product code over all licenses of one customer, which is an id in its source."""

    source: Id
    customer_id: Id
    product_code: ProductCode


class Usage(Reply):
    """Use over a time, per license, per product code and per customer; without `next_cursor` it is the last page.

    Where the leases of an hour are no longer kept, `from` and `to` are those of whole hours.
    """

    from_: Instant = field(name="from")
    to: Instant
    licenses: list[LicenseUsage]
    products: list[ProductUsage]
    customers: list[CustomerUsage] = []
    next_cursor: Cursor | None = None


OPERATIONS = (
    Operation(
        "GetUsage", "licensing", "GET", "/v1/usage", "usage:get_usage", GetUsage, Usage, "Read the use over a time.",
    ),
)
