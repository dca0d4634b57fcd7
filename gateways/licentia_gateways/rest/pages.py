"""The addresses of the documentation: the OpenAPI document, and the reference for people."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.types import Scope, Send

from licentia.settings import Settings
from licentia_gateways.answer import send_body
from licentia_gateways.problems import CATALOGUE
from licentia_gateways.rest.openapi import published
from licentia_gateways.rest.reference import errors_page, operations_page

_STYLE = Path(__file__).with_name("reference.css").read_bytes()
_HEADERS = [
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"cache-control", b"public, max-age=300"),
]


async def _show(scope: Scope, send: Send, media_type: str, body: bytes) -> None:
    await send_body(scope, send, 200, media_type, body, _HEADERS, may_be_packed=True)


async def _show_document(scope: Scope, send: Send) -> None:
    await _show(scope, send, "application/json", published(scope["app"].state.settings))


async def _show_operations(scope: Scope, send: Send) -> None:
    settings: Settings = scope["app"].state.settings
    base = settings.public_url.rstrip("/") or f"http://localhost:{settings.port}"
    await _show(scope, send, "text/html; charset=utf-8", operations_page(base).encode())


async def _show_errors(scope: Scope, send: Send) -> None:
    await _show(scope, send, "text/html; charset=utf-8", errors_page().encode())


async def _show_style(scope: Scope, send: Send) -> None:
    await _show(scope, send, "text/css; charset=utf-8", _STYLE)


PAGES: tuple[tuple[str, str, Callable[[Scope, Send], Awaitable[None]]], ...] = (
    ("/openapi.json", "openapi", _show_document),
    ("/docs", "docs", _show_operations),
    (CATALOGUE, "docs_errors", _show_errors),
    ("/docs/style.css", "docs_style", _show_style),
)
