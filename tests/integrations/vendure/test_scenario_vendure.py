"""An order in a real Vendure shop ends with its ticket on it, whatever is down meanwhile."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import vendure_shop
from vendor import Vendor, until
from vendure_shop import SECRET

pytestmark = pytest.mark.slow

CANCEL = """mutation ($input: CancelOrderInput!) { cancelOrder(input: $input) { ... on ErrorResult { message } } }"""


@contextmanager
def working(serve: Any, shop: Any, relay: Any = None, **settings: Any) -> Iterator[Vendor]:
    """The vendor of a server that knows the shop; `relay` leads to it."""
    api = {"url": shop.admin_url, "user": "superadmin", "password": "superadmin"}
    known = {"plugin": "vendure", "secret": SECRET, "api": api, **settings}
    with serve(connector={"shop": known}) as server, closing(Vendor(server, "shop")) as vendor:
        if relay is not None:
            address = urlsplit(server.url)
            relay.target = (address.hostname, address.port)
        yield vendor


def fields(shop: Any, code: str) -> dict[str, str | None]:
    """What Licentia has written on an order."""
    told: dict[str, str | None] = shop.order(code)["customFields"]
    return told


def test_an_order_that_is_paid_ends_with_its_ticket(folder: Path, relay: Any, serve: Any) -> None:
    """A ticket for it; nothing for a repeat; later if the server was down; a problem that goes; and a cancellation."""
    with vendure_shop.running(folder, relay.url, SECRET) as shop:
        with working(serve, shop, relay, poll_seconds=3600) as vendor:
            vendor.sells("acme-cad")
            code = shop.buy(("acme-cad", 5))
            until(lambda: fields(shop, code)["licentiaTicket"])
            ticket = fields(shop, code)["licentiaTicket"]
            assert vendor.order(code)["ticket"] == ticket
            assert vendor.seats(code) == 5

            until(vendor.settled)
            before, order = [each["delivery_id"] for each in vendor.deliveries()], shop.order(code)
            head, _, body = bytes(relay.sent[0]).partition(b"\r\n\r\n")
            told = re.findall(r"^(webhook-[a-z]+): ([^\r]*)", head.decode(), re.MULTILINE)
            assert vendor.http.post("/connectors/shop", content=body, headers=dict(told)).status_code == 204
            assert [each["delivery_id"] for each in vendor.deliveries()] == before
            assert shop.order(code) == order

            doc = shop.buy(("acme-doc", 1))
            until(lambda: fields(shop, doc)["licentiaProblem"])
            assert "acme-doc" in (fields(shop, doc)["licentiaProblem"] or "")
            vendor.sells("acme-doc")
            vendor.replays()
            until(lambda: fields(shop, doc)["licentiaTicket"])
            assert fields(shop, doc)["licentiaProblem"] is None

            other = shop.buy(("acme-cad", 1))
            until(lambda: fields(shop, other)["licentiaTicket"])
            shop.admin(CANCEL, input={"orderId": shop.order(other)["id"], "reason": "no"})
            until(lambda: vendor.seats(other) == 0)
        late = shop.buy(("acme-cad", 2))
        assert shop.order(late)["state"] == "PaymentSettled"
        with working(serve, shop, relay, poll_seconds=3600) as vendor:
            until(lambda: fields(shop, late)["licentiaTicket"])
            assert vendor.seats(late) == 2
            assert vendor.seats(code) == 5
            assert fields(shop, code)["licentiaTicket"] == ticket


def test_what_nobody_told_is_polled(folder: Path, serve: Any) -> None:
    """A shop without the plugin gets its tickets as notes."""
    with vendure_shop.running(folder) as shop:
        code = shop.buy(("acme-cad", 3))
        with working(serve, shop) as vendor:
            vendor.sells("acme-cad")
            until(lambda: shop.notes(code))
            while vendor.deliveries()[0]["state"] == "parked":
                vendor.replays()
            until(lambda: any(public for _, public in shop.notes(code)))
            assert vendor.seats(code) == 3
