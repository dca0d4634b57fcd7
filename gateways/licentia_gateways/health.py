"""Is the process alive, and can it serve?"""

from __future__ import annotations

import msgspec
from starlette.types import Scope, Send

from licentia.services.application import Application
from licentia_gateways.answer import send_body


async def alive(scope: Scope, send: Send) -> None:
    """`GET /livez`: 200 as long as the process answers at all; restart it when it does not."""
    await send_body(scope, send, 200, "application/json", b'{"status":"ok"}')


async def ready(scope: Scope, send: Send) -> None:
    """`GET /readyz`: 200 when every check is `ok`; 503 when one is not and while the server stops."""
    state = scope["app"].state
    application: Application = state.application
    checks = {"server": "stopping" if state.stopping else "ok", **await application.checks()}
    fit = all(verdict == "ok" for verdict in checks.values())
    body = msgspec.json.encode({"status": "ok" if fit else "unfit", "checks": checks})
    await send_body(scope, send, 200 if fit else 503, "application/json", body)
