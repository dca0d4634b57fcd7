"""A stand-in for FastSpring: its API as far as it is documented, strict about what it is asked."""

from __future__ import annotations

import base64
import copy
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

from loopback_shop import Request, Response

KEY = "Basic " + base64.b64encode(b"user:password").decode()
MOST, OLDEST_DAYS = 25, 30
DAY = 86_400_000


def refused(action: str, error: dict[str, str], status: int = 400) -> Response:
    """A refusal as FastSpring writes it."""
    return Response({"action": action, "result": "error", "error": error}, status)


def now() -> int:
    """The time in milliseconds."""
    return round(time.time() * 1000)


class FastSpringStore:
    """A store with events and orders; `next` are what it answers first. Tags are replaced as a whole."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.events: dict[str, dict[str, Any]] = {}
        self.orders: dict[str, dict[str, Any]] = {}
        self.next: list[Response] = []

    def happens(self, id: str, type: str, data: dict[str, Any], created: int | None = None, **more: Any) -> None:
        """Let something happen that no webhook delivers."""
        known = {"id": id, "event": id, "type": type, "live": data.get("live", True), "processed": False}
        self.events[id] = {**known, "created": created or now(), "data": data, **more}

    @property
    def unprocessed(self) -> list[str]:
        """The events that are not marked."""
        return [id for id, event in self.events.items() if not event["processed"]]

    @property
    def writes(self) -> int:
        """How often tags were written."""
        return sum(request.method == "POST" and request.path == "/orders" for request in self.requests)

    def answer(self, request: Request) -> Response:
        """What the documented API answers."""
        if self.next:
            return self.next.pop(0)
        if request.headers.get("authorization") != KEY:
            return refused("", {"auth": "Unauthorized"}, 401)
        parts = urlsplit(request.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query, strict_parsing=bool(parts.query)).items()}
        match request.method, parts.path.strip("/").split("/"):
            case "GET", ["events", "unprocessed"]:
                return self._list(query)
            case "POST", ["events", id] if not query:
                return self._mark(id, request.json())
            case "GET", ["orders", id] if not query:
                missing = refused("order.get", {"order": "Not found"})
                return Response(self.orders[id]) if id in self.orders else missing
            case "POST", ["orders"] if not query:
                return self._tag(request.json())
        return refused("", {"path": "unknown"}, 404)

    def _list(self, query: dict[str, str]) -> Response:
        if query.keys() != {"days"} or not 1 <= int(query["days"]) < OLDEST_DAYS:
            return refused("events.get", {"begin": "Begin required."})
        begin = now() - int(query["days"]) * DAY
        found = [self.events[id] for id in self.unprocessed if self.events[id]["created"] >= begin]
        # The documentation tells no order.
        page = copy.deepcopy(found[:MOST][::-1])
        more = {"more": True} if len(found) > MOST else {}
        return Response({"action": "events.get", "result": "success", "events": page, **more})

    def _mark(self, id: str, told: Any) -> Response:
        assert told == {"processed": True}
        if id not in self.events:
            return refused("event.update", {"event": "Not found"})
        self.events[id]["processed"] = True
        return Response({"event": id, "action": "event.update", "result": "success"})

    def _tag(self, told: Any) -> Response:
        (update,) = told["orders"]
        assert update.keys() == {"order", "tags"}
        order = self.orders.get(update["order"])
        known = {"action": "order.update", "order": update["order"]}
        if order is None:
            return Response({"orders": [known | {"result": "error", "error": {"order": "Not found"}}]})
        assert all(isinstance(value, str) for value in update["tags"].values())
        order["tags"] = update["tags"]
        return Response({"orders": [known | {"result": "success"}]})


def order(id: str, **fields: Any) -> dict[str, Any]:
    """An order of two pieces that is paid."""
    known = {"id": id, "order": id, "completed": True, "changed": now(), "live": True, "account": "ann"}
    return {**known, "items": [{"product": "cad", "quantity": 2}], **fields}
