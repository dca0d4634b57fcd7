"""A stand-in for Paddle Billing: its API as far as it is documented, strict about what it is asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from loopback_shop import Request, Response

KEY = "key_of_the_tests"
KEPT = timedelta(days=90)
PLACES = {"transactions": "txn_", "subscriptions": "sub_", "customers": "ctm_"}


def refused(code: str, status: int = 400, **headers: str) -> Response:
    """A refusal as Paddle writes it."""
    error = {"type": "request_error", "code": code, "detail": f"This is {code}."}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response({"error": error, "meta": {"request_id": "r"}}, status, named)


def stamp(at: datetime) -> str:
    """A time as Paddle writes it."""
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


class PaddleAccount:
    """An account with events, entities by their ids, and a clock; `next` are what it answers first."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.events: dict[str, dict[str, Any]] = {}
        self.entities: dict[str, dict[str, Any]] = {}
        self.next: list[Response] = []
        self.clock = datetime.now(UTC)
        self.url = ""

    def happens(self, kind: str, entity: dict[str, Any], at: datetime | None = None, id: str = "") -> str:
        """Let something happen, now by default; the id of the event."""
        told = at or self.clock
        milliseconds = round(told.timestamp() * 1000)
        event = id or f"evt_{milliseconds:020d}{len(self.events):06d}"
        self.events[event] = {"event_id": event, "event_type": kind, "occurred_at": stamp(told),
                              "data": {"updated_at": stamp(told), **entity}}  # fmt: skip
        return event

    def noted(self, id: str) -> dict[str, Any]:
        """What others and we have written."""
        return self.entities.get(id, {}).get("custom_data") or {}

    @property
    def writes(self) -> int:
        """How often something was written."""
        return sum(request.method == "PATCH" for request in self.requests)

    def answer(self, request: Request) -> Response:
        """What the documented API answers."""
        response = self.next.pop(0) if self.next else self._answered(request)
        response.headers = {"date": format_datetime(self.clock, usegmt=True), **response.headers}
        return response

    def _answered(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return refused("authentication_malformed", 401)
        if request.headers.get("paddle-version") != "1":
            return refused("unsupported_version")
        parts = urlsplit(request.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query, strict_parsing=bool(parts.query)).items()}
        match parts.path.strip("/").split("/"):
            case ["events"] if request.method == "GET":
                return self._list(query)
            case [place, id] if not query and id.startswith(PLACES.get(place, "?")):
                return self._entity(request, place, id)
        return refused("invalid_url", 404)

    def _list(self, query: dict[str, str]) -> Response:
        most = int(query.get("per_page", "50"))
        order = query.get("order_by", "id[ASC]")
        if query.keys() - {"after", "order_by", "per_page"} or order not in {"id[ASC]", "id[DESC]"} or most < 1:
            return refused("bad_request")
        oldest = stamp(self.clock - KEPT)
        ids = sorted(id for id, event in self.events.items() if event["occurred_at"] >= oldest)
        if order == "id[DESC]":
            ids.reverse()
        after = query.get("after")
        if after is not None and after not in ids:
            return refused("invalid_field")
        start = ids.index(after) + 1 if after else 0
        page = ids[start : start + min(most, 200)]
        more = start + len(page) < len(ids)
        next = f"{self.url}/events?after={page[-1] if page else after}"
        told = {"per_page": min(most, 200), "next": next, "has_more": more, "estimated_total": len(ids)}
        return Response({"data": [self.events[id] for id in page], "meta": {"request_id": "r", "pagination": told}})

    def _entity(self, request: Request, place: str, id: str) -> Response:
        entity = self.entities.get(id)
        if entity is None:
            return refused("not_found", 404)
        if request.method == "PATCH":
            assert request.json().keys() == {"custom_data"}
            if place == "transactions":
                return refused("transaction_immutable")
            if place == "subscriptions" and entity["status"] == "canceled":
                return refused("subscription_update_when_canceled")
            entity["custom_data"] = request.json()["custom_data"]
        return Response({"data": {"id": id, "custom_data": None, **entity}, "meta": {"request_id": "r"}})


def transaction(number: str, **fields: Any) -> dict[str, Any]:
    """A transaction of two pieces that is paid."""
    line = {"id": f"txnitm_{number}", "price_id": "pri_cad", "quantity": 2}
    known = {"id": f"txn_{number}", "status": "completed", "customer_id": "ctm_ann", "subscription_id": None}
    return {**known, "origin": "web", "details": {"line_items": [line]}, **fields}
