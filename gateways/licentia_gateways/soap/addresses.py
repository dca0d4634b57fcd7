"""The address that a WSDL names: the one under which a client reaches this server."""

from __future__ import annotations

import re

from starlette.types import Scope

from licentia.settings import Settings
from licentia_gateways.received import header

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::[0-9]{1,5})?")


def address(scope: Scope, settings: Settings) -> str:
    """The absolute URL of the service that this request asks.

    The setting `public_url` decides. Without it the request's own Host does, if it is one of
    `allowed_hosts`: a foreign one must not get its name into a document that others may be served.
    """
    path: str = scope["path"]
    if settings.public_url:
        return settings.public_url.rstrip("/") + path
    host = header(scope, b"host") or ""
    match = _HOST.fullmatch(host)
    if match and match[1].lower() in settings.allowed_hosts:
        return f"{scope['scheme']}://{host}{path}"
    return f"http://{settings.host}:{settings.port}{path}"
