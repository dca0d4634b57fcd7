"""A refusal as problem details (RFC 9457)."""

from __future__ import annotations

import msgspec
from starlette.types import Scope, Send

from licentia.errors import FieldProblem, LicensingError
from licentia_gateways.answer import send_body
from licentia_gateways.exchange import Exchange

MEDIA_TYPE = "application/problem+json"
CATALOGUE = "/docs/errors"
CHALLENGES = (b'Bearer realm="licentia"', b'Basic realm="licentia", charset="UTF-8"')
"""What a 401 asks for (RFC 9110, section 11.6.1)."""
RETRY_AFTER_SECONDS = 5
"""How long to wait where the error does not know better."""


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why the request was refused (RFC 9457). `code` is for programs, `detail` and `help` are for people."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    help: str
    request_id: str
    errors: list[FieldProblem] = []


def problem(error: LicensingError, request_id: str) -> Problem:
    """The problem that tells of this error; `type` leads to the documentation of its code."""
    return Problem(
        type=f"{CATALOGUE}#{error.code}",
        title=error.title(),
        status=error.status,
        detail=error.detail,
        code=error.code,
        help=error.next_step,
        request_id=request_id,
        errors=list(error.problems),
    )


async def send_problem(scope: Scope, send: Send, error: LicensingError, *, allow: bytes = b"") -> None:
    """Answer with the error, and with the headers that its status has to have."""
    exchange = Exchange.of(scope)
    exchange.code = error.code
    headers: list[tuple[bytes, bytes]] = []
    if error.status == 401:
        headers += [(b"www-authenticate", challenge) for challenge in CHALLENGES]
    if allow:
        headers.append((b"allow", allow))
    if error.status in (429, 503):
        seconds = RETRY_AFTER_SECONDS if error.retry_after_seconds is None else error.retry_after_seconds
        headers.append((b"retry-after", str(seconds).encode("ascii")))
    if error.status == 413:
        headers.append((b"connection", b"close"))
    body = msgspec.json.encode(problem(error, exchange.request_id))
    await send_body(scope, send, error.status, MEDIA_TYPE, body, headers)
