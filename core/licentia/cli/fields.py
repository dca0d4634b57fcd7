"""Parameters of a command, made from the fields of a request."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeGuard

import click
import msgspec
from msgspec import inspect

from licentia.contract.types import Content


class Instant(click.ParamType[datetime]):
    """A time (RFC 3339); a date alone is its start, and without an offset it is UTC."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The time that `value` says."""
        try:
            time = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a time such as 2026-11-24 or 2026-11-24T02:00:00Z", param, ctx)
        return time if time.tzinfo else time.replace(tzinfo=UTC)


class FileContent(click.ParamType[str]):
    """The bytes of a file, in base64."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The content of the file `value`."""
        try:
            return base64.b64encode(Path(value).read_bytes()).decode()
        except OSError as error:
            self.fail(f"{value}: {error.strerror or error}", param, ctx)


_content = inspect.type_info(Content)
assert isinstance(_content, inspect.Metadata)
_CONTENT = _content.type


def fields_of(struct: type[msgspec.Struct]) -> tuple[inspect.Field, ...]:
    """The fields of a request, or of a struct within one."""
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)
    return info.fields


def unwrapped(kind: inspect.Type) -> tuple[inspect.Type, str]:
    """The type without None and annotations, and the description nearest to the field."""
    description = ""
    while isinstance(kind, inspect.Metadata | inspect.UnionType):
        if _is_content(kind):
            description = description or (kind.extra_json_schema or {}).get("description", "")
            break
        if isinstance(kind, inspect.UnionType):
            (kind,) = (each for each in kind.types if not isinstance(each, inspect.NoneType))
        else:
            description = description or (kind.extra_json_schema or {}).get("description", "")
            kind = kind.type
    return kind, description


def _is_content(kind: inspect.Type) -> TypeGuard[inspect.Metadata]:
    """Whether this is base64, whatever it is described as."""
    return isinstance(kind, inspect.Metadata) and kind.type == _CONTENT


def is_nested(field: inspect.Field) -> bool:
    """Whether the field holds structs, for which `forms.py` has a form."""
    kind, _ = unwrapped(field.type)
    item = unwrapped(kind.item_type)[0] if isinstance(kind, inspect.ListType) else kind
    return isinstance(item, inspect.StructType)


def argument(field: inspect.Field) -> click.Argument:
    """A field of the path, as an argument."""
    kind, description = unwrapped(field.type)
    return click.Argument([field.encode_name], type=_click_type(kind), help=description)


def option(field: inspect.Field, name: str | None = None) -> click.Option:
    """Any other field, as an option of its name; a list may be given several times.

    It has no default of its own: what is not given is not sent, and the contract's default holds.
    """
    kind, description = unwrapped(field.type)
    several = isinstance(kind, inspect.ListType)
    if isinstance(kind, inspect.ListType):
        kind = unwrapped(kind.item_type)[0]
    name = name or field.encode_name
    if field.required:
        description += " Required."
    elif field.default not in (msgspec.NODEFAULT, None):
        description += f" Default: {field.default}."
    if several:
        description += " May be repeated."
        name = name.removesuffix("s")
    flag = "--" + name.replace("_", "-")
    declared = [flag, field.encode_name] if name != field.encode_name else [flag]
    if isinstance(kind, inspect.BoolType):
        return click.Option(declared, is_flag=True, default=None, help=description)
    metavar = "N" if isinstance(kind, inspect.IntType) else None
    return click.Option(declared, type=_click_type(kind), multiple=several, metavar=metavar, help=description)


def _click_type(kind: inspect.Type) -> click.ParamType[Any]:
    match kind:
        case inspect.IntType(ge=low, le=high):
            return click.IntRange(low, high)
        case inspect.DateTimeType():
            return Instant()
        case inspect.LiteralType(values=values):
            return click.Choice([str(value) for value in values])
        case inspect.Metadata():
            return FileContent()
        case _:
            return click.STRING
