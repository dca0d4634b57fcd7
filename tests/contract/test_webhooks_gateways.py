"""Webhooks by REST and by SOAP: the same endpoint, whoever made it."""

from __future__ import annotations

from typing import Any

import pytest

NAME, URL = "<webhookId>crm</webhookId>", "<endpointUrl>https://x.example/in?a=1</endpointUrl>"


async def rest(soap: Any, method: str, path: str, scope: str = "admin", **options: Any) -> Any:
    """Call REST with the key of a scope."""
    headers = {"authorization": f"Bearer {soap.keys[scope]}"}
    return await soap.http.request(method, f"/v1/webhooks{path}", headers=headers, **options)


def texts(element: Any, name: str) -> list[str]:
    """The texts of all elements of a name."""
    return [found.text or "" for found in element.iter("{*}" + name)]


async def test_what_soap_makes_rest_reads(soap: Any) -> None:
    """The secret comes with the first reply only, the public key with each."""
    made = soap.reply(await soap.call("admin", "PutWebhook", NAME + URL + "<kinds>order.*</kinds><kinds>*</kinds>"))
    (secret,) = texts(made, "secret")
    assert secret.startswith("whsec_")
    assert texts(made, "created") == ["true"]
    shown = (await rest(soap, "GET", "/crm")).json()
    assert (shown["endpoint_url"], shown["kinds"]) == ("https://x.example/in?a=1", ["order.*", "*"])
    assert shown["public_keys"] == texts(made, "publicKeys")
    assert "secret" not in shown
    again = soap.reply(await soap.call("admin", "PutWebhook", NAME + URL))
    assert (texts(again, "secret"), texts(again, "created"), texts(again, "kinds")) == ([], ["false"], ["*"])


async def test_what_rest_makes_soap_reads(soap: Any) -> None:
    """Created, replaced, read, rotated, deleted, each with the status of its kind."""
    wanted = {"endpoint_url": "https://x.example/", "format": "cloudevents", "payload": "full", "description": "CRM"}
    assert (await rest(soap, "PUT", "/crm", json=wanted)).status_code == 201
    assert (await rest(soap, "PUT", "/crm", json=wanted)).status_code == 200
    listed = soap.reply(await soap.call("admin", "ListWebhooks"))
    assert (texts(listed, "webhookId"), texts(listed, "format"), texts(listed, "description")) == (
        ["crm"],
        ["cloudevents"],
        ["CRM"],
    )
    rotated = await rest(soap, "POST", "/crm/rotate")
    assert rotated.json()["secret"].startswith("whsec_")
    assert len(rotated.json()["public_keys"]) == 2
    assert (await rest(soap, "GET", "/crm/deliveries")).json() == {"deliveries": [], "next_cursor": None}
    assert (await rest(soap, "POST", "/crm/replay")).json() == {"count": 0}
    assert (await rest(soap, "DELETE", "/crm")).status_code == 204
    assert soap.fault(await soap.call("admin", "GetWebhook", NAME)).code == "not_found"


async def test_a_test_tells_by_both_why_it_failed(soap: Any) -> None:
    """A name that leads inside is a problem of the endpoint, not of the call."""
    assert (await rest(soap, "PUT", "/crm", json={"endpoint_url": "https://localhost/"})).status_code == 201
    told = await rest(soap, "POST", "/crm/test")
    assert (told.status_code, told.json()["delivered"]) == (200, False)
    assert "not public" in told.json()["problem"]
    reply = soap.reply(await soap.call("admin", "TestWebhook", NAME))
    assert texts(reply, "delivered") == ["false"]


@pytest.mark.parametrize("scope", ["sales", "depot", "licensing"])
async def test_only_admins_have_webhooks(soap: Any, scope: str) -> None:
    """Whoever can make the server call an address has to be trusted with it."""
    answer = await rest(soap, "PUT", "/crm", scope, json={"endpoint_url": "https://x.example/"})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_an_address_inside_is_refused_when_it_is_entered(soap: Any) -> None:
    """With the pointer, by both."""
    answer = await rest(soap, "PUT", "/crm", json={"endpoint_url": "https://169.254.169.254/latest"})
    assert answer.json()["errors"][0]["pointer"] == "/endpoint_url"
    fault = soap.fault(await soap.call("admin", "PutWebhook", NAME + "<endpointUrl>http://x.example/</endpointUrl>"))
    assert fault.pointers == ("/endpoint_url",)
