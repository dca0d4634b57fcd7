"""What the codec writes is valid and comes back as it was, whatever the contract allows in a field."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from licentia.contract import OPERATIONS, Operation, Reply
from licentia_gateways.soap.codec import escape, writer
from licentia_gateways.soap.description import xml_schema
from licentia_gateways.soap.shape import Field, Scalar, Shape, namespace, shape
from licentia_gateways.soap.validation import Validator

CHARACTERS = st.characters(exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"], exclude_characters="\ufffe\uffff")
TIMES = st.datetimes(
    datetime(1900, 1, 1),  # noqa: DTZ001 - the strategy adds the zone
    datetime(2900, 1, 1),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=-9, minutes=-30))]),
)


def values(model: Shape) -> st.SearchStrategy[dict[str, Any]]:
    """Structs of a shape, as a mapping of JSON names."""
    required = {field.json_name: contents(field) for field in model.fields if field.required}
    optional = {field.json_name: contents(field) for field in model.fields if not field.required}
    return st.fixed_dictionaries(required, optional=optional)


def contents(field: Field) -> st.SearchStrategy[Any]:
    """Values of a field, within all its bounds."""
    one = values(field.type) if isinstance(field.type, Shape) else scalars(field.type)
    if not field.repeated:
        return one
    return st.lists(one, min_size=max(field.minimum, 1 - field.required), max_size=min(field.maximum or 3, 3))


def scalars(scalar: Scalar) -> st.SearchStrategy[Any]:
    """Values of a scalar type."""
    match scalar.kind:
        case "integer":
            return st.integers(scalar.minimum, scalar.maximum)
        case "boolean":
            return st.booleans()
        case "time":
            return TIMES
        case "json":
            return st.dictionaries(st.text(CHARACTERS), st.integers() | st.text(CHARACTERS), max_size=3)
    if scalar.values:
        return st.sampled_from(scalar.values)
    if scalar.pattern:
        text = st.from_regex(scalar.pattern, fullmatch=True, alphabet=CHARACTERS)
        return text.filter(lambda text: (scalar.min_length or 0) <= len(text) <= (scalar.max_length or 99))
    return st.text(CHARACTERS | st.sampled_from("\n\t &<>]"), min_size=scalar.min_length or 0, max_size=20)


def element(operation: Operation, name: str, struct: msgspec.Struct) -> etree._Element:
    """The element that the codec writes for a struct."""
    fields = writer(shape(type(struct)))(struct)
    return etree.fromstring(f'<{name} xmlns="{namespace(operation.service)}">{fields}</{name}>'.encode())


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_a_request_survives_the_way(operation: Operation) -> None:
    """Any request of the contract, written as XML, is valid and is read as the same request."""
    validator = Validator(operation.service)

    @given(values(shape(operation.request)))
    def survives(mapping: dict[str, Any]) -> None:
        request = msgspec.convert(mapping, operation.request)
        assert validator.request(operation, element(operation, operation.name, request)) == request

    survives()


@pytest.mark.parametrize(
    "operation", [operation for operation in OPERATIONS if operation.reply], ids=lambda operation: operation.name
)
def test_a_reply_is_as_the_schema_says(operation: Operation) -> None:
    """Any reply of the contract is written as the schema promises."""
    schema = etree.XMLSchema(etree.fromstring(xml_schema(operation.service)))
    reply_type: type[Reply] | None = operation.reply
    assert reply_type is not None

    @given(values(shape(reply_type)))
    def valid(mapping: dict[str, Any]) -> None:
        written = element(operation, f"{operation.name}Response", msgspec.convert(mapping, reply_type))
        assert schema.validate(written), schema.error_log

    valid()


@given(st.text(st.characters()))
def test_any_text_can_be_written(text: str) -> None:
    """Text comes back exactly; a character that XML cannot carry comes back as U+FFFD."""
    root = etree.fromstring(f"<a>{escape(text)}</a>".encode())
    assert root.tag == "a"
    assert not len(root)
    kept = "".join(character if legal(character) else "\ufffd" for character in text)
    assert (root.text or "") == kept


def legal(character: str) -> bool:
    """Whether XML 1.0 can carry the character (section 2.2, Char)."""
    return (
        character in "\t\n\r"
        or "\x20" <= character <= "\ud7ff"
        or "\ue000" <= character <= "\ufffd"
        or character > "\uffff"
    )
