"""A small Salesforce on this machine, strict where the real one is: logins, SOQL, types of fields, pages of answers."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from loopback_shop import Request, Response, listening

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
APP, WORD, USER = "app", "word", "licenses@example.com"
AUDIENCE = "https://login.salesforce.com"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
DATA = re.compile(r"/services/data/v\d\d\.0/(\w+)(?:/(\w+)(?:/(\w+))?)?")
NEXT = re.compile(r"/services/data/v\d\d\.0/query(?:All)?/([\w-]+)")
QUERY = re.compile(
    r"SELECT (?P<fields>.+?) FROM (?P<object>\w+)(?: WHERE (?P<where>.+?))?"
    r"(?: ORDER BY (?P<order>[\w, ]+?))?(?: LIMIT (?P<limit>\d+))?"
)
INNER = re.compile(r"\(SELECT ([\w., ]+) FROM (\w+) WHERE IsDeleted = false\)")
CONDITION = re.compile(
    r"(\w+) (=|>=|<|>) (?:'((?:[^'\\]|\\['\\])*)'|(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3})?Z)|(true|false))"
)
TEXTS, TIMES, FLAGS = {"Id", "OrderNumber"}, {"SystemModstamp"}, {"IsDeleted"}
SHARED = {"Id", "SystemModstamp", "IsDeleted", "AccountId", "Account.Name", "Ticket__c", "Problem__c"}
PRODUCT = {"Id", "Quantity", "Product2Id", "Product2.ProductCode", "Product2.StockKeepingUnit", "IsDeleted"}
FIELDS = {
    "Order": SHARED | {"OrderNumber", "Status", "StatusCode"},
    "Opportunity": SHARED | {"StageName", "IsWon", "IsClosed"},
    "OrderItems": PRODUCT,
    "OpportunityLineItems": PRODUCT,
}
REDUCTIONS = {"IsReductionOrder", "OriginalOrderId", "OriginalOrder.OrderNumber", "OriginalOrderItemId"}


class Failure(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, code: str, words: str = "") -> None:
        super().__init__(words)
        self.status, self.told = status, [{"message": words, "errorCode": code}]


class Organization:
    """Orders and opportunities by their Ids.

    `batch` and `lines_batch` are the most that one answer has of records and of a record's lines; `now` is its time in
    milliseconds, if not the real one; `public_key` is what the certificate of the app holds.
    """

    def __init__(self) -> None:
        self.url = ""
        self.records: dict[str, dict[str, Any]] = {}
        self.requests: list[Request] = []
        self.changes = 0
        self.now = 0
        self.down = 0
        self.batch, self.lines_batch = 2000, 200
        self.has_reductions = False
        self.public_key: RSAKey | None = None
        self._tokens: set[str] = set()
        self._rest: dict[str, tuple[list[Any], int]] = {}

    def add(self, id: str, changed: int, *, lines: int = 1, **fields: Any) -> None:
        """A record with lines, as it is since a time in milliseconds."""
        product = {"ProductCode": "CAD", "StockKeepingUnit": None}
        items = [
            {"Id": f"802{at:012}AAA", "Quantity": 3.0, "Product2Id": "01t0", "Product2": product, "IsDeleted": False}
            for at in range(lines)
        ]
        known: dict[str, Any] = {"Id": id, "IsDeleted": False, "AccountId": "0010", "Account": {"Name": "ACME"}}
        if id.startswith("801"):
            known |= {"OrderNumber": id[3:15].lstrip("0").zfill(8), "StatusCode": "Activated", "OrderItems": items}
        else:
            known |= {"IsWon": True, "IsClosed": True, "OpportunityLineItems": items}
        self.records[id] = {**known, "Ticket__c": None, "Problem__c": None, **fields, "SystemModstamp": changed}

    def forget_tokens(self) -> None:
        """All tokens have run out."""
        self._tokens.clear()

    @property
    def asked(self) -> list[tuple[str, str]]:
        """The methods of all requests, and what each asks for in SOQL, or else where."""
        addresses = [(each.method, urlsplit(each.path)) for each in self.requests]
        return [(method, parse_qs(parts.query).get("q", [parts.path])[0]) for method, parts in addresses]

    def answer(self, request: Request) -> Response:
        """What Salesforce answers, with its time."""
        try:
            response = self._answered(request)
        except Failure as failure:
            response = Response(failure.told, failure.status)
        response.headers = {"date": formatdate(self.now / 1000, usegmt=True)} if self.now else {}
        return response

    def _answered(self, request: Request) -> Response:
        if self.down:
            raise Failure(self.down, "SERVER_UNAVAILABLE")
        parts = urlsplit(request.path)
        if parts.path == "/services/oauth2/token" and request.method == "POST":
            return self._token(dict(parse_qsl(request.body.decode())))
        query = parse_qs(parts.query)
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self._tokens:
            raise Failure(401, "INVALID_SESSION_ID", "Session expired or invalid")
        if page := NEXT.fullmatch(parts.path):
            return Response(self._page(*self._rest.pop(page[1])))
        resource = DATA.fullmatch(parts.path)
        if resource is None:
            raise Failure(404, "NOT_FOUND", "The requested resource does not exist")
        if resource[1] in ("query", "queryAll") and request.method == "GET" and set(query) == {"q"}:
            return Response(self._found(query["q"][0], resource[1] == "queryAll"))
        if resource[1] == "sobjects" and request.method == "PATCH" and resource[3]:
            self._change(resource[2], resource[3], request.json())
            return Response(b"", 204)
        raise Failure(405, "METHOD_NOT_ALLOWED")

    def _token(self, form: dict[str, str]) -> Response:
        if form.get("grant_type") == "client_credentials":
            right = (form.get("client_id"), form.get("client_secret")) == (APP, WORD)
        else:
            right = form.get("grant_type") == GRANT and self._is_ours(form.get("assertion", ""))
        if not right:
            return Response({"error": "invalid_grant", "error_description": "authentication failure"}, 400)
        token = f"00D!{secrets.token_urlsafe(12)}"
        self._tokens.add(token)
        return Response({"access_token": token, "instance_url": self.url, "token_type": "Bearer"})

    def _is_ours(self, assertion: str) -> bool:
        """RS256, of our app, for our user and this login server, and of at most three minutes."""
        if self.public_key is None:
            return False
        try:
            claims = jwt.decode(assertion, self.public_key, algorithms=["RS256"]).claims
        except (JoseError, ValueError):
            return False
        said = (claims.get("iss"), claims.get("sub"), claims.get("aud"))
        return said == (APP, USER, AUDIENCE) and 0 < claims.get("exp", 0) - time.time() <= 180

    def _found(self, soql: str, deleted: bool) -> Any:
        outer = INNER.sub(lambda inner: f"<{inner[2]}>", soql)
        told = QUERY.fullmatch(outer)
        if told is None:
            raise Failure(400, "MALFORMED_QUERY", soql)
        object = told["object"]
        if object not in ("Order", "Opportunity"):
            raise Failure(400, "INVALID_TYPE", f"sObject type '{object}' is not supported.")
        inner = {each[2]: each[1].split(", ") for each in INNER.finditer(soql)}
        plain = [field for field in told["fields"].split(", ") if not field.startswith("<")]
        self._check(object, plain)
        for child, fields in inner.items():
            self._check(child, fields)
        prefix = {"Order": "801", "Opportunity": "006"}[object]
        rows = [each for id, each in self.records.items() if id.startswith(prefix)]
        rows = [each for each in rows if deleted or not each["IsDeleted"]]
        for text in told["where"].split(" AND ") if told["where"] else []:
            rows = [each for each in rows if self._fits(text, each)]
        for field in reversed(told["order"].split(", ") if told["order"] else []):
            rows.sort(key=lambda each, field=field: each[field])  # type: ignore[misc]
        rows = rows[: int(told["limit"] or 50_000)]
        return self._page([self._shown(object, each, plain, inner) for each in rows], self.batch)

    def _check(self, object: str, fields: list[str]) -> None:
        known = FIELDS[object] | (REDUCTIONS if self.has_reductions else set())
        if unknown := [field for field in fields if field not in known]:
            raise Failure(400, "INVALID_FIELD", f"No such column '{unknown[0]}' on entity '{object}'.")

    def _fits(self, text: str, record: dict[str, Any]) -> bool:
        told = CONDITION.fullmatch(text)
        if told is None:
            raise Failure(400, "MALFORMED_QUERY", text)
        field, operator, string, moment, flag = told.groups()
        kinds = {"text": string, "time": moment, "flag": flag}
        kind = "text" if field in TEXTS else "time" if field in TIMES else "flag" if field in FLAGS else ""
        if not kind or kinds[kind] is None:
            raise Failure(400, "INVALID_QUERY_FILTER_OPERATOR", text)
        wanted: Any = re.sub(r"\\(.)", r"\1", string) if string is not None else flag == "true"
        if moment:
            wanted = (datetime.fromisoformat(moment) - EPOCH) // timedelta(milliseconds=1)
        given = record[field]
        if field == "Id" and operator == "=":
            return bool(given[:15] == wanted[:15])
        return bool({"=": given == wanted, ">=": given >= wanted, "<": given < wanted, ">": given > wanted}[operator])

    def _shown(self, object: str, record: dict[str, Any], plain: list[str], inner: dict[str, list[str]]) -> Any:
        shown: dict[str, Any] = {"attributes": {"type": object, "url": f"/services/data/sobjects/{record['Id']}"}}
        for field in plain:
            name, _, part = field.partition(".")
            value = record.get(name)
            if part and value is not None:
                value = {"attributes": {"type": name}, part: value.get(part)}
            elif name == "SystemModstamp":
                time = EPOCH + timedelta(milliseconds=record[name])
                value = time.isoformat(timespec="milliseconds").replace("+00:00", "+0000")
            shown[name] = value
        for child, fields in inner.items():
            names = {field.partition(".")[0] for field in fields}
            lines = [{name: line.get(name) for name in names} for line in record[child] if not line["IsDeleted"]]
            shown[child] = self._page(lines, self.lines_batch) if lines else None
        return shown

    def _page(self, rows: list[Any], most: int) -> Any:
        page: dict[str, Any] = {"totalSize": len(rows), "done": len(rows) <= most, "records": rows[:most]}
        if len(rows) > most:
            locator = f"01g{secrets.token_hex(6)}-{most}"
            self._rest[locator] = (rows[most:], most)
            page["nextRecordsUrl"] = f"/services/data/v60.0/query/{locator}"
        return page

    def _change(self, object: str, id: str, fields: dict[str, Any]) -> None:
        record = self.records.get(id)
        if record is None or object != {"801": "Order", "006": "Opportunity"}.get(id[:3]):
            raise Failure(404, "NOT_FOUND", "The requested resource does not exist")
        for name, value in fields.items():
            if name not in ("Ticket__c", "Problem__c"):
                raise Failure(400, "INVALID_FIELD_FOR_INSERT_UPDATE", name)
            if value is not None and not (isinstance(value, str) and len(value) <= 255):
                raise Failure(400, "STRING_TOO_LONG", name)
        self.changes += 1
        record.update(fields)
        record["SystemModstamp"] += 1000


@contextmanager
def running() -> Iterator[Organization]:
    """The organization, while it runs."""
    organization = Organization()
    with listening(organization) as organization.url:
        yield organization
