"""What is known about one request while it is served: the log and the metrics are written from it."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.types import Scope

_KEY = "licentia.exchange"


@dataclass(slots=True)
class Exchange:
    """One request and what became of it.

    Whoever answers fills it in: `gateway` and `operation` are words of ours, never of the caller's,
    so that they can be labels of a metric; `code` is that of the refusal, if it was one.
    """

    request_id: str
    address: str = ""
    gateway: str = "none"
    operation: str = "none"
    actor: str = ""
    code: str = ""

    @classmethod
    def open(cls, scope: Scope, request_id: str) -> Exchange:
        """Begin the exchange of this ASGI scope."""
        client = scope.get("client")
        exchange = cls(request_id, client[0] if client else "")
        scope[_KEY] = exchange
        return exchange

    @classmethod
    def of(cls, scope: Scope) -> Exchange:
        """The exchange that this ASGI scope belongs to."""
        exchange = scope[_KEY]
        assert isinstance(exchange, cls)
        return exchange
