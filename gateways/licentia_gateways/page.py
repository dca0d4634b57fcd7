"""Addresses beside the contract: documentation, health, metrics. Each only shows something."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.types import Receive, Scope, Send

from licentia.errors import LicensingError, MethodNotAllowed, NotFound
from licentia_gateways.answer import send_empty
from licentia_gateways.exchange import Exchange
from licentia_gateways.problems import send_problem

_ALLOW = b"GET, HEAD, OPTIONS"


class Page:
    """An ASGI application that answers a GET and a HEAD with `show`; `name` is what log and metrics call it."""

    def __init__(self, name: str, show: Callable[[Scope, Send], Awaitable[None]]) -> None:
        self._name = name
        self._show = show

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, a refusal as problem details."""
        exchange = Exchange.of(scope)
        exchange.gateway, exchange.operation = "page", self._name
        try:
            if scope["method"] in ("GET", "HEAD"):
                await self._show(scope, send)
            elif scope["method"] == "OPTIONS":
                await send_empty(send, 204, [(b"allow", _ALLOW)])
            else:
                raise MethodNotAllowed(f"This address answers {_ALLOW.decode()}.")
        except LicensingError as error:
            await send_problem(scope, send, error, allow=_ALLOW if error.status == 405 else b"")


async def nothing_here(scope: Scope, receive: Receive, send: Send) -> None:
    """The answer at every other address."""
    await send_problem(scope, send, NotFound("There is nothing at this address.", help="`/docs` lists the addresses."))
