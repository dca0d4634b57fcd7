"""What the contract tests of the SOAP gateway share, and those of Tryton."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from lxml import etree

from licentia.services.application import Application
from licentia_gateways.app import create_app

ENVELOPES = {"1.1": "http://schemas.xmlsoap.org/soap/envelope/", "1.2": "http://www.w3.org/2003/05/soap-envelope"}
MEDIA_TYPES = {"1.1": "text/xml", "1.2": "application/soap+xml"}


@dataclass(frozen=True)
class Fault:
    """A fault as a client reads it; all but `faultcode` come from the typed detail and are empty without one."""

    faultcode: str
    code: str = ""
    message: str = ""
    help: str = ""
    pointers: tuple[str, ...] = ()


class Soap:
    """A SOAP client that can also send what no toolkit would."""

    def __init__(self, http: httpx.AsyncClient, keys: dict[str, str]) -> None:
        self.http = http
        self.keys = keys

    def envelope(self, body: str, header: str = "", version: str = "1.1") -> str:
        """An envelope around the text of a body and of its headers."""
        header = f"<s:Header>{header}</s:Header>" if header else ""
        return f'<s:Envelope xmlns:s="{ENVELOPES[version]}">{header}<s:Body>{body}</s:Body></s:Envelope>'

    async def post(
        self, service: str, content: str | bytes, *, version: str = "1.1", key: bool = True, **headers: str
    ) -> httpx.Response:
        """Send any content to a service; the names of `headers` have underscores."""
        everything = {"content-type": f"{MEDIA_TYPES[version]}; charset=utf-8"}
        everything |= {name.replace("_", "-"): value for name, value in headers.items()}
        if key:
            everything["authorization"] = f"Bearer {self.keys[service]}"
        return await self.http.post(f"/soap/{service}", content=content, headers=everything)

    async def call(
        self, service: str, operation: str, fields: str = "", *, header: str = "", version: str = "1.1", **headers: str
    ) -> httpx.Response:
        """Call an operation with the text of its fields."""
        body = f'<{operation} xmlns="urn:licentia:{service}:1">{fields}</{operation}>'
        return await self.post(service, self.envelope(body, header, version), version=version, **headers)

    def reply(self, response: httpx.Response) -> etree._Element:
        """The operation's response element in an answer."""
        content = _content(response)
        assert response.status_code == 200, response.text
        return content

    def fault(self, response: httpx.Response) -> Fault:
        """The fault in an answer."""
        content = _content(response)
        assert etree.QName(content).localname == "Fault", response.text
        qualified = content.findtext("faultcode") or content.findtext("{*}Code/{*}Value") or ""
        prefix, _, faultcode = qualified.partition(":")
        assert content.nsmap[prefix] in ENVELOPES.values()
        holders = content.findall("detail") + content.findall("{*}Detail")
        if not holders:
            return Fault(faultcode)
        ((typed,),) = holders
        assert etree.QName(typed).localname == "LicensingFault"
        code, message, help = (typed.findtext("{*}" + name) or "" for name in ("code", "message", "help"))
        return Fault(
            faultcode, code, message, help, tuple(e.findtext("{*}pointer") or "" for e in typed.findall("{*}errors"))
        )


def _content(response: httpx.Response) -> etree._Element:
    assert response.headers["content-type"] in {f"{kind}; charset=utf-8" for kind in MEDIA_TYPES.values()}
    envelope = etree.fromstring(response.content)
    (content,) = envelope[-1]
    return content


@pytest.fixture
async def soap(application: Application) -> AsyncIterator[Soap]:
    """A SOAP client of an application with a fresh database, and a key for each service."""
    keys = {}
    for scope in ("admin", "sales", "depot", "licensing"):
        keys[scope] = (await application.create_key(frozenset({scope}), scope))[1]
    transport = httpx.ASGITransport(create_app(application))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8400") as http:
        yield Soap(http, keys)


@pytest.fixture
def erp() -> Any:
    """The records behind Tryton's REST interface."""
    import tryton_erp

    return tryton_erp.Erp()


@pytest.fixture
async def connect_tryton(erp: Any) -> AsyncIterator[Callable[..., Any]]:
    """Makes connectors with these records behind them."""
    import connector_lab
    import tryton_erp

    async with connector_lab.connecting(erp, tryton_erp.connector) as connect:
        yield connect


@pytest.fixture
def tryton(connect_tryton: Callable[..., Any]) -> Any:
    """The connector with these records behind it."""
    return connect_tryton()
