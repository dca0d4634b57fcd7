"""Licenses in the database: their stock as the domain knows it, and as a ticket shows them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from licentia.contract.licenses import MeterReading
from licentia.contract.products import Terms
from licentia.contract.tickets import TicketLicense
from licentia.domain.licenses import Stock
from licentia.domain.terms import Validity, validity
from licentia.storage import models


def terms_of(license: models.License) -> Terms:
    """The terms that the license was sold with."""
    return msgspec.json.decode(license.terms, type=Terms)


def validity_of(license: models.License, terms: Terms) -> Validity:
    """When the license may be used, as far as it is known by now."""
    return validity(terms, activated_at=license.first_activated_at, first_used_at=license.first_used_at)


def stock_of(license: models.License) -> Stock:
    """The seats of a license."""
    return Stock(
        quantity=license.quantity,
        placed=license.placed,
        to_reclaim=license.to_reclaim,
        standing=license.standing,  # type: ignore[arg-type]
    )


async def save_stock(license: models.License, stock: Stock) -> None:
    """Write the seats of a license that this transaction has locked."""
    await license.update_from_dict(msgspec.structs.asdict(stock)).save(
        update_fields=[*msgspec.structs.asdict(stock)]
    )


async def lock_licenses(**filters: object) -> list[models.License]:
    """Licenses, locked until the end of the transaction; always in the order of their ids, so that none deadlock."""
    return await models.License.filter(**filters).order_by("id").select_for_update()


async def shown(licenses: Iterable[models.License], now: datetime) -> list[TicketLicense]:
    """Licenses as a ticket or an order shows them, by line."""
    licenses = sorted(licenses, key=lambda license: (license.created_at, license.line_id, license.product_code))
    pools = await models.SeatPool.filter(
        license_id__in=[license.id for license in licenses], state="open"
    ).order_by("id")
    units = await units_of(license.id for license in licenses)
    by_license: dict[str, models.SeatPool] = {}
    for pool in pools:
        by_license.setdefault(pool.license_id, pool)
    return [_shown(license, by_license.get(license.id), units[license.id], now) for license in licenses]


async def units_of(license_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """What the meters of licenses say, as the members of a reply that shows a license."""
    found: dict[str, dict[str, Any]] = {id: {"meters": []} for id in license_ids}
    for meter in await models.Meter.filter(license_id__in=[*found]).order_by("name"):
        reading = {"units_total": meter.total, "units_remaining": meter.total - meter.used}
        if meter.name:
            found[meter.license_id]["meters"].append(MeterReading(name=meter.name, **reading))
        else:
            found[meter.license_id] |= reading
    return found


def _shown(
    license: models.License, pool: models.SeatPool | None, units: dict[str, Any], now: datetime
) -> TicketLicense:
    terms, stock = terms_of(license), stock_of(license)
    until = validity_of(license, terms).until
    return TicketLicense(
        license_id=license.id,
        line_id=license.line_id,
        sku=license.sku,
        product_code=license.product_code,
        name=license.name,
        license_model=terms.license_model,
        quantity=stock.quantity,
        available=stock.available,
        state=stock.state(until, now),
        container_id=pool.container_id if pool is not None else None,
        expires_at=until,
        features=terms.features,
        **units,
    )
