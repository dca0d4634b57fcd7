"""A small valid request of each operation, for the reference pages: only what is required, named after its field."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from licentia.contract import Operation
from licentia_gateways.rest import schemas


def path(operation: Operation) -> str:
    """The operation's path with a value in each place."""
    return operation.path.format_map({name: quote(_word(name)) for name in operation.path_fields})


def body(operation: Operation) -> dict[str, Any] | None:
    """The operation's body; None if it has none, or needs none."""
    fields = [field for field in schemas.fields(operation) if field.place == "body" and field.required]
    named = schemas.components()
    return {field.name: _value(field.name, field.schema, named) for field in fields} or None


def _value(name: str, schema: schemas.Schema, named: dict[str, schemas.Schema]) -> Any:
    if "$ref" in schema:
        referred = named[schemas.name_of(schema)]
        return {member: _value(member, referred["properties"][member], named) for member in referred["required"]}
    match schema.get("type"):
        case "array":
            return [_value(name.removesuffix("s"), schema["items"], named)]
        case "integer":
            return schema.get("minimum", 1)
    return _word(name)


def _word(name: str) -> str:
    return name.replace("_", "-")
