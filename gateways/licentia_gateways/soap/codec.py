"""From an element to plain values, and from a reply to XML: made once per type from its shape.

Reading does not judge. Whatever stands in the element comes out under its JSON name, so that the
contract can say what is wrong with it in the words it has for REST.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec
from lxml import etree

from licentia_gateways.soap.shape import Field, Kind, Scalar, Shape, snake

Read = Callable[[etree._Element], Any]
Write = Callable[[Any], str]

_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_UNSAFE = re.compile("[&<>\r\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}


@cache
def reader(model: Shape, namespace: str) -> Read:
    """A function that reads an element of this shape: `{json name: value}`.

    Numbers, truth values and times lose the white space around them, in the element too, because
    libxml2 does not collapse it in all types; strings are kept exactly. An element that stands twice
    where it may stand once becomes a list, one with children where text belongs becomes a mapping:
    the contract refuses both. A known name in a foreign namespace is read as known. Reading ends at a
    name that is not known, in its JSON form, as the contract goes no further either.
    """
    fields = [(field, _field_reader(field, namespace)) for field in model.fields]
    by_tag = {f"{{{namespace}}}{field.xml_name}": (field.json_name, field.repeated, read) for field, read in fields}
    by_name = {entry[0]: entry for entry in by_tag.values()}
    lists = tuple(field.json_name for field in model.fields if field.repeated and field.required)

    def read_struct(element: etree._Element) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for child in element:
            known = by_tag.get(child.tag)
            if known is None:
                name = snake(etree.QName(child).localname)
                known = by_name.get(name)
                if known is None:
                    values[name] = ""
                    return values
            name, repeated, read = known
            if repeated:
                values.setdefault(name, []).append(read(child))
            else:
                values[name] = [] if name in values else read(child)
        for name in lists:
            values.setdefault(name, [])
        return values

    return read_struct


def _field_reader(field: Field, namespace: str) -> Read:
    if isinstance(field.type, Shape):
        return reader(field.type, namespace)
    return {"integer": _read_integer, "boolean": _read_boolean, "time": _read_collapsed}.get(
        field.type.kind, _read_text
    )


def _read_text(element: etree._Element) -> Any:
    return {} if len(element) else element.text or ""


def _read_collapsed(element: etree._Element) -> Any:
    if len(element):
        return {}
    text = element.text or ""
    if text != (collapsed := text.strip(" \t\r\n")):
        element.text = collapsed
    return collapsed


def _read_boolean(element: etree._Element) -> Any:
    """A boolean of XSD (Part 2, section 3.2.2), which may also be 1 or 0."""
    text = _read_collapsed(element)
    return _BOOLEANS.get(text, text) if isinstance(text, str) else text


def _read_integer(element: etree._Element) -> Any:
    text = _read_collapsed(element)
    return int(text) if isinstance(text, str) and _INTEGER.fullmatch(text) else text


@cache
def writer(model: Shape) -> Write:
    """A function that gives the fields of a struct of this shape as elements, without a namespace prefix."""
    steps = [(field.attribute, _field_writer(field)) for field in model.fields]

    def write_struct(value: Any) -> str:
        out = []
        for attribute, write in steps:
            content = getattr(value, attribute)
            if content is not None:
                out.append(write(content))
        return "".join(out)

    return write_struct


def _field_writer(field: Field) -> Write:
    opening, closing = f"<{field.xml_name}>", f"</{field.xml_name}>"
    write = _TEXTS[field.type.kind] if isinstance(field.type, Scalar) else writer(field.type)
    if field.repeated:
        return lambda values: "".join([f"{opening}{write(value)}{closing}" for value in values])
    return lambda value: f"{opening}{write(value)}{closing}"


def escape(text: str) -> str:
    """Text as it may stand in an element; what XML 1.0 cannot carry (section 2.2, Char) becomes U+FFFD."""
    if text.isprintable() and "&" not in text and "<" not in text and ">" not in text:  # most texts, and twice as fast
        return text
    return _UNSAFE.sub(lambda match: _ENTITIES.get(match[0], "\ufffd"), text)


def _json(value: Any) -> str:
    return escape(msgspec.json.encode(value).decode())


_TEXTS: dict[Kind, Callable[[Any], str]] = {
    "string": escape,
    "integer": str,
    "boolean": lambda value: "true" if value else "false",
    "time": msgspec.to_builtins,  # as REST writes it
    "json": _json,
}
