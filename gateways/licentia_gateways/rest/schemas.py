"""JSON Schemas (2020-12) of the contract's types, as msgspec gives them and OpenAPI needs them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from inspect import cleandoc
from typing import Any, Literal

import msgspec

from licentia.contract import OPERATIONS, Operation, Reply
from licentia.contract.types import WHOLE
from licentia_gateways.problems import Problem

Schema = dict[str, Any]
Place = Literal["path", "query", "body"]


@dataclass(frozen=True)
class Field:
    """One field of a request: where it stands, and its schema."""

    name: str
    place: Place
    required: bool
    description: str
    schema: Schema


_PREFIX = "#/components/schemas/"


@cache
def components() -> dict[str, Schema]:
    """Every named schema: the bodies, the replies, what they consist of, and the problem."""
    requests = [operation.request for operation in OPERATIONS if has_body(operation)]
    replies = [operation.reply for operation in OPERATIONS if operation.reply]
    types = [*requests, *replies, Problem]
    _, found = msgspec.json.schema_components(types, ref_template=_PREFIX + "{name}")
    schemas = {name: _published(schema) for name, schema in found.items()}
    for operation in OPERATIONS:
        if has_body(operation):
            schemas[operation.request.__name__] = _without(schemas[operation.request.__name__], operation.path_fields)
    for reply in _replies(Reply):
        if reply.__name__ in schemas:
            _always_complete(schemas[reply.__name__])
    return dict(sorted(schemas.items()))


def fields(operation: Operation) -> list[Field]:
    """The fields of the operation's request, in order."""
    _, found = msgspec.json.schema_components([operation.request], ref_template=_PREFIX + "{name}")
    schema = _published(found[operation.request.__name__])
    beside: Place = "body" if has_body(operation) else "query"
    return [
        Field(
            name=name,
            place="path" if name in operation.path_fields else beside,
            required=name in schema["required"],
            description=description(described),
            schema=described,
        )
        for name, described in schema["properties"].items()
    ]


def has_body(operation: Operation) -> bool:
    """Whether the operation takes fields in a JSON body."""
    return operation.method in ("PUT", "POST") and len(msgspec.structs.fields(operation.request)) > len(
        operation.path_fields
    )


def reference(struct: type[msgspec.Struct]) -> Schema:
    """A reference to a named schema."""
    return {"$ref": _PREFIX + struct.__name__}


def name_of(schema: Schema) -> str:
    """The name that a reference refers to."""
    return str(schema["$ref"]).removeprefix(_PREFIX)


def description(schema: Schema) -> str:
    """What a value means, in the words of its field or else of its type."""
    choices = [schema, *schema.get("anyOf", ())]
    return next((choice["description"] for choice in choices if "description" in choice), "")


def _published(schema: Any, keyword: str = "") -> Any:
    """ECMA 262's `$` needs no help at a final newline, and a docstring's indentation is Python's."""
    if isinstance(schema, dict):
        return {name: _published(value, name) for name, value in schema.items()}
    if isinstance(schema, list):
        return [_published(entry) for entry in schema]
    match keyword, schema:
        case "pattern", str():
            return schema.removesuffix(WHOLE)
        case "description", str():
            return cleandoc(schema)
    return schema


def _without(schema: Schema, names: tuple[str, ...]) -> Schema:
    return {
        **schema,
        "properties": {name: value for name, value in schema["properties"].items() if name not in names},
        "required": [name for name in schema["required"] if name not in names],
    }


def _replies(base: type[Reply]) -> list[type[Reply]]:
    return [base, *(deeper for child in base.__subclasses__() for deeper in _replies(child))]


def _always_complete(schema: Schema) -> None:
    """A reply has all its fields; what it cannot say is null, never absent."""
    schema["required"] = list(schema["properties"])
    for described in schema["properties"].values():
        described.pop("default", None)
