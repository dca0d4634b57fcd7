"""A reply as text: values by name, lists as tables. Names are those of the JSON, so that one learns them."""

from __future__ import annotations

import json
import re
import shutil
from typing import Any

import msgspec

from licentia.contract import Reply, Request
from licentia.contract.tables import lists_of

WIDEST = 72
"""Characters of a long value, such as a token, that are shown."""

EMPTY: tuple[Any, ...] = (None, [], "")

LABELS = ("product_code", "sku", "license_id", "order_number")
"""What names a nested thing where there is no room for all of it; in its own table it comes first."""

COLUMNS = {
    "events": ("event_id", "at", "kind", "actor", "data"),
    "leases": ("lease_id", "product_code", "user", "station", "feature", "seats", "expires_at"),
    "licenses": (
        "license_id", "product_code", "name", "license_model", "quantity", "available", "state",
        "seats_in_use", "seats_total", "units_remaining", "units_total", "expires_at",
        "start", "checkouts", "denials", "seat_seconds", "peak",
    ),
    "webhooks": ("webhook_id", "endpoint_url", "kinds", "state", "waiting", "failed", "failing_since", "reason"),
    "plugins": ("kind", "name", "version", "distribution", "state", "capabilities", "reason"),
}  # fmt: skip
"""What is shown of the rows of a wide list; the JSON has all."""

_FRACTION = re.compile(r"(?<=T\d\d:\d\d:\d\d)\.\d+(?=Z$)")


def render(reply: Reply) -> str:
    """All of a reply that a person reads. Absent values are left out, times end at the second."""
    values = msgspec.to_builtins(reply)
    values.pop("next_cursor", None)
    lists = {name: values.pop(name) for name in lists_of(type(reply)) if name in values}
    pairs = _pairs(values)
    blocks = [_aligned(pairs)] if pairs else []
    optional = {field.encode_name for field in msgspec.structs.fields(reply) if not field.required}
    for name, rows in lists.items():
        if not rows and name in optional:
            continue
        titled = f"{name}\n" if rows and (pairs or len(lists) > 1) else ""
        blocks.append(titled + (table(rows, COLUMNS.get(name)) if rows else f"No {name}."))
    return "\n\n".join(blocks)


def table(rows: list[dict[str, Any]], columns: tuple[str, ...] | None = None) -> str:
    """Rows under their names; each row downwards where they are wider than the terminal."""
    ordered = columns or sorted(rows[0], key=lambda name: name not in LABELS)
    names = [name for name in ordered if any(row.get(name) not in EMPTY for row in rows)]
    cells = [names, *([_cell(row[name]) for name in names] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    if sum(widths) + 2 * len(widths) - 2 > shutil.get_terminal_size((160, 24)).columns:
        return "\n\n".join(_aligned(_pairs({name: row[name] for name in names})) for row in rows)
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in cells)


def more_pages(request: Request, reply: Reply | None) -> str:
    """How to read on, where a page is not the last."""
    cursor = None if reply is None else next_page(request, reply)
    return f"More: --cursor {cursor}" if cursor else ""


def next_page(request: Request, reply: Reply) -> str | None:
    """The cursor of the page that follows; None after the last, or where there are no pages."""
    cursor: str | None = getattr(reply, "next_cursor", None)
    rows = sum(len(getattr(reply, name)) for name in lists_of(type(reply)))
    return cursor if cursor and rows == getattr(request, "limit", None) else None


def next_command(template: str, reply: Reply | None) -> str:
    """The command that comes next, if the reply has what it names."""
    if not template or reply is None:
        return ""
    present = {name: value for name, value in msgspec.to_builtins(reply).items() if value is not None}
    try:
        return "Next: " + template.format_map(present)
    except KeyError:
        return ""


def _pairs(values: dict[str, Any]) -> list[tuple[str, str]]:
    """Names and values; a nested struct is told as `struct.field`."""
    pairs: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, dict) and name != "data":
            pairs += [(f"{name}.{inner}", shown) for inner, shown in _pairs(value)]
        elif value not in EMPTY:
            pairs.append((name, _cell(value)))
    return pairs


def _aligned(pairs: list[tuple[str, str]]) -> str:
    width = max(len(name) for name, _ in pairs)
    return "\n".join(f"{name:{width}}  {value}" for name, value in pairs)


def _cell(value: Any) -> str:
    match value:
        case None | "":
            return "-"
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(_label(each) for each in value) or "-"
        case dict():
            return _cut(json.dumps(value, ensure_ascii=False))
        case str():
            return _cut(_FRACTION.sub("", value))
        case _:
            return str(value)


def _label(value: Any) -> str:
    if isinstance(value, dict) and {*value} == {"name", "value"}:
        return f"{value['name']}={value['value']}"
    return next((str(value[name]) for name in LABELS if name in value), "-") if isinstance(value, dict) else str(value)


def _cut(text: str) -> str:
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 3]}..."
