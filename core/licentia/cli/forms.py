"""Short forms for the nested parts of a request: order lines, a product's items, a customer, a container."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import msgspec
from msgspec import inspect

from licentia.cli.fields import FileContent, fields_of, unwrapped
from licentia.contract.activations import Container
from licentia.contract.orders import Customer
from licentia.contract.products import Item

Values = dict[str, Any]

_NEXT_PAIR = re.compile(r",(?=\s*[a-z_]+=)")


@dataclass(frozen=True)
class Form:
    """The options that stand for one nested field, and how their values make it; None if none was given."""

    options: Callable[[], list[click.Option]]
    take: Callable[[Values], Any]


def _line_options() -> list[click.Option]:
    return [
        click.Option(
            ["--line", "lines"],
            multiple=True,
            metavar="[LINE_ID:]SKU:QUANTITY",
            help="An order line; without LINE_ID its place, 1 for the first. Required. May be repeated.",
        )
    ]


def _lines(values: Values) -> Any:
    return [_line(text, place) for place, text in enumerate(values.pop("lines"), 1)] or None


def _line(text: str, place: int) -> Values:
    parts = text.split(":")
    if len(parts) not in (2, 3) or not all(parts) or not parts[-1].isdecimal():
        raise click.BadParameter(f"{text!r} is not SKU:QUANTITY or LINE_ID:SKU:QUANTITY.", param_hint="--line")
    return {"line_id": str(place), "sku": parts[-2], "quantity": int(parts[-1])} | (
        {"line_id": parts[0]} if len(parts) == 3 else {}
    )


def _item_options() -> list[click.Option]:
    names = [name for name in ITEM_FIELDS if name != "product_code"]
    return [
        click.Option(
            ["--item", "items"],
            multiple=True,
            metavar="code=CODE[,TERM=VALUE...]",
            help="A product code that is licensed, with its terms; features=a+b is a list. "
            f"Terms: {', '.join(names)}. Required. May be repeated.",
        )
    ]


def _items(values: Values) -> Any:
    return [_item(text) for text in values.pop("items")] or None


def _item(text: str) -> Values:
    item: Values = {}
    for pair in _NEXT_PAIR.split(text):
        name, equals, value = pair.strip().partition("=")
        name = "product_code" if name == "code" else name
        if not equals or name not in ITEM_FIELDS:
            known = ", ".join(ITEM_FIELDS)
            raise click.BadParameter(f"{pair!r} is not TERM=VALUE. Terms: {known}.", param_hint="--item")
        kind, _ = unwrapped(ITEM_FIELDS[name].type)
        item[name] = value.split("+") if isinstance(kind, inspect.ListType) else value
    try:
        made: Values = msgspec.to_builtins(msgspec.convert(item, Item, strict=False))
    except msgspec.ValidationError as error:
        raise click.BadParameter(f"{text!r}: {error}.", param_hint="--item") from None
    return {name: made[name] for name in item}


def _customer_options() -> list[click.Option]:
    return [
        click.Option(["--customer", "customer_id"], help="The customer's id in the business system. Required."),
        click.Option(["--customer-name"], help="The customer's name."),
        click.Option(["--customer-email"], help="The customer's e-mail address."),
    ]


def _customer(values: Values) -> Any:
    return _given(values, {name: f"customer_{name}" for name in Customer.__struct_fields__})


def _container_options() -> list[click.Option]:
    return [
        click.Option(
            ["--container", "container_kind"],
            help="The kind of container. Default: cloud-lite, or act-file with --request.",
        ),
        click.Option(["--user", "container_user"], help="The user it is bound to (cloud-lite)."),
        click.Option(["--container-id", "container_container_id"], help="An existing container."),
        click.Option(["--request", "container_request"], type=FileContent(), help="The container's own request."),
    ]


def _container(values: Values) -> Any:
    given = _given(values, {name: f"container_{name}" for name in Container.__struct_fields__})
    return {"kind": "act-file" if given.get("request") else "cloud-lite", **given} if given else None


def _pairs(field: str, flag: str, help: str) -> Form:
    """A list of names with values, as `--flag NAME=VALUE`."""

    def options() -> list[click.Option]:
        return [click.Option([flag, field], multiple=True, metavar="NAME=VALUE", help=f"{help} May be repeated.")]

    def take(values: Values) -> Any:
        return [_pair(text, flag) for text in values.pop(field)] or None

    return Form(options, take)


def _pair(text: str, flag: str) -> Values:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE.", param_hint=flag)
    if value.startswith("@"):
        try:
            value = Path(value[1:]).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise click.BadParameter(f"{value[1:]}: {error}", param_hint=flag) from None
    return {"name": name, "value": value}


def _given(values: Values, names: dict[str, str]) -> Values | None:
    taken = {name: values.pop(option) for name, option in names.items()}
    return {name: value for name, value in taken.items() if value is not None} or None


ITEM_FIELDS: dict[str, inspect.Field] = {
    field.encode_name: field for field in sorted(fields_of(Item), key=lambda each: not each.required)
}

FORMS: dict[str, Form] = {
    "lines": Form(_line_options, _lines),
    "items": Form(_item_options, _items),
    "customer": Form(_customer_options, _customer),
    "container": Form(_container_options, _container),
    "settings": _pairs(
        "settings",
        "--setting",
        "A setting of its page, as `api.url=https://erp.example.com`; `secret=@FILE` takes it from a file.",
    ),
    "options": _pairs("options", "--option", "An option that was chosen with the article, as `edition=pro`."),
}
