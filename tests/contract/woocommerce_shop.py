"""A stand-in for WooCommerce: its REST API (wc/v3) as far as it is documented, strict about what it is asked."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from loopback_shop import Request, Response

KEY = "Basic " + base64.b64encode(b"ck_1:cs_1").decode()
LISTED = {"status", "dates_are_gmt", "modified_after", "modified_before", "orderby", "order", "offset", "per_page"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")


def refused(code: str, message: str, status: int = 400) -> Response:
    """A refusal as WordPress writes it."""
    return Response({"code": code, "message": message, "data": {"status": status}}, status)


def gone() -> Response:
    """What is answered for an order or a refund that is not there."""
    return refused("woocommerce_rest_shop_order_invalid_id", "Invalid ID.", 404)


class WooShop:
    """A shop with orders, refunds, notes and a clock; `subscriptions` have the numbers of their first orders."""

    def __init__(self, *orders: dict[str, Any]) -> None:
        self.requests: list[Request] = []
        self.orders = {order["id"]: order for order in orders}
        self.refunds: dict[str, dict[str, Any]] = {}
        self.subscriptions: dict[int, int] = {}
        self.notes: dict[int, list[dict[str, Any]]] = {}
        self.clock = datetime(2026, 1, 5, 10, tzinfo=UTC)

    @property
    def now(self) -> str:
        """The time of a change that is made now."""
        return stamp(self.clock)

    def meta(self, number: int) -> dict[str, Any]:
        """The fields of an order."""
        return {each["key"]: each["value"] for each in self.orders[number].get("meta_data", [])}

    def answer(self, request: Request) -> Response:
        """What the documented API answers."""
        response = self._answered(request)
        response.headers = {"date": format_datetime(self.clock, usegmt=True), **response.headers}
        return response

    def _answered(self, request: Request) -> Response:
        if request.headers.get("authorization") != KEY:
            return refused("woocommerce_rest_cannot_view", "Sorry, you cannot list resources.", 401)
        parts = urlsplit(request.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query, strict_parsing=bool(parts.query)).items()}
        path = parts.path.removeprefix("/shop/wp-json/wc/v3/")
        match path.split("/"):
            case ["orders"] if request.method == "GET":
                return self._list(query)
            case ["orders", _, "refunds", _] if request.method == "GET":
                return Response(self.refunds[path]) if path in self.refunds else gone()
            case ["subscriptions", number] if number.isdigit() and int(number) in self.subscriptions:
                return Response({"parent_id": self.subscriptions[int(number)]})
            case ["orders", number, *rest] if number.isdigit():
                order = self.orders.get(int(number))
                return gone() if order is None else self._order(request, order, rest, query)
        return refused("rest_no_route", "No route was found matching the URL and request method.", 404)

    def _list(self, query: dict[str, str]) -> Response:
        wrong = query.keys() - LISTED or query["orderby"] not in {"date", "id", "modified"}
        if wrong or query["order"] != "asc" or query["dates_are_gmt"] != "true" or int(query["per_page"]) > 100:
            return refused("rest_invalid_param", "Invalid parameter(s)")
        after, before = query["modified_after"], query.get("modified_before", "9999-12-31T00:00:00")
        if not (TIME.fullmatch(after) and TIME.fullmatch(before)):
            return refused("rest_invalid_param", "Invalid parameter(s): modified_after")
        found = [
            order
            for order in self.orders.values()
            if after < order["date_modified_gmt"] < before
            and (order["status"] == "trash") == (query["status"] == "trash")
        ]
        found.sort(
            key=lambda order: order["id"] if query["orderby"] == "id" else (order["date_modified_gmt"], -order["id"])
        )
        start = int(query["offset"])
        page = found[start : start + int(query["per_page"])]
        return Response(page, headers={"X-WP-Total": str(len(found))})

    def _order(self, request: Request, order: dict[str, Any], rest: list[str], query: dict[str, str]) -> Response:
        notes = self.notes.setdefault(order["id"], [])
        match request.method, rest:
            case "GET", []:
                fields = query.get("_fields", ",".join(order)).split(",")
                return Response({name: value for name, value in order.items() if name in fields})
            case "PUT", []:
                assert request.json().keys() == {"meta_data"}
                kept = {each["key"]: each["value"] for each in order.get("meta_data", [])}
                kept |= {each["key"]: each["value"] for each in request.json()["meta_data"]}
                order["meta_data"] = [{"id": n, "key": key, "value": kept[key]} for n, key in enumerate(kept)]
                order["date_modified_gmt"] = self.now
                return Response(order)
            case "GET", ["notes"]:
                kind = {"customer": True, "internal": False}[query["type"]]
                return Response([note for note in notes if note["customer_note"] is kind])
            case "POST", ["notes"]:
                assert request.json().keys() == {"note", "customer_note"}
                notes.append({"id": len(notes) + 1, "date_created_gmt": self.now, "author": "system", **request.json()})
                return Response(notes[-1], 201)
        return refused("rest_no_route", "No route was found matching the URL and request method.", 404)


def moved(order: dict[str, Any], number: int, at: datetime, **fields: Any) -> dict[str, Any]:
    """The order with another number, changed at another time."""
    return {**order, "id": number, "date_modified_gmt": stamp(at), **fields}


def stamp(at: datetime) -> str:
    """A time as the shop writes it."""
    return at.strftime("%Y-%m-%dT%H:%M:%S")
