"""What waits for a person or for another system, as metrics beside those of the requests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from licentia.contract import BY_NAME
from licentia.contract.connectors import Connection, Connections, ListConnectors
from licentia.contract.webhooks import ListWebhooks, Webhook, WebhookPage
from licentia.services.application import Application
from licentia.services.identity import OPERATOR

MOST = 500
"""So many webhooks are shown; the labels of a metric have to be bounded."""


async def backlog(application: Application) -> CollectorRegistry:
    """A registry that has only this. It is read from the database, so that every process tells the same.

    Raises:
        LicensingError: the database does not answer.
    """
    connections = await application.call(BY_NAME["ListConnectors"], ListConnectors(), OPERATOR)
    webhooks = await application.call(BY_NAME["ListWebhooks"], ListWebhooks(limit=MOST), OPERATOR)
    assert isinstance(connections, Connections)
    assert isinstance(webhooks, WebhookPage)
    registry = CollectorRegistry()
    registry.register(_Families(*_of_connections(connections.connectors), *_of_webhooks(webhooks.webhooks)))
    return registry


class _Families(Collector):
    def __init__(self, *families: GaugeMetricFamily) -> None:
        self._families = families

    def collect(self) -> Iterable[GaugeMetricFamily]:
        return self._families


def _of_connections(connections: list[Connection]) -> Iterator[GaugeMetricFamily]:
    deliveries = _gauge("connector_deliveries", "Deliveries that are not done, by state.", "connector", "state")
    outbox = _gauge("connector_to_write_back", "Orders whose outcome the system does not have yet.", "connector")
    problem = _gauge("connector_problem", "1 if the last poll failed or the connection cannot be used.", "connector")
    for each in connections:
        for state in ("waiting", "parked", "dead"):
            deliveries.add_metric([each.name, state], getattr(each, state))
        outbox.add_metric([each.name], each.to_write_back)
        problem.add_metric([each.name], each.problem is not None)
    yield from (deliveries, outbox, problem)


def _of_webhooks(webhooks: list[Webhook]) -> Iterator[GaugeMetricFamily]:
    deliveries = _gauge("webhook_deliveries", "Events that an endpoint has not got, by state.", "webhook", "state")
    failing = _gauge("webhook_failing", "1 if the last attempt failed or the server has disabled it.", "webhook")
    for each in webhooks:
        for state in ("waiting", "failed"):
            deliveries.add_metric([each.webhook_id, state], getattr(each, state))
        failing.add_metric([each.webhook_id], each.failing_since is not None or each.reason is not None)
    yield from (deliveries, failing)


def _gauge(name: str, meaning: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"licentia_{name}", meaning, labels=labels)
