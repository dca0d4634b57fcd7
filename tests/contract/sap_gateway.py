"""A small SAP Gateway on this machine, stricter than SAP's own mock: tokens against forged requests, ETags, filters."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from loopback_shop import Request, Response, listening

ROOT = "/sap/opu/odata/sap/"
LOGIN = "Basic Ujp3b3Jk"
"""The user R with the password word."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
OPTIONS = {"$filter", "$orderby", "$top", "$expand", "$format"}
CONDITION = re.compile(r"(\w+) (ge|gt|lt|eq) (?:datetimeoffset'([^']+)'|'([^']*)')")
TEXT = re.compile(r"A_SalesOrderText\(SalesOrder='(\w+)',Language='(\w\w)',LongTextID='(\w{1,4})'\)")
WIDTH = 72


class Failure(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, words: str = "", **headers: str) -> None:
        super().__init__(words)
        self.status, self.words, self.headers = status, words, headers


class Gateway:
    """Sales orders, returns and texts.

    `page` is the most that one answer lists; `now` is its time in milliseconds, if not the real one.
    """

    def __init__(self) -> None:
        self.url = ""
        self.documents: dict[str, dict[str, dict[str, Any]]] = {"SalesOrder": {}, "CustomerReturn": {}}
        self.texts: dict[tuple[str, str, str], str] = {}
        self.requests: list[Request] = []
        self.writes = 0
        self.client = ""
        self.page = 1000
        self.down = 0
        self.now = 0
        self.etags = True
        self.meanwhile: Callable[[], None] = lambda: None
        self._sessions: dict[str, str] = {}

    def add(self, number: str, changed: int, kind: str = "SalesOrder", **fields: Any) -> None:
        """A document with one line, as it is since a time in milliseconds."""
        item = {f"{kind}Item": "10", "Material": "CAD", "RequestedQuantity": "3", "SalesDocumentRjcnReason": ""}
        known = {kind: number, "SoldToParty": "10100001", "OverallSDDocumentRejectionSts": "A", **fields}
        known |= {"LastChangeDateTime": f"/Date({changed}+0000)/", "to_Item": {"results": [item]}}
        self.documents[kind][number] = known

    def forget_sessions(self) -> None:
        """All tokens have run out."""
        self._sessions.clear()

    @property
    def asked(self) -> list[tuple[str, str]]:
        """The methods and the addresses of all requests."""
        return [(each.method, unquote(each.path)) for each in self.requests]

    def answer(self, request: Request) -> Response:
        """What the system answers, with its time."""
        try:
            response = self._answered(request)
        except Failure as failure:
            error = {"code": "/IWBEP/CM", "message": {"lang": "en", "value": failure.words}}
            response = Response({"error": error}, failure.status, failure.headers)
        now = {"date": formatdate(self.now / 1000, usegmt=True)} if self.now else {}
        response.headers = {**now, **response.headers}
        return response

    def _answered(self, request: Request) -> Response:
        headers = request.headers
        self.client = headers.get("sap-client", "")
        if self.down:
            raise Failure(self.down)
        if headers.get("authorization") != LOGIN:
            raise Failure(401)
        parts = urlsplit(request.path)
        path, options = unquote(parts.path), dict(parse_qsl(parts.query))
        if not path.startswith(ROOT) or not options.keys() <= OPTIONS:
            raise Failure(400, "Invalid URI")
        given: dict[str, str] = {}
        if headers.get("x-csrf-token", "").lower() == "fetch":
            token, session = secrets.token_hex(8), secrets.token_hex(8)
            self._sessions[token] = session
            given = {"x-csrf-token": token, "Set-Cookie": f"SAP_SESSIONID={session}; path=/; HttpOnly"}
        service, _, rest = path.removeprefix(ROOT).partition("/")
        if request.method != "GET":
            self._check_token(headers)
            return self._write(request, rest)
        if not rest:
            return Response({"d": {"EntitySets": ["A_SalesOrder", "A_SalesOrderText"]}}, headers=given)
        try:
            return Response(self._read(service, rest, options), headers=given)
        except Failure as failure:
            failure.headers |= given
            raise

    def _check_token(self, headers: Mapping[str, str]) -> None:
        session = self._sessions.get(headers.get("x-csrf-token", ""))
        if session is None or f"SAP_SESSIONID={session}" not in headers.get("cookie", ""):
            raise Failure(403, **{"x-csrf-token": "Required"})

    def _read(self, service: str, rest: str, options: dict[str, str]) -> Any:
        if text := TEXT.fullmatch(rest):
            if text.groups() not in self.texts:
                raise Failure(404, "Resource not found")
            return {"d": self._text(text.groups())}
        kind = {"API_SALES_ORDER_SRV": "SalesOrder", "API_CUSTOMER_RETURN_SRV": "CustomerReturn"}[service]
        if options.get("$format") != "json" or options.get("$expand") != "to_Item":
            raise Failure(400, "this test wants JSON with the lines")
        if one := re.fullmatch(rf"A_{kind}\('(\w+)'\)", rest):
            if one[1] not in self.documents[kind]:
                raise Failure(404, "Resource not found")
            return {"d": self.documents[kind][one[1]]}
        if rest != f"A_{kind}":
            raise Failure(404, "Resource not found")
        return {"d": self._listed(kind, options)}

    def _listed(self, kind: str, options: dict[str, str]) -> Any:
        conditions = [self._condition(each, kind) for each in options["$filter"].split(" and ")]
        fields = options["$orderby"].split(",")
        if not set(fields) <= {kind, "LastChangeDateTime"}:
            raise Failure(400, "Invalid $orderby")
        found = [each for each in self.documents[kind].values() if all(fits(each) for fits in conditions)]
        found.sort(key=lambda each: tuple(_value(each, field) for field in fields))
        most = min(int(options["$top"]), self.page)
        listed: dict[str, Any] = {"results": found[:most]}
        if len(found) > most and most < int(options["$top"]):
            listed["__next"] = f"{self.url}{ROOT}elsewhere?$skiptoken=1"
        return listed

    def _condition(self, text: str, kind: str) -> Callable[[dict[str, Any]], bool]:
        told = CONDITION.fullmatch(text)
        if told is None or told[1] not in (kind, "LastChangeDateTime") or (told[1] == kind) != (told[3] is None):
            raise Failure(400, f"Invalid $filter: {text}")
        field, operator = told[1], told[2]
        wanted: Any = told[4]
        if told[3] is not None:
            wanted = (datetime.fromisoformat(told[3]) - EPOCH) // timedelta(milliseconds=1)
        return lambda document: {
            "ge": _value(document, field) >= wanted,
            "gt": _value(document, field) > wanted,
            "lt": _value(document, field) < wanted,
            "eq": _value(document, field) == wanted,
        }[operator]

    def _text(self, key: Any) -> dict[str, Any]:
        told = dict(zip(("SalesOrder", "Language", "LongTextID"), key, strict=True))
        metadata = {"etag": self._etag(key)} if self.etags else {}
        return {**told, "LongText": self.texts[key], "__metadata": metadata}

    def _etag(self, key: Any) -> str:
        return f'W/"{hash(self.texts[key]) & 0xFFFF:x}"'

    def _write(self, request: Request, rest: str) -> Response:
        method, told = request.method, request.json()
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        if method == "POST" and (under := re.fullmatch(r"A_SalesOrder\('(\w+)'\)/to_Text", rest)):
            if under[1] not in self.documents["SalesOrder"]:
                raise Failure(404, "Resource not found")
            key = (under[1], told["Language"], told["LongTextID"])
            if key[2] == "ZZZZ":
                raise Failure(400, "Text ID ZZZZ is not intended for text object VBBK")
            if key in self.texts:
                raise Failure(412, "The text is there already")
            self._store(key, told["LongText"])
            return Response({"d": self._text(key)}, 201)
        if method == "PATCH" and (text := TEXT.fullmatch(rest)) and set(told) == {"LongText"}:
            key = text.groups()  # type: ignore[assignment]
            if self.etags and request.headers.get("if-match") != self._etag(key):
                raise Failure(412 if "if-match" in request.headers else 428, "Precondition")
            self._store(key, told["LongText"])
            return Response(b"", 204)
        raise Failure(405, "Method not allowed")

    def _store(self, key: tuple[str, str, str], text: str) -> None:
        """As SAP keeps a text: lines of 72 characters without blanks at their ends."""
        self.writes += 1
        lines = [line[at : at + WIDTH].rstrip() for line in text.split("\n") for at in range(0, len(line) or 1, WIDTH)]
        self.texts[key] = "\n".join(lines)


def _value(document: dict[str, Any], field: str) -> Any:
    if field == "LastChangeDateTime":
        return int(document[field].removeprefix("/Date(").partition("+")[0])
    return document[field]


@contextmanager
def running() -> Iterator[Gateway]:
    """The gateway, while it runs."""
    gateway = Gateway()
    with listening(gateway) as gateway.url:
        yield gateway
