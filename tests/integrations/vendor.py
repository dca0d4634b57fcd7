"""The vendor of a Licentia server whose orders come from one business system: all by HTTP, as from outside."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx

PATIENCE = 180.0
"""Seconds after which a test gives up: nothing takes so long, also on a machine that is slow and has much to do."""


def until(true: Callable[[], Any]) -> Any:
    """What this says as soon as it says something."""
    deadline = time.monotonic() + PATIENCE
    while not (said := true()):
        assert time.monotonic() < deadline, f"it did not happen within {PATIENCE} seconds"
        time.sleep(0.05)
    return said


class Vendor:
    """Works with the operations of a server; `name` is the connection to the business system."""

    def __init__(self, server: Any, name: str) -> None:
        self.server, self.name = server, name
        self.http = httpx.Client(base_url=server.url, timeout=PATIENCE)

    def close(self) -> None:
        """Give up its connections."""
        self.http.close()

    def asks(self, method: str, path: str, scope: str = "admin", **body: Any) -> Any:
        """What an operation answers."""
        reply = self.http.request(method, path, json=body or None, headers=self.server.headers(scope))
        assert reply.is_success, reply.text
        return reply.json() if reply.content else None

    def sells(self, sku: str, **terms: Any) -> None:
        """A product of one item, with terms of its licenses."""
        self.asks("PUT", f"/v1/products/{sku}", name=sku, items=[{"product_code": sku, **terms}])

    def polls(self) -> Any:
        """Ask the system what is new: so many documents were found, and whether there may be more."""
        return self.asks("POST", f"/v1/connectors/{self.name}/poll")

    def replays(self) -> None:
        """Try again what waits."""
        self.asks("POST", "/v1/replay", connector=self.name)

    def deliveries(self) -> list[Any]:
        """What came from the system."""
        found: list[Any] = self.asks("GET", f"/v1/deliveries?connector={self.name}")["deliveries"]
        return found

    def connection(self) -> Any:
        """The connection, with what waits in it."""
        (connection,) = self.asks("GET", "/v1/connectors")["connectors"]
        return connection

    def settled(self) -> bool:
        """Whether nothing is left to do: all was applied or is parked, and the system has been told."""
        connection = self.connection()
        return connection["waiting"] == connection["to_write_back"] == 0

    def is_put_off(self) -> bool:
        """Whether a delivery waits to be tried again."""
        return any(each["state"] == "waiting" and each["attempts"] for each in self.deliveries())

    def order(self, number: object) -> Any:
        """The order as the server has it."""
        return self.asks("GET", f"/v1/orders/{self.name}/{number}", "sales")

    def quantity(self, number: object) -> int:
        """How many are left of the only line of an order."""
        (line,) = self.order(number)["lines"]
        return int(line["quantity"])

    def seats(self, number: object) -> int:
        """How many seats the licenses of an order have."""
        return sum(license["quantity"] for license in self.order(number)["licenses"])
