"""FastSpring through the whole server: a webhook that is lost, the poll that finds it, and the ticket in the tags."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import fastspring_store as fastspring
import httpx
import loopback_shop as loopback
import msgspec
from vendor import Vendor, until

from licentia.crypto.webhooks import signature_text

SECRET = "of the webhook"


class FastSpringVendor(Vendor):
    """The vendor, whose orders come from FastSpring."""

    def __init__(self, server: Any) -> None:
        super().__init__(server, "fastspring")
        self.sells("cad", expires_at="2099-01-01T00:00:00Z", renewal_days=365)

    def take(self, *events: dict[str, Any]) -> httpx.Response:
        """Take a webhook, signed; the answer."""
        body = msgspec.json.encode({"events": events})
        headers = {"x-fs-signature": signature_text(SECRET.encode(), body, "base64")}
        return self.http.post("/connectors/fastspring", content=body, headers=headers)


def test_a_webhook_that_is_lost_is_found(serve: Any) -> None:
    """Of a batch the legible event is acknowledged; the poll finds the other one and what was lost, and marks both."""
    store = fastspring.FastSpringStore()
    store.orders = {id: fastspring.order(id, tags={"campaign": "spring"}) for id in ("ord1", "ord2")}
    with loopback.listening(store) as address:
        api = {"api_user": "user", "api_password": "password", "api_url": address}
        known = {"secret": SECRET, **api, "poll_seconds": 0}
        with serve(connector={"fastspring": known}) as server, closing(FastSpringVendor(server)) as vendor:
            store.happens("evt1", "order.completed", store.orders["ord1"])
            store.happens("odd", "order.completed", {"items": []})
            answer = vendor.take(store.events["evt1"], store.events["odd"])
            assert (answer.status_code, answer.text) == (202, "evt1")
            store.events["evt1"]["processed"] = True
            until(lambda: "licentia_ticket" in store.orders["ord1"]["tags"])

            store.happens("evt2", "order.completed", store.orders["ord2"])
            store.happens("trial", "order.completed", fastspring.order("ord3", live=False))
            store.next = [loopback.Response({}, 500)]
            assert (
                vendor.http.post("/v1/connectors/fastspring/poll", headers=server.headers("admin")).status_code == 503
            )
            assert len(store.unprocessed) == 3
            vendor.polls()
            until(lambda: "licentia_ticket" in store.orders["ord2"]["tags"])
            vendor.polls()
            assert store.unprocessed == []
            for number in ("ord1", "ord2"):
                order = vendor.order(number)
                assert store.orders[number]["tags"] == {"campaign": "spring", "licentia_ticket": order["ticket"]}
                assert vendor.seats(number) == 2
            (parked,) = until(lambda: [each for each in vendor.deliveries() if each["state"] == "parked"])
            assert "The order's id is missing" in parked["problem"]
            assert store.writes == 2
            assert vendor.take(store.events["evt2"]).status_code == 200
            assert store.writes == 2
