"""A business system on this machine that answers by its addresses, for tests of connectors that fetch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote_plus

from connector_lab import AT, GOLDEN, SHARED, deliveries, delivery, means, sample
from loopback_shop import Request, Response, listening

__all__ = ["AT", "GOLDEN", "SHARED", "System", "deliveries", "delivery", "means", "running", "sample"]


class System:
    """The system, at `url`: `answers` by what an address has in it."""

    def __init__(self) -> None:
        self.url = ""
        self.answers: dict[str, bytes | int] = {}
        self.requests: list[Request] = []

    @property
    def asked(self) -> list[tuple[str, str, str]]:
        """The addresses, the logins and the bodies of all requests."""
        return [
            (unquote_plus(each.path), each.headers.get("authorization", ""), each.body.decode())
            for each in self.requests
        ]

    def answer(self, request: Request) -> Response:
        """The body of an answer, or its status."""
        found = next((answer for part, answer in self.answers.items() if part in request.path), 404)
        return Response(found) if isinstance(found, bytes) else Response({}, found)


@contextmanager
def running() -> Iterator[System]:
    """The system, while it runs."""
    system = System()
    with listening(system) as system.url:
        yield system
