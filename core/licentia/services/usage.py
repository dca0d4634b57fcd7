"""Usage: what leases and denials add up to over a time."""

from __future__ import annotations

import base64
import binascii
from datetime import timedelta
from typing import Any

import msgspec

from licentia.contract.usage import CustomerUsage, Denied, GetUsage, LicenseUsage, ProductUsage, Usage
from licentia.domain.instants import EPOCH, SECOND, from_micros, to_micros
from licentia.domain.usage import floor, kept_whole, parts
from licentia.errors import Forbidden, InvalidRequest
from licentia.services.context import Context
from licentia.storage import usagestore
from licentia.storage.usagestore import Asked

_DEFAULT = timedelta(days=30)
_PRODUCT, _CUSTOMER, _LICENSE = range(3)


class _Seen(msgspec.Struct, frozen=True, array_like=True):
    """What a cursor says: the time of the report, and its last row."""

    since: int
    to: int
    row: tuple[int, str, str, str, int]


async def get_usage(request: GetUsage, context: Context) -> Usage:
    """Use from `from` up to but not including `to`, per license, product code and customer."""
    if context.caller.subject is not None:
        raise Forbidden("An end user cannot read the usage of all.", help="Use a key with the scope licensing.")
    now = to_micros(await context.db.now())
    seen = _seen(request.cursor)
    since, to = _time(request, now) if seen is None else (seen.since, seen.to)
    asked = Asked(
        product_code=request.product_code,
        license_id=request.license_id,
        customer_id=request.customer_id,
        limit=request.limit + 1,
    )
    if seen is not None:
        asked = msgspec.structs.replace(asked, seen=seen.row)
    while True:
        marks = await usagestore.marks(context.db)
        since, to = kept_whole(since, to, marks.kept)
        rows = await usagestore.sums(context.db, parts(since, min(to, now), request.per, marks), asked)
        # What is deleted meanwhile would be missing.
        if (await usagestore.marks(context.db)).kept == marks.kept:
            break
    page = rows[: request.limit]
    split = request.per != "total"
    return Usage(
        from_=from_micros(since),
        to=from_micros(to),
        licenses=[
            LicenseUsage(license_id=row["license_id"], product_code=row["product_code"], **_counts(row, split))
            for row in page
            if row["scope"] == _LICENSE
        ],
        products=[
            ProductUsage(product_code=row["product_code"], **_counts(row, split))
            for row in page
            if row["scope"] == _PRODUCT
        ],
        customers=[_customer(row, split) for row in page if row["scope"] == _CUSTOMER],
        next_cursor=_cursor(since, to, page[-1]) if len(rows) > len(page) else None,
    )


def _time(request: GetUsage, now: int) -> tuple[int, int]:
    to = now if request.to is None else to_micros(request.to)
    if request.from_ is not None:
        since = to_micros(request.from_)
    else:
        since = floor("hour", max(to, to_micros(EPOCH + _DEFAULT)) - _DEFAULT // timedelta(microseconds=1))
    if since >= to:
        raise InvalidRequest.at("/from", "not before `to`")
    return since, to


def _counts(row: dict[str, Any], split: bool) -> dict[str, Any]:
    reasons = [each.partition(":") for each in sorted((row["reasons"] or "").split())]
    denied = [Denied(reason=reason, count=int(count)) for reason, _, count in reasons]
    return {
        "start": from_micros(row["slot"]) if split else None,
        "checkouts": int(row["checkouts"]),
        "denials": sum(each.count for each in denied),
        "denied": denied,
        "seat_seconds": int(row["seat_seconds"]) + int(row["seat_micros"]) // SECOND,
        "peak": int(row["peak"]),
    }


def _customer(row: dict[str, Any], split: bool) -> CustomerUsage:
    source, _, customer_id = row["customer"].partition("/")
    return CustomerUsage(
        source=source, customer_id=customer_id, product_code=row["product_code"], **_counts(row, split)
    )


def _cursor(since: int, to: int, row: dict[str, Any]) -> str:
    owner = (row["scope"], row["product_code"], row["customer"], row["license_id"], row["slot"])
    return base64.urlsafe_b64encode(msgspec.json.encode(_Seen(since, to, owner))).decode().rstrip("=")


def _seen(cursor: str | None) -> _Seen | None:
    if not cursor:
        return None
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=_Seen)
    except (binascii.Error, ValueError):
        raise InvalidRequest.at("/cursor", "not a cursor that this server gave") from None
