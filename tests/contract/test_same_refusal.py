"""A bad value is refused by REST and by SOAP with the same code and the same pointer.

Every case is made from the contract: a valid request of each operation, with one thing wrong in it.
Some faults exist in only one of the two and are left out, each for the reason given where it happens:

- a number, a truth value or a list in place of a text: all content of an XML element is text, and a
  list of one is written like a single value;
- a text in place of a structure: XML has it as a structure with text between its elements;
- an empty list where the list may be absent: in XML that is the same;
- a control character in a free text: XML 1.0 cannot carry it;
- an absent or empty field of a REST path, and null in a path or a query: that is another address;
- a structure in a path or a query.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

import httpx
import msgspec
import pytest
import pytest_asyncio
from lxml import etree
from msgspec import inspect

from licentia.contract import OPERATIONS, Operation, parse
from licentia.services.application import Application
from licentia.services.identity import SCOPES
from licentia.settings import Settings
from licentia_gateways.app import create_app
from licentia_gateways.soap.shape import camel

pytestmark = pytest.mark.asyncio(loop_scope="module")

ABSENT = object()
NULL = None
XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
STRANGER = "unknown_field"
Path_ = tuple[str | int, ...]


@dataclass(frozen=True)
class Case:
    """One wrong value: where it stands, and what the pointer has to be."""

    what: str
    path: Path_
    value: Any

    @property
    def pointer(self) -> str:
        """The JSON pointer at the fault."""
        return "".join(f"/{step}" for step in self.path)


def plain(declared: inspect.Type) -> inspect.Type:
    """A type without its metadata and without null."""
    while True:
        if isinstance(declared, inspect.Metadata):
            declared = declared.type
        elif isinstance(declared, inspect.UnionType):
            (declared,) = (member for member in declared.types if not isinstance(member, inspect.NoneType))
        else:
            return declared


def valid(declared: inspect.Type) -> Any:
    """A value that the contract takes."""
    match plain(declared):
        case inspect.StructType(fields=fields):
            return {field.encode_name: valid(field.type) for field in fields}
        case inspect.ListType(item_type=item):
            return [valid(item)]
        case inspect.LiteralType(values=values):
            return values[0]
        case inspect.IntType(ge=low):
            return low
        case inspect.BoolType():
            return True
        case inspect.DateTimeType():
            return "2026-11-24T02:00:00Z"
        case inspect.StrType():
            return "abcd"
    raise AssertionError(f"the generator does not know {declared}")


def wrong(declared: inspect.Type, path: Path_) -> Iterator[Case]:
    """Everything that can be wrong with a value of this type."""
    match plain(declared):
        case inspect.StructType(fields=fields):
            yield Case("unknown field", (*path, STRANGER), "x")
            for field in fields:
                inner = (*path, field.encode_name)
                if field.required:
                    yield Case("missing", inner, ABSENT)
                    yield Case("null", inner, NULL)
                    if isinstance(plain(field.type), inspect.ListType):
                        yield Case("too few", inner, [])
                yield from wrong(field.type, inner)
        case inspect.ListType(item_type=item, max_length=many):
            if many is not None:
                yield Case("too many", path, [valid(item)] * (many + 1))
            yield from wrong(item, (*path, 0))
        case inspect.LiteralType():
            yield Case("not one of the words", path, "x")
            yield Case("structure for a word", path, {STRANGER: "x"})
        case inspect.IntType(ge=low, le=high):
            assert low is not None
            assert high is not None
            for number in (low - 1, high + 1, 10**30, -(10**30)):
                yield Case("out of range", path, number)
            for text in ("many", "", "1.5", "1e400", "0x1", "1_000", "٣"):
                yield Case("text for a number", path, text)
            yield Case("structure for a number", path, {STRANGER: "x"})
        case inspect.BoolType():
            for text in ("yes", "", "TRUE", "2"):
                yield Case("text for yes or no", path, text)
            yield Case("structure for yes or no", path, {STRANGER: "x"})
        case inspect.DateTimeType():
            for text in ("yesterday", "", "2026-11-24T02:00:00", "2026-11-24", "2026-02-30T00:00:00Z", "02:00:00Z"):
                yield Case("text for a time", path, text)
            yield Case("structure for a time", path, {STRANGER: "x"})
        case inspect.StrType(min_length=low, max_length=high, pattern=pattern):
            if low:
                yield Case("too short", path, "")
            assert high is not None
            yield Case("too long", path, "a" * (high + 1))
            assert pattern is not None
            for text in ("a b", "é", "a/b", "abcd\n", " abcd"):
                if not re.search(pattern, text):
                    yield Case("wrong form", path, text)
            yield Case("structure for a text", path, {STRANGER: "x"})


def expressible(case: Case, operation: Operation) -> bool:
    """Whether REST can say this; what SOAP cannot say is never made."""
    in_path = case.path[0] in operation.path_fields
    in_query = operation.method in ("GET", "DELETE") and not in_path
    if in_path and (case.what in ("missing", "too short") or case.value == "a/b"):
        return False  # that is another address
    # An address has no null and no structures.
    return not ((in_path or in_query) and (case.what == "null" or case.what.startswith("structure")))


def applied(case: Case, values: dict[str, Any]) -> dict[str, Any]:
    """The values with the fault in them."""
    changed: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(values))
    holder: Any = changed
    for step in case.path[:-1]:
        holder = holder[step]
    if case.value is ABSENT:
        del holder[case.path[-1]]
    else:
        holder[case.path[-1]] = case.value
    return changed


def xml(name: str, value: Any) -> str:
    """A value as elements; a list is repeated, null is nil."""
    if isinstance(value, list):
        return "".join(xml(name, entry) for entry in value)
    if value is None:
        return f'<{camel(name)} xsi:nil="true"/>'
    if isinstance(value, dict):
        content = "".join(xml(inner, entry) for inner, entry in value.items())
    else:
        content = escape(str(value).lower() if isinstance(value, bool) else str(value))
    return f"<{camel(name)}>{content}</{camel(name)}>"


async def by_rest(client: httpx.AsyncClient, operation: Operation, values: dict[str, Any]) -> tuple[str, list[str]]:
    """The code and the pointers of REST's refusal."""
    address = operation.path
    others = dict(values)
    for name in operation.path_fields:
        address = address.replace("{" + name + "}", quote(str(others.pop(name)), safe=""))
    if operation.method in ("GET", "DELETE"):
        answer = await client.request(operation.method, address, params=others)
    else:
        answer = await client.request(operation.method, address, json=others)
    problem = answer.json()
    return problem["code"], [error["pointer"] for error in problem.get("errors", [])]


