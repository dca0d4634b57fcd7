"""Usage: what leases add up to over a time."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta

import msgspec

from licentia.contract.leases import GetUsage, LicenseUsage, ProductUsage, Usage
from licentia.domain.usage import Span, Tally, tally
from licentia.errors import Forbidden, InvalidRequest
from licentia.services.context import Context
from licentia.storage.fields import EPOCH, to_micros

_DEFAULT = timedelta(days=30)


async def get_usage(request: GetUsage, context: Context) -> Usage:
    """Use from `from` up to but not including `to`, per license and per product code."""
    if context.caller.subject is not None:
        raise Forbidden("An end user cannot read the usage of all.", help="Use a key with the scope licensing.")
    now = await context.db.now()
    to = request.to or now
    since = request.from_ or max(to, EPOCH + _DEFAULT) - _DEFAULT
    if since >= to:
        raise InvalidRequest.at("/from", "not before `to`")
    spans = await _spans(since, to, now, context)
    denials = await _denials(since, to, context)
    by_license: dict[tuple[str, str], list[Span]] = defaultdict(list)
    by_product: dict[str, list[Span]] = defaultdict(list)
    for span in spans:
        by_license[span.license_id, span.product_code].append(span)
        by_product[span.product_code].append(span)
    denied: dict[str, int] = defaultdict(int)
    for (_, product_code), count in denials.items():
        denied[product_code] += count
    return Usage(
        from_=since,
        to=to,
        licenses=[
            LicenseUsage(
                license_id=license_id,
                product_code=product_code,
                denials=denials.get((license_id, product_code), 0),
                **_counts(tally(by_license[license_id, product_code], since, to)),
            )
            for license_id, product_code in sorted(by_license.keys() | denials.keys())
        ],
        products=[
            ProductUsage(
                product_code=product_code,
                denials=denied[product_code],
                **_counts(tally(by_product[product_code], since, to)),
            )
            for product_code in sorted(by_product.keys() | denied.keys())
        ],
    )


def _counts(counted: Tally) -> dict[str, int]:
    return msgspec.structs.asdict(counted)


async def _spans(since: datetime, to: datetime, now: datetime, context: Context) -> list[Span]:
    """Every lease, ended or live, that falls into the time. A live one counts up to now."""
    rows = await context.db.rows(
        "SELECT license_id, product_code, pool_id || ' ' || share_key AS shared, seats, granted_at, ended_at"
        " FROM past_lease WHERE ended_at >= $1 AND granted_at < $2"
        " UNION ALL SELECT license_id, product_code, pool_id || ' ' || share_key, seats, granted_at,"
        " CASE WHEN expires_at < $3 THEN expires_at ELSE $3 END FROM lease WHERE expires_at >= $1 AND granted_at < $2",
        to_micros(since),
        to_micros(to),
        to_micros(now),
    )
    return [Span(**row) for row in rows]


async def _denials(since: datetime, to: datetime, context: Context) -> dict[tuple[str, str], int]:
    rows = await context.db.rows(
        "SELECT license_id, product_code, SUM(count) AS denials FROM denial WHERE minute >= $1 AND minute < $2"
        " GROUP BY license_id, product_code",
        to_micros(since.replace(second=0, microsecond=0)),
        to_micros(to),
    )
    return {(row["license_id"], row["product_code"]): int(row["denials"]) for row in rows}
