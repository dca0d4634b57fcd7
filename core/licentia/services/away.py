"""Units and times of licenses that are used away from the server."""

from __future__ import annotations

from tortoise.expressions import F

from licentia.containers import Received
from licentia.services.context import Context
from licentia.storage import models


async def allot(activation_id: str, license_id: str, seats: int, of_seats: int) -> None:
    """Take the units that go away with so many of the seats that are left off the meters of the license."""
    for meter in await models.Meter.filter(license_id=license_id).order_by("name").select_for_update():
        units = (meter.total - meter.used) * seats // max(1, of_seats)
        await models.Meter.filter(id=meter.id).update(used=F("used") + units)
        await models.Allotment.create(activation_id=activation_id, license_id=license_id, meter=meter.name, units=units)


async def give_units_back(activation_id: str) -> None:
    """Put what was not used back onto the meters."""
    for each in await models.Allotment.filter(activation_id=activation_id):
        left = each.units - each.used
        await models.Meter.filter(license_id=each.license_id, name=each.meter).update(used=F("used") - left)
    await models.Allotment.filter(activation_id=activation_id).delete()


async def note_use(received: Received, context: Context) -> None:
    """Note what a container says that it used; it never takes back what it said before."""
    for (activation_id, license_id, meter), used in received.used.items():
        each = await models.Allotment.get_or_none(activation_id=activation_id, license_id=license_id, meter=meter)
        if each is not None and used > each.used:
            each.used = min(used, each.units)
            await each.save(update_fields=["used"])
            context.record(
                "units.used_away", activation_id=activation_id, license_id=license_id, meter=meter, used=each.used
            )
    for license_id, at in received.first_used.items():
        await models.License.filter(id=license_id, first_used_at=None).update(first_used_at=at)
