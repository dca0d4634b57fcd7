"""What waits for a person is seen by whoever watches the server: in its metrics, and by `licentia doctor`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import Any

import httpx
import standardwebhooks
from prometheus_client.parser import text_string_to_metric_families
from vendor import until

from licentia.settings import Webhooks

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
ORDER = {
    "type": "order.placed",
    "data": {
        "order_number": "1",
        "customer": {"id": "c1", "name": "Acme"},
        "lines": [{"line_id": "1", "sku": "unheard-of", "quantity": 1}],
    },
}


def gauges(url: str) -> dict[tuple[str, ...], float]:
    """The metrics of what waits, by their names and labels."""
    families = text_string_to_metric_families(httpx.get(f"{url}/metrics").text)
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        if family.type == "gauge"
        for sample in family.samples
        if sample.name.startswith("licentia_")
    }


def doctor(url: str, key: str) -> dict[str, tuple[bool, str]]:
    """The checks of a server, by their names."""
    here = {**os.environ, "LICENTIA_URL": url, "LICENTIA_KEY": key}
    command = [sys.executable, "-m", "licentia", "doctor", "-o", "json"]
    done = subprocess.run(command, env=here, stdout=subprocess.PIPE, check=False)
    return {check["name"]: (check["ok"], check["detail"]) for check in json.loads(done.stdout)["checks"]}


def test_what_waits_is_seen(serve: Any) -> None:
    """A parked order and an endpoint that nobody answers at: counted, and named with what to do; before that, not."""
    settings = {"shop": {"plugin": "webhook", "secret": SECRET}}
    with serve(connector=settings, webhooks=Webhooks(allow_private=True, allow_http=True)) as server:
        before = gauges(server.url)
        assert before["licentia_connector_deliveries", "shop", "parked"] == 0
        assert before["licentia_connector_problem", "shop"] == 0
        found = doctor(server.url, server.keys["admin"])
        assert found["orders"] == (True, "none waits for a person")
        assert found["connectors"] == (True, "shop")
        assert found["webhooks"] == (True, "0, none failing")
        assert "orders" not in doctor(server.url, server.keys["sales"])

        nobody = {"endpoint_url": "http://127.0.0.1:9/", "kinds": ["delivery.parked"]}
        put = httpx.put(f"{server.url}/v1/webhooks/crm", json=nobody, headers=server.headers("admin"))
        assert put.status_code == 201, put.text
        body, now = json.dumps(ORDER), int(time.time())
        signed = {"webhook-id": "msg_1", "webhook-timestamp": str(now), "content-type": "application/json"}
        signed["webhook-signature"] = standardwebhooks.Webhook(SECRET).sign(
            "msg_1", datetime.fromtimestamp(now, UTC), body
        )
        assert httpx.post(f"{server.url}/connectors/shop", content=body, headers=signed).status_code == 204
        until(lambda: gauges(server.url)["licentia_connector_deliveries", "shop", "parked"])
        until(lambda: gauges(server.url)["licentia_webhook_failing", "crm"])
        assert gauges(server.url)["licentia_webhook_deliveries", "waiting", "crm"] >= 1
        found = doctor(server.url, server.keys["admin"])
        assert found["orders"] == (False, "shop: 1 parked")
        assert found["webhooks"][0] is False
        assert found["webhooks"][1].startswith("crm: failing since ")
