"""The contract as SOAP sees it: element names, order, how often, and of which type.

A `Shape` is derived from a struct of `licentia.contract`. The published schema and the codec are
both made from it, so that they cannot disagree.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import inspect

from licentia.contract import types
from licentia.contract.operation import Service

Kind = Literal["string", "integer", "boolean", "time", "json"]


@dataclass(frozen=True)
class Scalar:
    """A value without children. `name` is that of its published type; without one it has no bounds."""

    kind: Kind
    name: str | None = None
    values: tuple[str, ...] = ()
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    minimum: int | None = None
    maximum: int | None = None


@dataclass(frozen=True)
class Field:
    """One element. `maximum` None is without end; `required` is whether the contract must have it.

    A required list may be empty, and an empty list has no element: `minimum` is 0 then.
    """

    attribute: str
    json_name: str
    xml_name: str
    type: Scalar | Shape
    description: str
    required: bool
    repeated: bool
    minimum: int
    maximum: int | None


@dataclass(frozen=True, eq=False)
class Shape:
    """A struct: its fields are child elements, in this order. There is one of each, compared by identity."""

    name: str
    description: str
    fields: tuple[Field, ...]


def namespace(service: Service) -> str:
    """The target namespace of a service's messages and types."""
    return f"urn:licentia:{service}:1"


def camel(json_name: str) -> str:
    """The element name of a JSON name: `order_number` is `orderNumber`."""
    return re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), json_name)


def snake(xml_name: str) -> str:
    """The JSON name that an element name, known or not, stands for: `orderNumber` is `order_number`."""
    return re.sub(r"(?<!^)([A-Z])", r"_\1", xml_name).lower()


@cache
def shape(struct: type[msgspec.Struct]) -> Shape:
    """The shape of a struct of the contract."""
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)
    hints = get_type_hints(struct, include_extras=True)
    fields = tuple(
        _field(field, _published_name(hints[field.name]) or _declarer(struct, field.name)) for field in info.fields
    )
    return Shape(struct.__name__, _summary(struct), fields)


def _field(field: inspect.Field, type_name: str) -> Field:
    description = ""
    extra: dict[str, Any] = {}
    declared = field.type
    minimum = int(field.required)
    maximum: int | None = 1
    repeated = False
    while True:
        if isinstance(declared, inspect.Metadata):
            description = description or (declared.extra_json_schema or {}).get("description", "")
            extra = declared.extra or extra
            declared = declared.type
        elif isinstance(declared, inspect.UnionType):
            (declared,) = (member for member in declared.types if not isinstance(member, inspect.NoneType))
        elif isinstance(declared, inspect.ListType):
            repeated, maximum = True, declared.max_length
            minimum = (declared.min_length or 0) if field.required else 0
            declared = declared.item_type
        else:
            break
    return Field(
        attribute=field.name,
        json_name=field.encode_name,
        xml_name=camel(field.encode_name),
        type=_type(declared, extra, type_name),
        description=_with_default(description, field),
        required=field.required,
        repeated=repeated,
        minimum=minimum,
        maximum=maximum,
    )


def _type(declared: inspect.Type, extra: dict[str, Any], name: str) -> Scalar | Shape:
    match declared:
        case inspect.StructType(cls=struct):
            return shape(struct)
        case inspect.StrType(min_length=None, max_length=None, pattern=None):
            return Scalar("string")
        case inspect.StrType():
            return Scalar(
                "string",
                name,
                min_length=declared.min_length,
                max_length=declared.max_length,
                pattern=_xsd_pattern(extra.get("xsd_pattern")),
            )
        case inspect.LiteralType():
            return Scalar("string", name, values=tuple(str(value) for value in declared.values))
        case inspect.IntType():
            return Scalar("integer", name, minimum=declared.ge, maximum=declared.le)
        case inspect.BoolType():
            return Scalar("boolean")
        case inspect.DateTimeType():
            return Scalar("time")
        case inspect.DictType():
            return Scalar("json")
    raise TypeError(f"{name}: the contract uses {declared}, which SOAP cannot carry yet")


def _xsd_pattern(pattern: str | None) -> str | None:
    r"""XML Schema knows no `\uXXXX` in a pattern: the character itself stands there."""
    return pattern and re.sub(r"\\u([0-9a-f]{4})", lambda match: chr(int(match[1], 16)), pattern)


def _with_default(description: str, field: inspect.Field) -> str:
    if isinstance(field.default, bool):
        return f"{description} Absent: {str(field.default).lower()}.".strip()
    if isinstance(field.default, str | int):
        return f"{description} Absent: {field.default}.".strip()
    return description


def _summary(struct: type[msgspec.Struct]) -> str:
    return re.sub(r"\s*\n\s*", " ", (struct.__doc__ or "").strip())


def _published_name(hint: Any) -> str | None:
    """The name that `licentia.contract.types` gives the type within this annotation, if any."""
    if get_origin(hint) is Literal:
        return _LITERALS.get(hint)
    if get_origin(hint) is Annotated:
        for meta in hint.__metadata__:
            if id(meta) in _ALIASES:
                return _ALIASES[id(meta)]
        return _published_name(hint.__origin__)
    return next(filter(None, map(_published_name, get_args(hint))), None)


def _declarer(struct: type[msgspec.Struct], attribute: str) -> str:
    """A name for a type that has none of its own: that of its field within the struct that declares it first."""
    owner = next(base for base in reversed(struct.__mro__) if attribute in vars(base).get("__annotations__", {}))
    name = camel(attribute)
    return owner.__name__ + name[0].upper() + name[1:]


_ALIASES = {id(alias.__metadata__[0]): name for name, alias in vars(types).items() if get_origin(alias) is Annotated}
_LITERALS = {alias: name for name, alias in vars(types).items() if get_origin(alias) is Literal}
