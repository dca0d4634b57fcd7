"""Where business systems deliver: one address for each connection, which takes whatever its system sends."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from urllib.parse import quote

from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from licentia.connectors import Delivery
from licentia.errors import LicensingError, MethodNotAllowed
from licentia.services.application import Application
from licentia_gateways.answer import send_body, send_empty
from licentia_gateways.exchange import Exchange
from licentia_gateways.problems import send_problem
from licentia_gateways.received import body

LARGEST = 8 * 2**20
"""Bytes of a delivery that are read; a connector may have a limit of its own below that."""
_ALLOW = b"DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
_LINES = re.compile(r"[\r\n\0]")


def routes() -> list[Route]:
    """The addresses of all connections."""
    return [Route("/connectors/{name}", Incoming())]


class Incoming:
    """A delivery as an ASGI application: it is kept before it is answered, in the way that its system wants."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request; a refusal as problem details."""
        exchange = Exchange.of(scope)
        exchange.gateway, exchange.operation = "incoming", "deliver"
        try:
            if scope["method"].encode() not in _ALLOW.split(b", "):
                raise MethodNotAllowed(f"This address answers {_ALLOW.decode()}.")
            await _serve(scope, receive, send)
        except LicensingError as error:
            await send_problem(scope, send, error, allow=_ALLOW if error.status == 405 else b"")


async def _serve(scope: Scope, receive: Receive, send: Send) -> None:
    application: Application = scope["app"].state.application
    exchange = Exchange.of(scope)
    name: str = scope["path_params"]["name"]
    exchange.actor = f"connector:{name}" if re.fullmatch(r"[a-z][a-z0-9-]{0,31}", name) else ""
    delivery = Delivery(
        body=await body(scope, receive, LARGEST),
        received_at=datetime.now(UTC),
        headers=_headers(scope),
        method=scope["method"],
        url=_url(scope, application.settings.public_url),
    )
    answer = await application.deliver(name, delivery, exchange.address)
    headers = [(key.lower().encode("ascii"), value.encode("ascii")) for key, value in answer.headers.items()]
    if answer.status == 204:
        await send_empty(send, 204, headers)
    else:
        await send_body(scope, send, answer.status, answer.media_type.encode("latin-1"), answer.body, headers)


def _headers(scope: Scope) -> dict[str, str]:
    """The headers by their names; those that came several times with commas between (RFC 9110, section 5.3)."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found


def _url(scope: Scope, public_url: str) -> str:
    """The address as the system called it, as far as that is known; some sign it."""
    query: bytes = scope["query_string"]
    if public_url:
        start = public_url.rstrip("/")
    else:
        host = next((value for name, value in scope["headers"] if name == b"host"), b"localhost").decode("latin-1")
        start = f"{scope.get('scheme', 'http')}://{_LINES.sub('', host)}{scope.get('root_path', '')}"
    path = quote(scope["path"].removeprefix(scope.get("root_path", "")))
    return start + path + (f"?{query.decode('latin-1')}" if query else "")
