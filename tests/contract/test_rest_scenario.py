"""From the product to the released lease, over a real connection."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest

if TYPE_CHECKING:
    from tests.conftest import Server

ORDER: dict[str, Any] = {
    "source": "shop",
    "order_number": "4711",
    "customer": {"id": "c-1", "name": "Example & Sons"},
    "lines": [{"line_id": "1", "sku": "acme-cad", "quantity": 3}],
}
CLAIM = {"product_code": "201001", "user": "jane@example.com"}


@pytest.fixture
def clients(server: Server) -> Iterator[dict[str, httpx.Client]]:
    """A client for each scope."""
    opened = {scope: httpx.Client(base_url=server.url, headers=server.headers(scope)) for scope in server.keys}
    yield opened
    for client in opened.values():
        client.close()


def test_from_the_order_to_the_released_lease(clients: dict[str, httpx.Client]) -> None:
    """A product is sold three times, activated for a user, claimed by three stations, refused to a fourth."""
    admin, sales, depot, licensing = (clients[scope] for scope in ("admin", "sales", "depot", "licensing"))

    product = {"name": "Acme CAD", "items": [{"product_code": "201001", "features": ["render"]}]}
    made = admin.put("/v1/products/acme-cad", json=product)
    assert (made.status_code, made.headers["location"]) == (201, "/v1/products/acme-cad")
    assert admin.put("/v1/products/acme-cad", json=product).status_code == 200
    assert admin.get(made.headers["location"]).json()["name"] == "Acme CAD"

    first = sales.post("/v1/orders", json=ORDER)
    assert (first.status_code, first.headers["location"]) == (201, "/v1/orders/shop/4711")
    repeat = sales.post("/v1/orders", json=ORDER)
    assert (repeat.status_code, repeat.json()["ticket"]) == (200, first.json()["ticket"])
    assert "location" not in repeat.headers

    sloppy = first.json()["ticket"].lower().replace("-", " ")
    ticket = depot.get(f"/v1/tickets/{sloppy}")
    assert (ticket.status_code, ticket.json()["ticket"]) == (200, first.json()["ticket"])
    assert [entry["available"] for entry in ticket.json()["licenses"]] == [3]

    container = {"container": {"kind": "cloud-lite", "user": CLAIM["user"]}}
    activation = depot.post(f"/v1/tickets/{sloppy}/activations", json=container)
    assert (activation.status_code, activation.json()["state"]) == (201, "confirmed")
    assert depot.get(activation.headers["location"]).json() == activation.json()

    for station in range(3):
        claimed = licensing.put(f"/v1/leases/l-{station}", json={**CLAIM, "station": f"station {station}"})
        assert (claimed.status_code, claimed.json()["seats_in_use"]) == (201, station + 1)
    renewed = licensing.put("/v1/leases/l-0", json={**CLAIM, "station": "station 0"})
    assert (renewed.status_code, renewed.json()["seats_in_use"]) == (200, 3)
    full = licensing.put("/v1/leases/l-3", json=CLAIM)
    assert (full.status_code, full.json()["code"]) == (409, "no_free_seats")
    assert full.headers["content-type"] == "application/problem+json"

    listed = licensing.get("/v1/leases", params={"product_code": "201001", "limit": 2}).json()
    assert len(listed["leases"]) == 2
    rest = licensing.get("/v1/leases", params={"product_code": "201001", "cursor": listed["next_cursor"]}).json()
    assert sorted(lease["lease_id"] for lease in listed["leases"] + rest["leases"]) == ["l-0", "l-1", "l-2"]

    for _ in range(2):
        released = licensing.delete("/v1/leases/l-0")
        assert (released.status_code, released.content) == (204, b"")
    assert licensing.put("/v1/leases/l-3", json=CLAIM).status_code == 201

    (usage,) = licensing.get("/v1/usage").json()["products"]
    assert (usage["product_code"], usage["checkouts"], usage["denials"], usage["peak"]) == ("201001", 4, 1, 3)
    events = admin.get("/v1/events").json()["events"]
    assert [event["actor"] for event in events if event["kind"].startswith("order.")][:1] == [
        sales.headers["authorization"].split("_")[1]
    ]
    assert first.json()["ticket"] not in str(events)


def test_a_large_body_gets_its_answer_over_a_real_connection(clients: dict[str, httpx.Client]) -> None:
    """The refusal arrives although the caller was still sending, and the next request is served."""
    content = b" " * 4_000_000
    answer = clients["admin"].put("/v1/products/a", content=content, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")
    assert clients["admin"].get("/v1/products").status_code == 200


def test_an_idempotency_key_gets_the_first_answer(clients: dict[str, httpx.Client]) -> None:
    """An activation has no natural key: the header makes a repeat safe, and another body under it is refused."""
    product = {"name": "Acme CAD", "items": [{"product_code": "201001"}]}
    clients["admin"].put("/v1/products/acme-cad", json=product)
    ticket = clients["sales"].post("/v1/orders", json=ORDER).json()["ticket"]
    body: dict[str, Any] = {"container": {"kind": "cloud-lite", "user": "u"}, "quantity": 1}
    headers = {"Idempotency-Key": "once"}
    first = clients["depot"].post(f"/v1/tickets/{ticket}/activations", json=body, headers=headers)
    second = clients["depot"].post(f"/v1/tickets/{ticket}/activations", json=body, headers=headers)
    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()
    body["quantity"] = 2
    third = clients["depot"].post(f"/v1/tickets/{ticket}/activations", json=body, headers=headers)
    assert (third.status_code, third.json()["code"]) == (422, "idempotency_mismatch")


def test_half_a_request_does_no_harm(server: Server) -> None:
    """A caller that goes away in the middle of its body leaves nothing behind and the server serving."""
    parts = urlsplit(server.url)
    with socket.create_connection((parts.hostname or "", parts.port or 0)) as connection:
        head = f"PUT /v1/products/a HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {server.keys['admin']}"
        connection.sendall(f"{head}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{".encode())
    with httpx.Client(base_url=server.url, headers=server.headers("admin")) as client:
        assert client.get("/v1/products").json()["products"] == []
        assert client.get("/livez").json() == {"status": "ok"}
