"""An order in a real Vendure shop ends with its ticket on it, whatever is down meanwhile."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from licentia.contract import BY_NAME, parse
from licentia.services.identity import OPERATOR

pytestmark = pytest.mark.slow

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
CANCEL = """mutation ($input: CancelOrderInput!) { cancelOrder(input: $input) { ... on ErrorResult { message } } }"""
until = sys.modules["vendure_shop"].until


class Desk:
    """The operator of a server."""

    def __init__(self, server: Any) -> None:
        self._server = server

    def __call__(self, name: str, /, **members: Any) -> Any:
        """What an operation answers."""
        operation = BY_NAME[name]
        return self._server.run(self._server.application.call(operation, parse(operation, members), OPERATOR))

    def seats(self, code: str) -> int:
        """How many seats an order of the shop has."""
        order = self("GetOrder", source="shop", order_number=code)
        return sum(license.quantity for license in order.licenses)

    def deliveries(self) -> list[Any]:
        """What came from the shop."""
        found: list[Any] = self("ListDeliveries", connector="shop").deliveries
        return found


def fields(shop: Any, code: str) -> dict[str, str | None]:
    """What Licentia has written on an order."""
    told: dict[str, str | None] = shop.order(code)["customFields"]
    return told


def test_an_order_that_is_paid_ends_with_its_ticket(folder: Path, relay: Any, serve: Any) -> None:
    """A ticket for it; nothing for a repeat; later if the server was down; a problem that goes; and a cancellation."""
    with sys.modules["vendure_shop"].running(folder, relay.url, SECRET) as shop:
        api = {"url": shop.admin_url, "user": "superadmin", "password": "superadmin"}
        settings = {"plugin": "vendure", "secret": SECRET, "api": api, "poll_seconds": 3600}
        with serve(connector={"shop": settings}) as server:
            address = urlsplit(server.url)
            relay.target = (address.hostname, address.port)
            desk = Desk(server)
            desk("PutProduct", sku="acme-cad", name="Acme CAD", items=[{"product_code": "cad"}])
            code = shop.buy(("acme-cad", 5))
            until(lambda: fields(shop, code)["licentiaTicket"])
            ticket = fields(shop, code)["licentiaTicket"]
            assert desk("GetOrder", source="shop", order_number=code).ticket == ticket
            assert desk.seats(code) == 5

            before, order = [each.delivery_id for each in desk.deliveries()], shop.order(code)
            head, _, body = bytes(relay.sent[0]).partition(b"\r\n\r\n")
            told = re.findall(r"^(webhook-[a-z]+): ([^\r]*)", head.decode(), re.MULTILINE)
            again = httpx.post(f"{server.url}/connectors/shop", content=body, headers=dict(told))
            assert again.status_code == 204
            assert [each.delivery_id for each in desk.deliveries()] == before
            assert shop.order(code) == order

            doc = shop.buy(("acme-doc", 1))
            until(lambda: fields(shop, doc)["licentiaProblem"])
            assert "acme-doc" in (fields(shop, doc)["licentiaProblem"] or "")
            desk("PutProduct", sku="acme-doc", name="Acme Doc", items=[{"product_code": "doc"}])
            desk("ReplayDeliveries", connector="shop")
            until(lambda: fields(shop, doc)["licentiaTicket"])
            assert fields(shop, doc)["licentiaProblem"] is None

            other = shop.buy(("acme-cad", 1))
            until(lambda: fields(shop, other)["licentiaTicket"])
            shop.admin(CANCEL, input={"orderId": shop.order(other)["id"], "reason": "no"})
            until(lambda: desk.seats(other) == 0)
        late = shop.buy(("acme-cad", 2))
        assert shop.order(late)["state"] == "PaymentSettled"
        with serve(connector={"shop": settings}) as server:
            address = urlsplit(server.url)
            relay.target = (address.hostname, address.port)
            desk = Desk(server)
            until(lambda: fields(shop, late)["licentiaTicket"])
            assert desk.seats(late) == 2
            assert desk.seats(code) == 5
            assert fields(shop, code)["licentiaTicket"] == ticket


def test_what_nobody_told_is_polled(folder: Path, serve: Any) -> None:
    """A shop without the plugin gets its tickets as notes."""
    with sys.modules["vendure_shop"].running(folder) as shop:
        code = shop.buy(("acme-cad", 3))
        api = {"url": shop.admin_url, "user": "superadmin", "password": "superadmin"}
        with serve(connector={"shop": {"plugin": "vendure", "secret": SECRET, "api": api}}) as server:
            desk = Desk(server)
            desk("PutProduct", sku="acme-cad", name="Acme CAD", items=[{"product_code": "cad"}])
            until(lambda: shop.notes(code))
            while desk.deliveries()[0].state == "parked":
                desk("ReplayDeliveries", connector="shop")
            until(lambda: any(public for _, public in shop.notes(code)))
            assert desk.seats(code) == 3
