"""Paid renewals: they move the ends of a license that exists."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import msgspec

from licentia.contract.products import Terms
from licentia.services.context import Context
from licentia.services.stock import lock_licenses, terms_of, validity_of
from licentia.services.telling import tell_all
from licentia.storage import ledger, models

LONGEST = 36_525
"""Days, as the bound of `licentia.contract.types.Days`."""


async def lock_for_renewal(source: str, order_number: str, context: Context) -> None:
    """Lock the pools of an order's licenses, which comes before the licenses themselves."""
    order = await models.Order.get_or_none(source=source, order_number=order_number)
    if order is not None:
        for license_id in sorted(await models.License.filter(order_id=order.id).values_list("id", flat=True)):
            await context.tx.run(ledger.lock_pools("license_id", str(license_id)))


async def extend(
    order: models.Order,
    renewals: Mapping[str, int],
    before: Mapping[str, int],
    fresh: set[str],
    context: Context,
) -> None:
    """Move the ends of licenses by the renewals that they have not had yet.

    Args:
        order: whose licenses they are.
        renewals: how often each line was renewed, by its id.
        before: the same before this change, which licenses that are new have behind them.
        fresh: the ids of the new ones.
        context: the call.
    """
    for license in await lock_licenses(order_id=order.id):
        count = renewals.get(license.line_id, 0)
        had = before.get(license.line_id, 0) if license.id in fresh else license.renewals
        if license.renewals == count:
            continue
        license.renewals = count
        terms = terms_of(license)
        after = prolonged(terms, count - had)
        license.terms = msgspec.json.encode(after).decode()
        await license.save(update_fields=["renewals", "terms"])
        if after == terms:
            continue
        until = validity_of(license, after).until
        pools = models.SeatPool.filter(license_id=license.id).exclude(state="closed")
        await pools.update(valid_until=until)
        await tell_all({pool.container_id for pool in await pools}, context)
        context.record("license.renewed", license_id=license.id, order_id=order.id, renewals=count, expires_at=until)


def prolonged(terms: Terms, times: int) -> Terms:
    """The terms after so many renewals more, or fewer; what has no end stays."""
    days = terms.renewal_days or terms.expires_after_days
    if days is None or not times:
        return terms
    more = timedelta(days=max(-LONGEST, min(LONGEST, days * times)))
    return msgspec.structs.replace(
        terms,
        renewal_days=days,
        expires_at=terms.expires_at and terms.expires_at + more,
        maintenance_until=terms.maintenance_until and terms.maintenance_until + more,
        expires_after_days=terms.expires_after_days and max(1, min(LONGEST, terms.expires_after_days + more.days)),
    )
