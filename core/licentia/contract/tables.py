"""A listing as a table: comma-separated values (RFC 4180), with the names that the JSON has."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import msgspec

from licentia.contract.operation import Operation, Reply

_FORMULAS = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet takes a text that begins so for a formula (OWASP, "CSV Injection")."""


def is_listing(operation: Operation) -> bool:
    """Whether what it replies is rows, which come in pages."""
    return "cursor" in operation.request.__struct_fields__


def lists_of(reply: type[Reply]) -> list[str]:
    """The fields of a reply that hold a list of structs."""
    return [name for name, kind in _fields(reply) if _rows(kind) is not None]


def as_csv(reply: Reply, *, names: bool = True) -> str:
    """All rows of a listing, below a line of their names. Of several lists, the first column says which.

    Times are as in the JSON, what is absent is empty. A list in a row is told apart by spaces, the
    values of a struct in it by colons. A text that a spreadsheet would take for a formula has an
    apostrophe before it.
    """
    lists = {name: rows for name, kind in _fields(type(reply)) if (rows := _rows(kind)) is not None}
    columns = [*dict.fromkeys(name for rows in lists.values() for name in _columns(rows))]
    if len(lists) > 1:
        columns.insert(0, "list")
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="")
    if names:
        writer.writeheader()
    told = msgspec.to_builtins(reply)
    for name in lists:
        for row in told[name]:
            cells = {column: _cell(value) for column, value in row.items()}
            writer.writerow({"list": name, **cells} if len(lists) > 1 else cells)
    return text.getvalue()


def _fields(struct: type[msgspec.Struct]) -> list[tuple[str, msgspec.inspect.Type]]:
    info = msgspec.inspect.type_info(struct)
    assert isinstance(info, msgspec.inspect.StructType)
    return [(field.encode_name, field.type) for field in info.fields]


def _rows(kind: msgspec.inspect.Type) -> type[msgspec.Struct] | None:
    """The struct that a list of the type holds."""
    while isinstance(kind, msgspec.inspect.Metadata):
        kind = kind.type
    if isinstance(kind, msgspec.inspect.ListType) and isinstance(kind.item_type, msgspec.inspect.StructType):
        return kind.item_type.cls
    return None


def _columns(struct: type[msgspec.Struct]) -> list[str]:
    """The names of a struct, its own before those of its base."""
    return sorted((name for name, _ in _fields(struct)), key=lambda name: name not in struct.__annotations__)


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case str():
            return f"'{value}" if value.startswith(_FORMULAS) else value
        case list():
            return " ".join(
                ":".join(map(_cell, each.values())) if isinstance(each, dict) else _cell(each) for each in value
            )
    return json.dumps(value, ensure_ascii=False)
