"""Borrowing, waiting, meters and spread seats, as REST and SOAP clients see them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import zeep
from zeep.wsse.username import UsernameToken

METERS = [{"name": "render", "units": 10}]
CALL = {"product_code": "cad", "user": "ada"}


class Rest:
    """The operations by REST; a reply as a plain dictionary, an error as its code."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self.clients: dict[str, zeep.Client] = {}

    def _send(self, scope: str, method: str, path: str, body: Any = None) -> Any:
        url, headers = self.server.url + path, self.server.headers(scope)
        answer = httpx.request(method, url, headers=headers, json=body, timeout=30)
        said = answer.json() if answer.content else None
        return said["code"] if answer.is_error else said

    def sell(self, number: str, quantity: int) -> None:
        """Sell so many seats to ada."""
        terms = {"product_code": "cad", "offline_days": 14, "reassign_after_days": 30, "meters": METERS}
        self._send("admin", "PUT", "/v1/products/cad", {"name": "CAD", "items": [terms]})
        order = {"source": "erp", "order_number": number, "customer": {"id": "c"},
                 "lines": [{"line_id": "1", "sku": "cad", "quantity": quantity}]}  # fmt: skip
        ticket = self._send("sales", "POST", "/v1/orders", order)["ticket"]
        box = {"container": {"kind": "cloud-lite", "user": "ada"}}
        self._send("depot", "POST", f"/v1/tickets/{ticket}/activations", box)

    def checkout(self, lease_id: str, **fields: Any) -> Any:
        """Claim or renew."""
        return self._send("licensing", "PUT", f"/v1/leases/{lease_id}", CALL | fields)

    def release(self, lease_id: str) -> None:
        """Give back."""
        self._send("licensing", "DELETE", f"/v1/leases/{lease_id}")

    def consume(self, **fields: Any) -> Any:
        """Consume units."""
        return self._send("licensing", "POST", "/v1/users/ada/units", {"product_code": "cad"} | fields)

    def licenses(self) -> Any:
        """What ada may use."""
        return self._send("licensing", "GET", "/v1/users/ada/licenses")["licenses"]

    def terms(self) -> Any:
        """The terms of the product."""
        return self._send("admin", "GET", "/v1/products/cad")["items"][0]


class Soap(Rest):
    """The same by SOAP, with the names of REST."""

    def _call(self, service: str, operation: str, **fields: Any) -> Any:
        _, key_id, secret = self.server.keys[service].split("_", 2)
        if service not in self.clients:
            wsdl = f"{self.server.url}/soap/{service}?wsdl"
            self.clients[service] = zeep.Client(wsdl, wsse=UsernameToken(key_id, secret))
        words = {"".join(part if not n else part.title() for n, part in enumerate(name.split("_"))): value
                 for name, value in fields.items()}  # fmt: skip
        try:
            reply = getattr(self.clients[service].service, operation)(**words)
        except zeep.exceptions.Fault as fault:
            return fault.detail[0].findtext("{*}code")
        return _snaked(zeep.helpers.serialize_object(reply, dict))

    def checkout(self, lease_id: str, **fields: Any) -> Any:
        """Claim or renew."""
        return self._call("licensing", "CheckoutLicense", lease_id=lease_id, **CALL, **fields)

    def release(self, lease_id: str) -> None:
        """Give back."""
        self._call("licensing", "ReleaseLease", lease_id=lease_id)

    def consume(self, **fields: Any) -> Any:
        """Consume units."""
        reply = self._call("licensing", "ConsumeUnits", **CALL, **fields)
        return {"remaining": reply} if isinstance(reply, int) else reply

    def licenses(self) -> Any:
        """What ada may use."""
        return self._call("licensing", "ListLicenses", user="ada")["licenses"]

    def terms(self) -> Any:
        """The terms of the product."""
        return self._call("admin", "GetProduct", sku="cad")["items"][0]


def _snaked(value: Any) -> Any:
    """A reply of SOAP with the names of REST."""
    if isinstance(value, list):
        return [_snaked(each) for each in value]
    if isinstance(value, dict):
        names = {name: "".join(f"_{c.lower()}" if c.isupper() else c for c in name) for name in value}
        return {names[name]: _snaked(each) for name, each in value.items()}
    return value


@pytest.mark.parametrize("face", [Rest, Soap])
def test_the_terms_and_calls_of_seats(server: Any, face: Callable[..., Any]) -> None:
    """What is declared is sold, claimed over two licenses, borrowed, refused, waited for, and consumed by meter."""
    client = face(server)
    client.sell("1", 1)
    client.sell("2", 1)
    terms = client.terms()
    assert (terms["offline_days"], terms["reassign_after_days"]) == (14, 30)
    assert terms["meters"] == METERS

    lease = client.checkout("a", seats=2, borrow_days=3)
    assert (lease["state"], lease["seats"], lease["seats_total"]) == ("borrowed", 2, 2)
    assert [part["seats"] for part in lease["licenses"]] == [1, 1]
    assert len({part["license_id"] for part in lease["licenses"]}) == 2
    started = time.monotonic()
    assert client.checkout("b", wait_seconds=1) == "no_free_seats"
    assert time.monotonic() - started > 0.9

    threading.Timer(0.5, client.release, ["a"]).start()
    waited = client.checkout("b", wait_seconds=20)
    assert (waited["state"], waited["created"]) == ("live", True)

    assert client.consume(units=4, request_id="r1", meter="render")["remaining"] == 16
    assert client.consume(units=17, request_id="r2", meter="render") == "units_exhausted"
    meters = [each["meters"] for each in client.licenses()]
    assert sorted(meter["units_remaining"] for (meter,) in meters) == [6, 10]


@pytest.mark.parametrize("face", [Rest, Soap])
def test_a_license_that_cannot_be_borrowed(server: Any, face: Callable[..., Any]) -> None:
    """The code of the refusal says it, through either door."""
    client = face(server)
    client.sell("1", 1)
    server.run(_plain(server))
    assert client.checkout("a", borrow_days=3) == "borrow_not_allowed"


async def _plain(server: Any) -> None:
    """Take the term `offline_days` out of what was sold."""
    async with server.application.database.write() as tx:
        (row,) = await tx.rows("SELECT terms FROM license")
        await tx.rows("UPDATE license SET terms = $1", row["terms"].replace('"offline_days":14,', ""))
