"""Prometheus metrics of all gateways, and the page that shows them.

With several worker processes `PROMETHEUS_MULTIPROC_DIR` must name a folder that is empty at the
start; the page then adds the processes up.
"""

from __future__ import annotations

import contextlib
import os
from functools import cache

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.types import Scope, Send

from licentia.errors import LicensingError, NotFound
from licentia_gateways.answer import send_body
from licentia_gateways.backlog import backlog
from licentia_gateways.exchange import Exchange

REQUESTS = Counter("licentia_requests", "Requests answered.", ["gateway", "operation", "status", "code"])
SECONDS = Histogram(
    "licentia_request_seconds",
    "Time from the request to the last byte of its answer.",
    ["gateway", "operation"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)

_requests = cache(REQUESTS.labels)
_seconds = cache(SECONDS.labels)


def record(exchange: Exchange, status: int, seconds: float) -> None:
    """Count one answer. The labels are bounded, as each of them is a word of the contract."""
    _requests(exchange.gateway, exchange.operation, str(status), exchange.code).inc()
    _seconds(exchange.gateway, exchange.operation).observe(seconds)


async def show(scope: Scope, send: Send) -> None:
    """`GET /metrics`, for the addresses in the setting `metrics_from`; for all others there is no such page.

    What waits in the database is left out while that does not answer.
    """
    state = scope["app"].state
    if Exchange.of(scope).address not in state.settings.metrics_from:
        raise NotFound("There is nothing at this address.")
    shown = generate_latest(current_registry())
    with contextlib.suppress(LicensingError):
        shown += generate_latest(await backlog(state.application))
    await send_body(scope, send, 200, CONTENT_TYPE_LATEST, shown)


def current_registry() -> CollectorRegistry:
    """What this process counted, or what all worker processes did."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry
