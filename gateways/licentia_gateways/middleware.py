"""Around each request: its id, the safe headers, the line in the log, the metrics, and the last net.

Pure ASGI, because a BaseHTTPMiddleware costs six times as much as all the rest of a request.
"""

from __future__ import annotations

import re
import secrets
import time
from functools import cached_property
from typing import Any

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from licentia.errors import InternalError
from licentia_gateways import metrics
from licentia_gateways.exchange import Exchange
from licentia_gateways.problems import send_problem

CLIENT_CLOSED_REQUEST = 499
"""Logged, never sent, when the caller went away before the answer."""

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._~-]{1,64}")
_SAFE = [(b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer")]
_NO_STORE = (b"cache-control", b"no-store")


class Observed:
    """The application with everything that is seen of it from outside."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    @cached_property
    def _log(self) -> Any:
        """Bound once, at the first request, when the log is configured: binding it again costs a fifth of a line."""
        return structlog.get_logger("licentia.access").bind()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request and write it down."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
            return
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        exchange = Exchange.open(scope, _request_id(scope))
        status = 0

        async def send_observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": _headers(message["headers"], exchange.request_id)}
            await send(message)

        before = structlog.contextvars.bind_contextvars(request_id=exchange.request_id)
        try:
            await self._app(scope, receive, send_observed)
        except ClientDisconnect:
            status = status or CLIENT_CLOSED_REQUEST
        except Exception:
            self._log.exception("request_failed")
            if status:
                raise
            await send_problem(scope, send_observed, InternalError("The server failed to answer this request."))
        finally:
            self._write_down(scope, exchange, status, time.perf_counter() - started)
            structlog.contextvars.reset_contextvars(**before)

    def _write_down(self, scope: Scope, exchange: Exchange, status: int, seconds: float) -> None:
        """Log the route, never the path: a ticket's code stands in it."""
        metrics.record(exchange, status, seconds)
        route = scope.get("route")
        self._log.info(
            "request",
            method=scope["method"],
            route=route.path if route else "",
            gateway=exchange.gateway,
            operation=exchange.operation,
            status=status,
            code=exchange.code,
            ms=round(seconds * 1000, 2),
            actor=exchange.actor,
            address=exchange.address,
        )


def _request_id(scope: Scope) -> str:
    """The caller's own `X-Request-Id` if it is a plain word, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return value.decode("ascii")  # type: ignore[no-any-return]
    return secrets.token_hex(12)


def _headers(given: list[tuple[bytes, bytes]], request_id: str) -> list[tuple[bytes, bytes]]:
    more = _SAFE if b"cache-control" in dict(given) else [*_SAFE, _NO_STORE]
    return [*given, *more, (b"x-request-id", request_id.encode("ascii"))]
