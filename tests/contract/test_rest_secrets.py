"""Wrong keys run into a limit, and what is secret is not repeated anywhere."""

from __future__ import annotations

from base64 import b64encode

import httpx
import structlog

from licentia.services.application import Application
from licentia.services.identity import SCOPES
from licentia_gateways.app import create_app

ORDER = {
    "source": "shop",
    "order_number": "1",
    "customer": {"id": "c"},
    "lines": [{"line_id": "1", "sku": "cad", "quantity": 1}],
}


def client(application: Application, key: str) -> httpx.AsyncClient:
    """A client that sends this key."""
    transport = httpx.ASGITransport(create_app(application), client=("127.0.0.1", 4711))
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers)


async def test_too_many_wrong_keys_have_to_wait(application: Application) -> None:
    """After the limit of the settings it is 429, and `Retry-After` says for how long."""
    async with client(application, "lic_A_b") as wrong:
        answers = [
            await wrong.get("/v1/products")
            for _ in range(application.settings.limits.failed_authentications_per_minute + 1)
        ]
    assert (answers[0].status_code, answers[-1].status_code) == (401, 429)
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60


async def test_secrets_are_in_no_log_and_no_refusal(application: Application) -> None:
    """Neither the key nor the ticket nor a password is repeated, whether the request was good or bad."""
    _, key = await application.create_key(SCOPES)
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        async with client(application, key) as good:
            await good.put("/v1/products/cad", json={"name": "CAD", "items": [{"product_code": "201001"}]})
            ticket = (await good.post("/v1/orders", json=ORDER)).json()["ticket"]
            assert (await good.get(f"/v1/tickets/{ticket}")).status_code == 200
            refusals = [
                await good.get(f"/v1/tickets/{ticket}?ticket={ticket}"),
                await good.post(f"/v1/tickets/{ticket}/activations", json={"container": {"kind": "none"}}),
                await good.put(f"/v1/products/{key}", json={"name": key, "items": key}),
                await good.get("/v1/products", headers={"Authorization": f"Bearer {key}x"}),
                await good.get("/v1/products", headers={"Authorization": "Basic " + b64encode(b"a:hunter2").decode()}),
            ]
            events = (await good.get("/v1/events")).text
    texts = {
        "log": str(lines),
        "events": events,
        **{f"refusal {answer.request.url.path[:12]}": answer.text for answer in refusals},
    }
    assert [answer.status_code for answer in refusals] == [400, 404, 400, 401, 401]
    assert len([line for line in lines if line["event"] == "request"]) == 9
    for where, text in texts.items():
        for secret in (key, key.rpartition("_")[2], ticket, ticket.replace("-", ""), "hunter2"):
            assert secret not in text, where
