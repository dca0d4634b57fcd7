"""What connectors write into the free fields of an order: the ticket, and the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from licentia.connectors import Outcome

TICKET, PROBLEM = "licentia_ticket", "licentia_problem"
"""The names of the fields."""


def differing(known: Mapping[str, Any], outcome: Outcome, most: int, suffix: str = "") -> dict[str, str]:
    """What is to be written of an outcome, as it does not stand there: no problem is an empty text.

    Args:
        known: the fields as they are.
        outcome: what came of the order.
        most: characters of a reason.
        suffix: what the names end with, where several orders share the fields.
    """
    wanted = {PROBLEM + suffix: (outcome.problem or "")[:most]}
    wanted |= {TICKET + suffix: outcome.ticket} if outcome.ticket else {}
    return {name: value for name, value in wanted.items() if (known.get(name) or "") != value}
