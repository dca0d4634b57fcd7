"""Turning what a gateway received into a request, or into one clear refusal.

Every gateway ends here, so that a bad value gets the same code and the same pointer everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec

from licentia.contract.operation import Operation, Request
from licentia.errors import InvalidRequest

LONGEST_NAME = 100
"""As much of an unknown field's name as a refusal repeats."""

_AT = re.compile(r"^(?P<what>.*?)(?: - at `(?P<path>\$.*?)`)?$", re.DOTALL)
_FIELD = re.compile(r"Object (?:contains unknown|missing required) field `(?P<name>.*)`$", re.DOTALL)
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")
_INTEGER = re.compile(r"-?[0-9]{1,19}")
_REGEX = re.compile(r" matching regex '\^(?:\(\?:(?P<form>.*)\)|.*)\$\(.*$", re.DOTALL)


def parse(operation: Operation, values: Mapping[str, Any], *, text: bool = False) -> Request:
    """The request that `values` make for this operation.

    `values` holds every field under its JSON name, path and query parameters included. With `text`,
    whole numbers may come as strings, as they do in a query.

    Raises:
        InvalidRequest: a field is unknown, missing, of the wrong type or out of its bounds; the
            error's only problem points at it.
    """
    if text:
        numbers = {name: int(values[name]) for name in _numbers(operation.request) if _is_number(values.get(name))}
        values = {**values, **numbers}
    try:
        return msgspec.convert(values, operation.request)
    except msgspec.ValidationError as error:
        raise _refusal(str(error)) from None


@cache
def _numbers(request: type[Request]) -> tuple[str, ...]:
    """The JSON names of the fields that hold a whole number."""
    fields = msgspec.structs.fields(request)
    kinds = {field.encode_name: msgspec.inspect.type_info(field.type) for field in fields}
    return tuple(name for name, kind in kinds.items() if _is_integer(kind))


def _is_integer(kind: msgspec.inspect.Type) -> bool:
    if isinstance(kind, msgspec.inspect.Metadata):
        return _is_integer(kind.type)
    if isinstance(kind, msgspec.inspect.UnionType):
        return any(map(_is_integer, kind.types))
    return isinstance(kind, msgspec.inspect.IntType)


def _is_number(value: Any) -> bool:
    return isinstance(value, str) and _INTEGER.fullmatch(value) is not None


def _refusal(message: str) -> InvalidRequest:
    """msgspec says `Expected ... - at `$.lines[0].sku``: turn the path into a JSON pointer."""
    match = _AT.match(message)
    what, path = (match["what"], match["path"] or "$") if match else (message, "$")
    steps = [name or index for name, index in _STEP.findall(path)]
    if field := _FIELD.match(what):
        name = field["name"]
        steps.append(name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}...")
        what = "this field is not known here" if "unknown" in what else "this field is required"
    elif what.startswith("Invalid enum value"):  # which would repeat the whole value, whatever it is
        what = "this is not one of the words allowed here"
    pointer = "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)
    return InvalidRequest.at(pointer, _REGEX.sub(_form, what))


def _form(match: re.Match[str]) -> str:
    """What a text has to look like: the published pattern, or what the pattern of free text means."""
    if match["form"] is None:
        return " without control characters"
    return f" of the form {match['form']}".replace("\\\\", "\\")
