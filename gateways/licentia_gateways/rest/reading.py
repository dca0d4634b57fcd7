"""From an HTTP request to the values of an operation's fields, all under their JSON names."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec
from starlette.types import Receive, Scope

from licentia.contract import Operation, Request, parse
from licentia.errors import InvalidRequest, UnsupportedMediaType
from licentia_gateways.received import body, header

_JSON = re.compile(r"application/(?:[\w.+-]+\+)?json(?:\s*;\s*charset=\"?utf-8\"?)?\s*", re.IGNORECASE | re.ASCII)
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


async def read(operation: Operation, scope: Scope, receive: Receive, limit: int) -> Request:
    """The checked request that this HTTP request makes.

    Raises:
        InvalidRequest: a value is missing, unknown, given twice or out of its bounds.
        PayloadTooLarge, UnsupportedMediaType: the body is not taken.
    """
    values = _path(scope)
    query = _query(scope)
    if operation.method in ("GET", "DELETE"):
        _add(values, query, "has its place in the path, not in the query")
        return parse(operation, values, text=True)
    for name, _ in query:
        raise InvalidRequest.at(_pointer(name), "this operation takes no query parameters")
    _add(values, (await _document(scope, receive, limit)).items(), "has its place in the path, not in the body")
    return parse(operation, values)


def _path(scope: Scope) -> dict[str, Any]:
    """The path's values. A server replaces what is no UTF-8; two such paths must not mean one thing."""
    values: dict[str, Any] = dict(scope["path_params"])
    if _REPLACEMENT in scope["path"]:
        try:
            unquote_to_bytes(scope["raw_path"]).decode("utf-8")
        except UnicodeDecodeError:
            name = next(name for name, value in values.items() if _REPLACEMENT in value)
            raise InvalidRequest.at(_pointer(name), "this is not UTF-8") from None
    return values


def _query(scope: Scope) -> list[tuple[str, str]]:
    if not scope["query_string"]:
        return []
    try:
        pairs = parse_qsl(
            scope["query_string"].decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=100
        )
    except ValueError:
        raise InvalidRequest.at("", "the query is not UTF-8, percent-encoded, or has over 100 parameters") from None
    names: set[str] = set()
    for name, _ in pairs:
        if name in names:
            raise InvalidRequest.at(_pointer(name), "this parameter was given twice")
        names.add(name)
    return pairs


async def _document(scope: Scope, receive: Receive, limit: int) -> dict[str, Any]:
    """The body: a JSON object (RFC 8259), or nothing, which stands for an object without members."""
    content = await body(scope, receive, limit)
    if not content:
        return {}
    if not _JSON.fullmatch(header(scope, b"content-type") or ""):
        raise UnsupportedMediaType("The body has to be application/json in UTF-8, and Content-Type has to say so.")
    try:
        document = msgspec.json.decode(content)
        _NO_NAME_TWICE(content.decode("utf-8"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, _NameTwice) as error:
        raise InvalidRequest.at("", _fault(error)) from None
    if not isinstance(document, dict):
        raise InvalidRequest.at("", "the body has to be a JSON object")
    return document


class _NameTwice(Exception):
    """RFC 8259, section 4, leaves open which value counts; two readers may choose differently."""


def _members(pairs: list[tuple[str, Any]]) -> None:
    names = {name for name, _ in pairs}
    if len(names) < len(pairs):
        raise _NameTwice


_NO_NAME_TWICE = json.JSONDecoder(object_pairs_hook=_members).decode


def _fault(error: Exception) -> str:
    match error:
        case UnicodeDecodeError():
            return "the body is not UTF-8"
        case RecursionError():
            return "the body is nested too deeply"
        case _NameTwice():
            return "an object of the body has two members of one name"
    return str(error)


def _add(values: dict[str, Any], more: Any, misplaced: str) -> None:
    for name, value in more:
        if name in values:
            raise InvalidRequest.at(_pointer(name), misplaced)
        values[name] = value


def _pointer(name: str) -> str:
    return "/" + name.replace("~", "~0").replace("/", "~1")
