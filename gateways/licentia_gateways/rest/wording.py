"""Schemas and docstrings in words, as HTML."""

from __future__ import annotations

import re
from html import escape

from licentia_gateways.rest.schemas import Schema, name_of


def prose(text: str) -> str:
    """Paragraphs of a docstring; what stands in backticks is code."""
    paragraphs = [" ".join(part.split()) for part in text.strip().split("\n\n")]
    return "".join(f"<p>{inline(part)}</p>" for part in paragraphs if part)


def inline(text: str) -> str:
    """One line of text; what stands in backticks is code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def code(text: str) -> str:
    """A word of the interface."""
    return f"<code>{escape(text)}</code>"


def kind(schema: Schema) -> str:
    """The type and the bounds of a value."""
    if "$ref" in schema:
        return f'<a href="#{escape(name_of(schema))}">{escape(name_of(schema))}</a>'
    if "anyOf" in schema:
        return kind(next(choice for choice in schema["anyOf"] if choice != {"type": "null"}))
    if "enum" in schema:
        return "one of " + ", ".join(code(value) for value in schema["enum"])
    match schema["type"]:
        case "array":
            many = _range(schema.get("minItems"), schema.get("maxItems"))
            return f"list of {many}: {kind(schema['items'])}" if many else f"list of {kind(schema['items'])}"
        case "string" if schema.get("format") == "date-time":
            return "time"
        case "string":
            return " ".join(filter(None, ["text", _length(schema), _form(schema)]))
        case "integer":
            return f"integer {_range(schema.get('minimum'), schema.get('maximum'))}"
    return str(schema["type"])


def default(schema: Schema) -> str:
    """The value of a field that is absent, where that is not just nothing."""
    value = schema.get("default")
    if value is None or value == []:
        return ""
    return f"Absent: {code(str(value))}."


def _length(schema: Schema) -> str:
    span = _range(schema.get("minLength"), schema.get("maxLength"))
    return f"of {span} characters" if span else ""


def _form(schema: Schema) -> str:
    """The pattern, where it is more than the exclusion of control characters."""
    pattern = schema.get("pattern", "").removeprefix("^(?:").removesuffix(")$")
    return "" if not pattern or pattern.startswith("^") else code(pattern)


def _range(low: int | None, high: int | None) -> str:
    match low, high:
        case None, None:
            return ""
        case None, _:
            return f"up to {high:,}"
        case _, None:
            return f"{low:,} or more"
        case 0, _:
            return f"up to {high:,}"
    return f"{low:,} to {high:,}"
