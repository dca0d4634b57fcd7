"""What one path of the contract answers: each of its methods is an operation."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from starlette.types import Receive, Scope, Send

from licentia.contract import Operation
from licentia.errors import LicensingError, MethodNotAllowed
from licentia.services.application import Application
from licentia.services.identity import ANYONE
from licentia_gateways.answer import send_body, send_empty
from licentia_gateways.credentials import credentials
from licentia_gateways.exchange import Exchange
from licentia_gateways.packing import may_be_packed
from licentia_gateways.problems import send_problem
from licentia_gateways.received import idempotency_key
from licentia_gateways.rest.links import location
from licentia_gateways.rest.reading import read
from licentia_gateways.waiting import answered

_encode = msgspec.json.Encoder().encode


class Endpoint:
    """The operations that share a path, as an ASGI application."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._operations: dict[str, Operation] = {operation.method: operation for operation in operations}
        methods = [*self._operations, *(["HEAD"] if "GET" in self._operations else []), "OPTIONS"]
        self._allow = ", ".join(sorted(methods)).encode("ascii")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, a refusal as problem details."""
        exchange = Exchange.of(scope)
        exchange.gateway = "rest"
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        operation = self._operations.get(method)
        if operation is not None:
            exchange.operation = operation.name
            try:
                await _serve(operation, scope, receive, send)
            except LicensingError as error:
                await send_problem(scope, send, error)
        elif method == "OPTIONS":
            await send_empty(send, 204, [(b"allow", self._allow)])
        else:
            refusal = MethodNotAllowed(f"This address answers {self._allow.decode()}.")
            await send_problem(scope, send, refusal, allow=self._allow)


async def _serve(operation: Operation, scope: Scope, receive: Receive, send: Send) -> None:
    application: Application = scope["app"].state.application
    exchange = Exchange.of(scope)
    if operation.open:
        caller = ANYONE(exchange.address)
    else:
        caller = await application.authenticate(credentials(scope), exchange.address)
    exchange.actor = caller.actor
    key = idempotency_key(scope) if operation.mutates else None
    request = await read(operation, scope, receive, application.settings.body_limit_bytes)
    call = application.call(operation, request, caller, idempotency_key=key, request_id=exchange.request_id)
    reply = await answered(operation, request, call, receive)
    status = operation.status(reply)
    if reply is None:
        await send_empty(send, status)
    else:
        place = location(operation, reply) if status == 201 else None
        headers = [(b"location", place)] if place else []
        packs = may_be_packed(operation)
        await send_body(scope, send, status, "application/json", _encode(reply), headers, may_be_packed=packs)
