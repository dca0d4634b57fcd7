"""A stand-in for Stripe: the parts of its API that are used, as documented, strict about what it is asked."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from loopback_shop import Request, Response

KEY = "rk_test_of_the_account"
KEPT_SECONDS = 30 * 86_400
PAGED = {
    "limit",
    "starting_after",
    "ending_before",
    "expand[]",
    *(f"created[{how}]" for how in ("gt", "gte", "lt", "lte")),
}
LISTS: Mapping[str, set[str]] = {
    "events": {"types[]", "type", "delivery_success"},
    "checkout/sessions": {"status", "customer", "payment_intent", "subscription"},
    "invoices": {"status", "customer", "subscription"},
    "subscriptions": {"status", "customer", "price"},
    "invoice_payments": {"status", "invoice"},
    "refunds": {"charge", "payment_intent"},
    "disputes": {"charge", "payment_intent"},
}
"""What may be asked of each list, beside pages and times."""

OBJECTS = {"subscriptions", "invoices", "payment_intents", "checkout/sessions", "charges"}
LINES = {"checkout/sessions": ("line_items", "line_items"), "invoices": ("lines", "lines")}


def refused(message: str, code: str | None = None, status: int = 400, type: str = "invalid_request_error") -> Response:
    """A refusal as Stripe writes it."""
    return Response({"error": {"type": type, "code": code, "message": message}}, status)


def gone(what: str) -> Response:
    """What is answered for something that is not there."""
    return refused(f"No such object: '{what}'", "resource_missing", 404)


class StripeAccount:
    """An account: its documents by their paths, its events, a clock, and what it answers next in place of the truth.

    Attributes:
        fixed: the documents that nobody can change any more.
        faults: answers, or seconds that an answer takes, for the next requests.
        writes: how often a document was changed.
    """

    def __init__(self, now: datetime | None = None) -> None:
        self.requests: list[Request] = []
        self.documents: dict[str, dict[str, Any]] = {}
        self.others: dict[str, list[dict[str, Any]]] = {"invoice_payments": [], "refunds": [], "disputes": []}
        self.events: list[dict[str, Any]] = []
        self.fixed: set[str] = set()
        self.faults: list[Response | float] = []
        self.writes = 0
        self.clock = now or datetime.now(UTC).replace(microsecond=0)
        self._answers: dict[str, tuple[Any, Response]] = {}

    @property
    def now(self) -> int:
        """The time in seconds."""
        return int(self.clock.timestamp())

    def put(self, path: str, **fields: Any) -> dict[str, Any]:
        """A document at a path, made now unless it says when."""
        known = {"id": path.rpartition("/")[2], "created": self.now, "livemode": True, "metadata": {}}
        self.documents[path] = known | fields
        return self.documents[path]

    def happen(self, type: str, document: dict[str, Any], at: int | None = None, id: str = "") -> dict[str, Any]:
        """An event about a document, as that is now; a checkout does not show its lines."""
        event = {
            "id": id or f"evt_{len(self.events) + 1:06}", "object": "event", "type": type, "livemode": True,
            "api_version": "2025-03-31.basil", "created": self.now if at is None else at,
            "data": {"object": {name: value for name, value in document.items() if name != "line_items"}},
        }  # fmt: skip
        self.events.append(event)
        return event

    def answer(self, request: Request) -> Response:
        """What the documented API answers."""
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, float):
            time.sleep(fault)
        response = fault if isinstance(fault, Response) else self._answered(request)
        response.headers = {"date": format_datetime(self.clock, usegmt=True), **response.headers}
        return response

    def _answered(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return refused("Invalid API Key provided: rk_test_*******unt", status=401)
        parts = urlsplit(request.path)
        path = parts.path.removeprefix("/v1/")
        query = [(_plain(name), value) for name, value in parse_qsl(parts.query, strict_parsing=bool(parts.query))]
        if request.method == "POST":
            return self._changed(request, path) if not query else refused("Parameters of a POST stand in its body.")
        if path in LISTS:
            return self._list(path, query)
        if path == "subscription_items":
            return self._lines(f"subscriptions/{dict(query).get('subscription')}", "items", query)
        for place, (member, name) in LINES.items():
            if found := re.fullmatch(rf"({place}/\w+)/{name}", path):
                return self._lines(found[1], member, query)
        if path.rpartition("/")[0] not in OBJECTS:
            return refused(f"Unrecognized request URL (GET: /v1/{path}).", status=404)
        if query:
            return refused(f"Received unknown parameter: {query[0][0]}", "parameter_unknown")
        document = self.documents.get(path)
        return gone(path) if document is None else Response(_shown(document))

    def _lines(self, path: str, member: str, query: list[tuple[str, str]]) -> Response:
        if dict(query).keys() - {"limit", "subscription"}:
            return refused("Received unknown parameters", "parameter_unknown")
        document = self.documents.get(path)
        if document is None:
            return gone(path)
        items = document.get(member, {"data": []})["data"]
        limit = int(dict(query).get("limit", "10"))
        return Response({"object": "list", "data": items[:limit], "has_more": len(items) > limit})

    def _list(self, path: str, query: list[tuple[str, str]]) -> Response:
        given, types = dict(query), [value for name, value in query if name == "types[]"]
        if unknown := given.keys() - PAGED - LISTS[path]:
            return refused(f"Received unknown parameters: {', '.join(sorted(unknown))}", "parameter_unknown")
        if len(types) > 20 or (types and "type" in given):
            return refused("You may pass up to 20 types, or one type.", "parameter_invalid")
        if {"starting_after", "ending_before"} <= given.keys():
            return refused("You may only specify one of these parameters: starting_after, ending_before.")
        limit = int(given.get("limit", "10"))
        if not 1 <= limit <= 100:
            return refused("This value must be between 1 and 100.", "parameter_invalid_integer")
        found = sorted(enumerate(self._all(path)), key=lambda each: (each[1]["created"], each[0]), reverse=True)
        listed = [each for _, each in found if self._fits(path, each, given)]
        if types:
            listed = [each for each in listed if each["type"] in types]
        return self._page(path, [each for _, each in found], listed, given, limit)

    def _all(self, path: str) -> list[dict[str, Any]]:
        if path == "events":
            return [event for event in self.events if event["created"] > self.now - KEPT_SECONDS]
        own = [document for place, document in self.documents.items() if place.rpartition("/")[0] == path]
        return own or self.others.get(path, [])

    def _fits(self, path: str, each: dict[str, Any], given: Mapping[str, str]) -> bool:
        tests: Mapping[str, Callable[[int, int], bool]] = {
            "gt": int.__gt__, "gte": int.__ge__, "lt": int.__lt__, "lte": int.__le__
        }  # fmt: skip
        timely = all(
            test(each["created"], int(given[f"created[{how}]"]))
            for how, test in tests.items()
            if f"created[{how}]" in given
        )
        status = given.get("status", "not canceled" if path == "subscriptions" else "all")
        return timely and (
            status == "all" or (status == "not canceled" and each["status"] != "canceled") or each["status"] == status
        )

    def _page(
        self, path: str, known: list[dict[str, Any]], listed: list[dict[str, Any]], given: Mapping[str, str], limit: int
    ) -> Response:
        mark = given.get("starting_after") or given.get("ending_before")
        place = next((n for n, each in enumerate(known) if each["id"] == mark), None)
        if mark and place is None:
            return refused(f"No such object: '{mark}'", "resource_missing")
        if "ending_before" in given:
            before = [each for each in listed if known.index(each) < (place or 0)]
            page, more = before[-limit:], len(before) > limit
        else:
            rest = listed if place is None else [each for each in listed if known.index(each) > place]
            page, more = rest[:limit], len(rest) > limit
        expanded = [self._expanded(each) if "expand[]" in given else each for each in page]
        data = [_shown(each) for each in expanded]
        return Response({"object": "list", "url": f"/v1/{path}", "has_more": more, "data": data})

    def _expanded(self, refund: dict[str, Any]) -> dict[str, Any]:
        return {**refund, "charge": self.documents[f"charges/{refund['charge']}"]}

    def _changed(self, request: Request, path: str) -> Response:
        if request.headers.get("content-type", "").partition(";")[0] != "application/x-www-form-urlencoded":
            return refused("Invalid request: the body is no form.")
        form = dict(parse_qsl(request.body.decode(), keep_blank_values=True, strict_parsing=True))
        key = request.headers.get("idempotency-key", "")
        known = self._answers.get(key) if key else None
        if known is not None and known[0] != (path, form):
            return refused("Keys for idempotent requests can only be used once.", type="idempotency_error")
        if known is not None:
            return Response(known[1].value, known[1].status, {"idempotent-replayed": "true"})
        response = self._written(path, form)
        self._answers[key] = ((path, form), response)
        return response

    def _written(self, path: str, form: Mapping[str, str]) -> Response:
        document = self.documents.get(path)
        if document is None or path.rpartition("/")[0] not in OBJECTS:
            return gone(path)
        if path in self.fixed:
            return refused("This can no longer be changed.")
        names = {name: re.fullmatch(r"metadata\[([^\[\]]{1,40})\]", name) for name in form}
        if not all(names.values()):
            return refused("Received unknown parameters", "parameter_unknown")
        told = {found[1]: form[name] for name, found in names.items() if found}
        kept = {name: value for name, value in ((document["metadata"] or {}) | told).items() if value}
        if len(kept) > 50 or any(len(value) > 500 for value in told.values()):
            return refused("Metadata can have up to 50 keys, and values of up to 500 characters.")
        self.writes += 1
        document["metadata"] = kept
        if path.startswith("subscriptions/"):
            self.happen("customer.subscription.updated", document)
        return Response(_shown(document))


def _plain(name: str) -> str:
    """The name of a parameter; lists may number their members."""
    return re.sub(r"\[\d+\]$", "[]", name)


def _shown(document: dict[str, Any]) -> dict[str, Any]:
    """A document as it is answered: a checkout does not show its lines."""
    return {name: value for name, value in document.items() if name != "line_items"}
