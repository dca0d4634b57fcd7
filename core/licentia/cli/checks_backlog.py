"""The checks of `licentia doctor` on what waits for a person: orders of business systems, and webhooks that fail."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from licentia.cli.checks import Check, judged
from licentia.contract import BY_NAME, Operation, Reply, Request
from licentia.contract.connectors import Connections, ListConnectors
from licentia.contract.webhooks import ListWebhooks, WebhookPage


class Licentia(Protocol):
    """A server, or a data folder."""

    def call(self, operation: Operation, request: Request) -> Reply | None:
        """Carry out one operation."""


def backlog_checks(licentia: Licentia) -> Iterator[Check]:
    """What lies there.

    Raises:
        LicensingError: the key may not look.
    """
    known = licentia.call(BY_NAME["ListConnectors"], ListConnectors())
    assert isinstance(known, Connections)
    waiting, broken = [], []
    for each in known.connectors:
        counts = [f"{count} {state}" for state, count in (("parked", each.parked), ("dead", each.dead)) if count]
        waiting += [f"{each.name}: {', '.join(counts)}"] if counts else []
        broken += [f"{each.name}: {each.problem}"] if each.problem else []
    remedy = "`licentia connector inbox --state parked`, or `dead`, tells why; `connector replay` tries again."
    names = ", ".join(each.name for each in known.connectors) or "none"
    yield judged("orders", not waiting, "; ".join(waiting) or "none waits for a person", remedy)
    yield judged("connectors", not broken, "; ".join(broken) or names, "`licentia connector test NAME` tries one.")
    page = licentia.call(BY_NAME["ListWebhooks"], ListWebhooks(limit=500))
    assert isinstance(page, WebhookPage)
    failing = [
        f"{each.webhook_id}: {each.reason or f'failing since {each.failing_since:%Y-%m-%dT%H:%M:%SZ}'}"
        for each in page.webhooks
        if each.reason or each.failing_since
    ]
    remedy = "`licentia webhook deliveries ID` tells what it answers, `webhook test ID` tries it."
    yield judged("webhooks", not failing, "; ".join(failing) or f"{len(page.webhooks)}, none failing", remedy)
