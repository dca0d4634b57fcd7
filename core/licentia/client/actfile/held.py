"""A license in the act-file, as the application sees it, and the rules by which it may be used."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from licentia.contract.products import Terms
from licentia.domain.terms import Validity, check_use, check_validity
from licentia.errors import UnitsExhausted, UpdateRequired
from licentia.exchange.messages import Held, Use


class License(msgspec.Struct, frozen=True, kw_only=True):
    """A license that this machine holds.

    Attributes:
        quantity: seats.
        expires_at: when it ends, as far as that is known now; None: never.
        contact_by: until when it works without contact to the server; None: always.
        units: what is left of its units, by meter; the nameless one is that of the term `units`.
        data: what the vendor put in for the application.
    """

    activation_id: str
    license_id: str
    product_code: str
    name: str
    quantity: int
    features: tuple[str, ...]
    activation_at: datetime | None = None
    expires_at: datetime | None = None
    maintenance_until: datetime | None = None
    contact_by: datetime | None = None
    units: dict[str, int] = {}
    data: str | None = None


def shown(held: Held, used: Use | None) -> License:
    """What the application sees of it."""
    terms = terms_of(held)
    return License(
        activation_id=held.activation_id,
        license_id=held.license_id,
        product_code=held.product_code,
        name=held.name,
        quantity=held.quantity,
        features=tuple(terms.features),
        activation_at=terms.activation_at,
        expires_at=_end(held, terms, used),
        maintenance_until=terms.maintenance_until,
        contact_by=_time(held.contact_by),
        units={meter: total - (used.units.get(meter, 0) if used else 0) for meter, total in held.units.items()},
        data=terms.protected_data,
    )


def check(held: Held, used: Use | None, now: datetime, *, feature: str | None, release_date: datetime | None) -> None:
    """Refuse a use that the license does not allow now.

    Raises:
        LicenseNotYetValid, LicenseExpired, FeatureNotLicensed, MaintenanceEnded: by its terms.
        UpdateRequired: it was too long without contact to the server.
    """
    terms = terms_of(held)
    check_validity(Validity(terms.activation_at, _end(held, terms, used)), now)
    if held.contact_by is not None and now.timestamp() >= held.contact_by:
        raise UpdateRequired(
            f"The license {held.license_id!r} needed contact to its server by"
            f" {_time(held.contact_by):%Y-%m-%d %H:%M} UTC.",
            help="Contact the server now: `licentia container contact`, or by a request file.",
        )
    check_use(terms, feature=feature, release_date=release_date)


def consume(held: Held, used: Use, meter: str, units: int) -> Use:
    """What was used after these units.

    Raises:
        UnitsExhausted: fewer are left.
    """
    left = held.units.get(meter, 0) - used.units.get(meter, 0)
    if units > left:
        raise UnitsExhausted(f"{left} units are left here; {units} were asked for.")
    return msgspec.structs.replace(used, units={**used.units, meter: used.units.get(meter, 0) + units})


def terms_of(held: Held) -> Terms:
    """The terms; what a newer server adds is left aside."""
    known: dict[str, Any] = {name: value for name, value in held.terms.items() if name in Terms.__struct_fields__}
    return msgspec.convert(known, Terms)


def _end(held: Held, terms: Terms, used: Use | None) -> datetime | None:
    ends = [_time(held.valid_until)]
    if terms.usage_period_days is not None and used is not None and used.first_used_at is not None:
        ends.append(datetime.fromtimestamp(used.first_used_at, UTC) + timedelta(days=terms.usage_period_days))
    return min((end for end in ends if end is not None), default=None)


def _time(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
