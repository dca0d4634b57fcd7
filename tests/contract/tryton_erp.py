"""As much of Tryton's REST interface as the tests of its connector need, over records in memory."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from loopback_shop import Request, Response

from licentia_integrations.tryton import Tryton

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
KEY = "the application key"
START = datetime(2026, 11, 24, 10, tzinfo=UTC)


def moment(seconds: float) -> dict[str, Any]:
    """So long after the start, as Tryton writes it."""
    at = START + timedelta(seconds=seconds)
    told = {"year": at.year, "month": at.month, "day": at.day, "hour": at.hour, "minute": at.minute}
    return {"__class__": "datetime", **told, "second": at.second, "microsecond": at.microsecond}


def sale(id: int, seconds: float = 0, **values: Any) -> dict[str, Any]:
    """A sale as the interface tells it, written so long after the start."""
    line = {"id": 100 * id, "type": "line", "quantity": 5.0, "product": {"id": 1, "code": "CAD"}}
    return {
        "__name__": "sale.sale",
        "id": id,
        "number": f"SO{id}",
        "state": "processing",
        "create_date": moment(0),
        "write_date": moment(seconds),
        "party": {"id": 2, "name": "Acme Ltd", "code": "77"},
        "lines": [line | {"create_date": moment(0), "write_date": None}],
    } | values


class Erp:
    """As much of Tryton's REST interface as the connector uses, over records in memory."""

    def __init__(self) -> None:
        self.records: dict[str, list[dict[str, Any]]] = {"ir.note": [], "sale.line": []}
        self.records["sale.sale"] = [sale(id) for id in (1, 2, 3, 4, 7, 8, 9)]
        back = {"id": 50, "quantity": -1.0, "product": {"id": 1, "code": "CAD"}}
        self.records["sale.sale"].append(sale(10, origin="sale.sale,3", lines=[back]))
        self.records["sale.subscription"] = [
            {"__name__": "sale.subscription", "id": id, "number": str(id), "state": "running", "lines": []}
            for id in (4, 5)
        ]
        self.now = START + timedelta(days=1)
        self.requests: list[Request] = []
        self.refusal: tuple[int, str] | None = None

    def answer(self, request: Request) -> Response:
        """Answer a search, or create; with the time of the ERP."""
        response = self._answered(request)
        response.headers = {"date": format_datetime(self.now, usegmt=True)}
        return response

    def _answered(self, request: Request) -> Response:
        parts = urlsplit(request.path)
        model = parts.path.removeprefix("/db/rest/model/")
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return Response(b"<p>no</p>", 401)
        if self.refusal is not None:
            status, text = self.refusal
            return Response(text.encode(), status)
        if request.method == "GET":
            return Response(self.search(model, parse_qs(parts.query)))
        return Response(self.create(model, request.json()))

    def search(self, model: str, query: dict[str, list[str]]) -> list[dict[str, Any]]:
        """The records that fulfil the domain, in the order and the number that is asked for."""
        domain, order = (json.loads(base64.urlsafe_b64decode(query.get(name, ["W10="])[0])) for name in ("d", "o"))
        found = [record for record in self.records[model] if all(fits(record, clause) for clause in domain)]
        for field, way in reversed(order):
            found.sort(key=lambda record: plain(record.get(field)), reverse=way == "DESC")
        return found[: int(query.get("s", ["1000"])[0])]

    def create(self, model: str, values: dict[str, Any]) -> dict[str, Any]:
        """A new record."""
        record = {"id": len(self.records[model]) + 1, **values}
        self.records[model].append(record)
        return record


def connector(address: str, **settings: Any) -> Tryton:
    """The connector of these records at an address."""
    api = {"url": f"{address}/db", "password": KEY}
    return Tryton("tryton", {"secret": SECRET, "api": api, "revisions": True} | settings)


def plain(value: Any) -> Any:
    """A value that can be compared."""
    return tuple(value.values())[1:] if isinstance(value, dict) else value


def fits(record: dict[str, Any], clause: list[Any]) -> bool:
    """Whether a record fulfils a clause of a domain."""
    if clause[0] == "OR":
        return any(fits(record, each) for each in clause[1:])
    path, operator, wanted = clause
    values: list[Any] = [record]
    for step in path.split("."):
        nested = [value.get(step) for value in values]
        values = [each for value in nested for each in (value if isinstance(value, list) else [value])]
    match operator:
        case "=":
            return wanted in values
        case "!=":
            return wanted not in values
        case "in":
            return any(value in wanted for value in values)
        case "like":
            return any(wanted.strip("%") in (value or "") for value in values)
    compare = {">": lambda a, b: a > b, ">=": lambda a, b: a >= b}[operator]
    return any(value is not None and compare(plain(value), plain(wanted)) for value in values)