async def by_soap(client: httpx.AsyncClient, operation: Operation, values: dict[str, Any]) -> tuple[str, list[str]]:
    """The code and the pointers of SOAP's refusal."""
    fields = "".join(xml(name, value) for name, value in values.items())
    message = (
        f'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" {XSI}><s:Body>'
        f'<{operation.name} xmlns="urn:licentia:{operation.service}:1">{fields}</{operation.name}>'
        "</s:Body></s:Envelope>"
    )
    headers = {"Content-Type": "text/xml; charset=utf-8"}
    answer = await client.post(f"/soap/{operation.service}", content=message.encode(), headers=headers)
    fault = etree.fromstring(answer.content)
    code = fault.findtext(".//{*}LicensingFault/{*}code")
    pointers = fault.findall(".//{*}LicensingFault/{*}errors/{*}pointer")
    return code or answer.text, [pointer.text or "" for pointer in pointers]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    """A client of both gateways, with a key for everything and room for the longest field."""
    application = await Application.open(Settings(data=tmp_path_factory.mktemp("data"), body_limit_bytes=2**20))
    _, key = await application.create_key(SCOPES)
    transport = httpx.ASGITransport(create_app(application), client=("127.0.0.1", 4711))
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as opened:
        yield opened
    await application.close()


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
async def test_a_bad_value_is_refused_alike(client: httpx.AsyncClient, operation: Operation) -> None:
    """Each fault of each field gives `invalid_request` and a pointer at it, over REST and over SOAP."""
    model = inspect.type_info(operation.request)
    good = valid(model)
    parse(operation, good)  # the fault that follows is the only one
    differences = []
    for case in wrong(model, ()):
        if expressible(case, operation):
            values = applied(case, good)
            rest = await by_rest(client, operation, values)
            soap = await by_soap(client, operation, values)
            if not (rest == soap == ("invalid_request", [case.pointer])):
                differences.append((case.what, case.pointer, str(case.value)[:40], rest, soap))
    assert not differences, "\n".join(map(str, differences))
