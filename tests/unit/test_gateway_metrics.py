"""The metrics: bounded labels, and one page for all processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from licentia.services.application import Application
from licentia_gateways import metrics
from licentia_gateways.exchange import Exchange
from licentia_gateways.middleware import Observed
from licentia_gateways.page import Page


def client(application: Application, address: str) -> httpx.AsyncClient:
    """A client at this address, of a server that has only the page of metrics."""
    app = Starlette(routes=[Route("/metrics", Page("metrics", metrics.show))], middleware=[Middleware(Observed)])
    app.state.application, app.state.settings = application, application.settings
    transport = httpx.ASGITransport(app, client=(address, 4711))
    return httpx.AsyncClient(transport=transport, base_url="http://test")


async def test_the_page_can_be_read_by_prometheus(application: Application) -> None:
    """The page parses, and counts the requests for itself; also while there is no database."""
    here = client(application, "127.0.0.1")
    assert "licentia_connector_deliveries" in (await here.get("/metrics")).text
    await application.close()
    answer = await here.get("/metrics")
    assert "licentia_connector_deliveries" not in answer.text
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    assert answer.headers["content-type"].startswith("text/plain")
    assert any(sample.labels["operation"] == "metrics" for sample in families["licentia_requests"].samples)
    assert "licentia_request_seconds" in families


@pytest.mark.parametrize("address", ["192.0.2.7", "127.0.0.2", "::ffff:192.0.2.7", ""])
async def test_strangers_find_no_metrics(application: Application, address: str) -> None:
    """For an address that is not in `metrics_from` there is no such page."""
    answer = await client(application, address).get("/metrics")
    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"


def test_one_request_is_counted_once() -> None:
    """Gateway, operation, status and code are told apart, and the time is in seconds."""
    labels = {"gateway": "rest", "operation": "CheckoutLicense", "status": "409", "code": "no_free_seats"}
    before = REGISTRY.get_sample_value("licentia_requests_total", labels) or 0.0
    sums = {"gateway": "rest", "operation": "CheckoutLicense"}
    seconds = REGISTRY.get_sample_value("licentia_request_seconds_sum", sums) or 0.0
    exchange = Exchange("r", gateway="rest", operation="CheckoutLicense", code="no_free_seats")
    metrics.record(exchange, 409, 0.25)
    assert REGISTRY.get_sample_value("licentia_requests_total", labels) == before + 1
    assert REGISTRY.get_sample_value("licentia_request_seconds_sum", sums) == pytest.approx(seconds + 0.25)


RECORD = """
from licentia_gateways import metrics
from licentia_gateways.exchange import Exchange
metrics.record(Exchange("r", gateway="rest", operation="GetUsage"), 200, 0.01)
"""
SHOW = """
from prometheus_client import generate_latest
print(generate_latest(metrics.current_registry()).decode())
"""


def test_several_processes_are_added_up(tmp_path: Path) -> None:
    """With `PROMETHEUS_MULTIPROC_DIR` one page shows what all worker processes counted."""
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for script in (RECORD, RECORD):
        subprocess.run([sys.executable, "-c", script], env=environment, check=True)
    shown = subprocess.run(
        [sys.executable, "-c", RECORD + SHOW], env=environment, check=True, capture_output=True, text=True
    ).stdout
    assert 'licentia_requests_total{code="",gateway="rest",operation="GetUsage",status="200"} 3.0' in shown
