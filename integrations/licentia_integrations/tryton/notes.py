"""Tells sales people what came of an order by a note at the sale, which has one line of our own.

A note is a record beside the sale. Sales people see it at the sale, unread until they look; no time of the sale
or of its lines moves, so nothing that asks for what has changed hears an echo. What comes of the order later is a
further note, so that it is unread again: Tryton 8.2 lets nobody change a note by REST.
"""

from __future__ import annotations

import msgspec

from licentia.connectors import Outcome
from licentia.errors import Unavailable
from licentia_integrations.tryton.documents import MODELS, SALE, SUBSCRIPTION
from licentia_integrations.tryton.rest import Rest

NOTE = "ir.note"
MOST_NOTES = 20
"""Notes of one sale with our mark somewhere in them that are looked at; people may have quoted it."""


class Note(msgspec.Struct):
    """A note of Tryton."""

    message: str | None = None


class Keyed(msgspec.Struct):
    """A sale or a subscription."""

    id: int


async def write(rest: Rest, connection: str, outcome: Outcome) -> None:
    """Write it, unless the newest of our notes says so already.

    Raises:
        Unavailable: Tryton does not answer or refuses, or has not exactly one document of that number.
    """
    mark = f"[licentia {connection}] "
    if (words := _words(outcome)) is None:
        return
    resource = await _resource(rest, outcome.order_number)
    condition = [["resource", "=", resource], ["message", "like", f"%{mark}%"]]
    found = await rest.search(NOTE, condition, ["message"], order=[("id", "DESC")], limit=MOST_NOTES)
    for record in found.records:
        lines = (msgspec.json.decode(record, type=Note).message or "").splitlines()
        if ours := [line for line in lines if line.startswith(mark)]:
            if ours[-1] == mark + words:
                return
            break
    await rest.create(NOTE, {"resource": resource, "message": mark + words})


def _words(outcome: Outcome) -> str | None:
    told = [f"Ticket: {outcome.ticket}"] if outcome.ticket else []
    if outcome.problem:
        told.append(f"Waits: {' '.join(outcome.problem.split())}")
    return "; ".join(told) or None


async def _resource(rest: Rest, order_number: str) -> str:
    model = SUBSCRIPTION if order_number.startswith(MODELS[SUBSCRIPTION].prefix) else SALE
    number = order_number.removeprefix(MODELS[model].prefix)
    found = (await rest.search(model, [["number", "=", number]], ["number"], limit=2)).records
    if len(found) != 1:
        raise Unavailable(
            f"Tryton has {'no' if not found else 'more than one'} {model} of the number {number[:100]!r}.",
            help="A connection is for one company of Tryton: let the user of the key have no other.",
        )
    return f"{model},{msgspec.json.decode(found[0], type=Keyed).id}"
