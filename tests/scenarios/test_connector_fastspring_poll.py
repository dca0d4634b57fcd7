"""FastSpring through the whole server: a webhook that is lost, the poll that finds it, and the ticket in the tags."""

from __future__ import annotations

from typing import Any

import fastspring_store as fastspring
import httpx
import loopback_shop as loopback
import msgspec
import pytest
from vendor import until

from licentia.contract import BY_NAME, parse
from licentia.crypto.webhooks import signature_text
from licentia.errors import Unavailable
from licentia.services.identity import OPERATOR

SECRET = "of the webhook"


class Vendor:
    """The operator of a server whose orders come from FastSpring."""

    def __init__(self, server: Any) -> None:
        self._server = server
        items = [{"product_code": "cad", "expires_at": "2030-01-01T00:00:00Z", "renewal_days": 365}]
        self("PutProduct", sku="cad", name="Acme CAD", items=items)

    def __call__(self, name: str, /, **members: Any) -> Any:
        """What an operation answers."""
        operation = BY_NAME[name]
        return self._server.run(self._server.application.call(operation, parse(operation, members), OPERATOR))

    def take(self, *events: dict[str, Any]) -> httpx.Response:
        """Take a webhook, signed; the answer."""
        body = msgspec.json.encode({"events": events})
        headers = {"x-fs-signature": signature_text(SECRET.encode(), body, "base64")}
        return httpx.post(f"{self._server.url}/connectors/fastspring", content=body, headers=headers)

    def order(self, number: str) -> Any:
        """An order of the store."""
        return self("GetOrder", source="fastspring", order_number=number)


def test_a_webhook_that_is_lost_is_found(serve: Any) -> None:
    """Of a batch the legible event is acknowledged; the poll finds the other one and what was lost, and marks both."""
    store = fastspring.FastSpringStore()
    store.orders = {id: fastspring.order(id, tags={"campaign": "spring"}) for id in ("ord1", "ord2")}
    with loopback.listening(store) as address:
        api = {"api_user": "user", "api_password": "password", "api_url": address}
        with serve(connector={"fastspring": {"secret": SECRET, **api, "poll_seconds": 0}}) as server:
            vendor = Vendor(server)
            store.happens("evt1", "order.completed", store.orders["ord1"])
            store.happens("odd", "order.completed", {"items": []})
            answer = vendor.take(store.events["evt1"], store.events["odd"])
            assert (answer.status_code, answer.text) == (202, "evt1")
            store.events["evt1"]["processed"] = True
            until(lambda: "licentia_ticket" in store.orders["ord1"]["tags"])

            store.happens("evt2", "order.completed", store.orders["ord2"])
            store.happens("trial", "order.completed", fastspring.order("ord3", live=False))
            store.next = [loopback.Response({}, 500)]
            with pytest.raises(Unavailable):
                vendor("PollConnector", name="fastspring")
            assert len(store.unprocessed) == 3
            vendor("PollConnector", name="fastspring")
            until(lambda: "licentia_ticket" in store.orders["ord2"]["tags"])
            vendor("PollConnector", name="fastspring")
            assert store.unprocessed == []
            for number in ("ord1", "ord2"):
                order = vendor.order(number)
                assert store.orders[number]["tags"] == {"campaign": "spring", "licentia_ticket": order.ticket}
                assert order.licenses[0].quantity == 2
            (parked,) = vendor("ListDeliveries", connector="fastspring", state="parked").deliveries
            assert "The order's id is missing" in parked.problem
            assert store.writes == 2
            assert vendor.take(store.events["evt2"]).status_code == 200
            assert store.writes == 2
