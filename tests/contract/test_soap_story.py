"""The whole story with a SOAP library against a real server: product, order, ticket, activation, leases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests
import zeep
from requests.auth import HTTPBasicAuth
from zeep.wsse.username import UsernameToken


class Bearer(requests.auth.AuthBase):
    """`Authorization: Bearer` for requests."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._key}"
        return request


def client(url: str, service: str, port: str = "Soap11", auth: Any = None, wsse: Any = None) -> Any:
    """A proxy of a service, made from the WSDL that the server gives."""
    session = requests.Session()
    session.auth = auth
    wsdl = "wsdl" if port == "Soap11" else "wsdl12"
    proxy = zeep.Client(f"{url}/soap/{service}?{wsdl}", transport=zeep.Transport(session=session), wsse=wsse)
    return proxy.bind(f"{service.capitalize()}Service", service.capitalize() + port)


def detail(proxy: Any, fault: zeep.exceptions.Fault) -> Any:
    """The typed detail of a fault, read with the types of the WSDL."""
    (element,) = fault.detail
    return proxy._client.get_element(element.tag).parse(element, proxy._client.wsdl.types)


def bearer(key: str) -> dict[str, Any]:
    """The whole key in HTTP's header."""
    return {"auth": Bearer(key)}


def basic(key: str) -> dict[str, Any]:
    """Key id and secret by HTTP."""
    _, key_id, secret = key.split("_", 2)
    return {"auth": HTTPBasicAuth(key_id, secret)}


def text_token(key: str) -> dict[str, Any]:
    """A UsernameToken with the secret in it."""
    _, key_id, secret = key.split("_", 2)
    return {"wsse": UsernameToken(key_id, secret)}


def digest_token(key: str) -> dict[str, Any]:
    """A UsernameToken with a digest of the secret."""
    _, key_id, secret = key.split("_", 2)
    return {"wsse": UsernameToken(key_id, secret, use_digest=True)}


@pytest.mark.parametrize("port", ["Soap11", "Soap12"])
@pytest.mark.parametrize("shown", [bearer, basic, text_token, digest_token])
def test_from_the_product_to_the_last_seat(server: Any, port: str, shown: Callable[[str], dict[str, Any]]) -> None:
    """Three seats are sold, activated and taken; the fourth is refused with a code, and is free after a release."""
    admin, sales, depot, licensing = (
        client(server.url, service, port, **shown(server.keys[service]))
        for service in ("admin", "sales", "depot", "licensing")
    )
    product = admin.PutProduct(sku="acme-cad", name="Acme CAD", items=[{"productCode": "201001", "quantity": 3}])
    assert (product.created, product["items"][0].licenseModel) == (True, "floating")
    order = {
        "source": "shop",
        "orderNumber": "1001",
        "customer": {"id": "c1", "name": "Ünal & Söhne <GmbH>"},
        "lines": [{"lineId": "1", "sku": "acme-cad", "quantity": 1}],
    }
    first, again = sales.CreateOrder(**order), sales.CreateOrder(**order)
    assert (first.created, again.created, again.ticket) == (True, False, first.ticket)
    ticket = depot.GetTicket(code=first.ticket.lower())
    assert (ticket.customer, ticket.licenses[0].available) == ("Ünal & Söhne <GmbH>", 3)
    activation = depot.ActivateTicket(code=first.ticket, container={"kind": "cloud-lite", "user": "alice"})
    assert activation.state == "confirmed"
    assert [entry.seatsTotal for entry in licensing.ListLicenses(user="alice").licenses] == [3]

    def checkout(lease: str) -> Any:
        return licensing.CheckoutLicense(leaseId=lease, productCode="201001", user="alice", station="pc-1")

    leases = [checkout(f"lease-{number}") for number in range(3)]
    assert [lease.seatsInUse for lease in leases] == [1, 2, 3]
    assert checkout("lease-0").created is False
    with pytest.raises(zeep.exceptions.Fault) as refusal:
        checkout("lease-3")
    typed = detail(licensing, refusal.value)
    assert (typed.code, bool(typed.help)) == ("no_free_seats", True)
    assert licensing.ReleaseLease(leaseId="lease-1") is None
    assert checkout("lease-3").seatsInUse == 3
    assert {lease.leaseId for lease in licensing.ListLeases().leases} == {"lease-0", "lease-2", "lease-3"}


def test_a_wrong_value_is_found_by_its_pointer(server: Any) -> None:
    """A client reads from the fault which of its values is wrong."""
    sales = client(server.url, "sales", **bearer(server.keys["sales"]))
    with pytest.raises(zeep.exceptions.Fault) as refusal:
        sales.CreateOrder(
            source="shop",
            orderNumber="1",
            customer={"id": "c"},
            lines=[{"lineId": "1", "sku": "a", "quantity": 1}, {"lineId": "2", "sku": "a b", "quantity": 1}],
        )
    typed = detail(sales, refusal.value)
    assert [error.pointer for error in typed.errors] == ["/lines/1/sku"]


def test_the_wsdl_names_the_address_it_was_asked_at(server: Any) -> None:
    """An allowed Host stands in the WSDL; a foreign one does not get in."""
    own = f"http://{server.settings.host}:{server.settings.port}"
    for given, named in ((server.url.removeprefix("http://"), server.url), ("evil.example", own), ('"><evil', own)):
        text = requests.get(f"{server.url}/soap/sales?WSDL", headers={"Host": given}, timeout=5).text
        assert f'location="{named}/soap/sales"' in text
        assert "evil" not in text
