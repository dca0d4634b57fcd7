"""What came of an order, in fields of its record that the organization has added for it."""

from __future__ import annotations

from licentia.connectors import Outcome
from licentia.errors import Unavailable
from licentia_integrations.salesforce.messages import PREFIXES, RECORD_ID
from licentia_integrations.salesforce.rest import Rest, quoted

LONGEST = 255
"""Characters that a field of the type Text has at most."""


async def write(rest: Rest, outcome: Outcome, ticket_field: str | None, problem_field: str | None) -> None:
    """Write what came of an order into its fields, if it does not stand there yet.

    A ticket stays when an outcome has none, as that of an order whose later change is parked.

    Raises:
        Unavailable: Salesforce does not answer, refuses, or has no such order.
    """
    wanted: dict[str, str | None] = {}
    if ticket_field and outcome.ticket:
        wanted[ticket_field] = outcome.ticket
    if problem_field:
        wanted[problem_field] = " ".join((outcome.problem or "").split())[:LONGEST].strip() or None
    number = outcome.order_number
    if not wanted or not number:
        return
    kind = PREFIXES.get(number[:3]) if RECORD_ID.fullmatch(number) else None
    object, key = (kind, "Id") if kind in ("Order", "Opportunity") else ("Order", "OrderNumber")
    found = await rest.query(f"SELECT Id, {', '.join(wanted)} FROM {object} WHERE {key} = {quoted(number)}")  # noqa: S608
    if len(found) != 1:
        raise Unavailable(
            f"Salesforce has {'more than one' if found else 'no'} {object} with the {key} {number}.",
            help="Look there whether it was deleted; it is tried again.",
        )
    known = {name.lower(): value for name, value in found[0].items()}
    different = {name: value for name, value in wanted.items() if known.get(name.lower()) != value}
    id = str(known.get("id", ""))
    if different and RECORD_ID.fullmatch(id):
        await rest.change(object, id, different)
