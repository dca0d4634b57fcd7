"""Reading requests: every bad value of every operation is refused by the pointer to it."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import inspect

from licentia.contract import BY_NAME, OPERATIONS, Operation, Request, parse
from licentia.errors import InvalidRequest

Path = tuple[str | int, ...]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def shape(kind: inspect.Type) -> tuple[inspect.Type, dict[str, Any]]:
    """The type without its optional None, and its published extras."""
    extra: dict[str, Any] = {}
    while True:
        if isinstance(kind, inspect.Metadata):
            kind, extra = kind.type, extra | (kind.extra or {})
        elif isinstance(kind, inspect.UnionType):
            (kind,) = (one for one in kind.types if not isinstance(one, inspect.NoneType))
        else:
            return kind, extra


def sample(kind: inspect.Type) -> Any:
    """A good value that fills in every field."""
    kind, _ = shape(kind)
    match kind:
        case inspect.StructType():
            return {field.encode_name: sample(field.type) for field in kind.fields}
        case inspect.ListType():
            return [sample(kind.item_type), sample(kind.item_type)]
        case inspect.IntType():
            return max(kind.ge or 0, 1)
        case inspect.BoolType():
            return True
        case inspect.LiteralType():
            return kind.values[0]
        case inspect.DateTimeType():
            return "2026-05-01T08:00:00Z"
        case inspect.StrType():
            return "abc"
    raise AssertionError(kind)


def leaves(kind: inspect.Type, path: Path = ()) -> Iterator[tuple[Path, inspect.Type, dict[str, Any]]]:
    """Every place in a value, lists by their second entry."""
    kind, extra = shape(kind)
    if path:
        yield path, kind, extra
    if isinstance(kind, inspect.StructType):
        for field in kind.fields:
            yield from leaves(field.type, (*path, field.encode_name))
    elif isinstance(kind, inspect.ListType):
        yield from leaves(kind.item_type, (*path, 1))


def changed(operation: Operation, path: Path, value: Any) -> dict[str, Any]:
    """A good request with one value replaced."""
    values: dict[str, Any] = sample(inspect.type_info(operation.request))
    spot: Any = values
    for step in path[:-1]:
        spot = spot[step]
    spot[path[-1]] = value
    return values


def wrong(kind: inspect.Type, extra: dict[str, Any]) -> Iterator[Any]:
    """Values of each kind that this type must refuse."""
    yield {"colour": "red"} if not isinstance(kind, inspect.StructType) else "text"
    if not isinstance(kind, inspect.BoolType):
        yield True
    match kind:
        case inspect.BoolType():
            yield from (1, "true")
        case inspect.StrType():
            yield 7
            if kind.max_length is not None:
                yield "a" * (kind.max_length + 1)
            yield "a" * kind.min_length + "\x01" if kind.min_length else "\x01"
            if "xsd_pattern" in extra and not re.fullmatch(extra["xsd_pattern"], "abc\n"):
                yield "abc\n"
        case inspect.IntType():
            yield from ("7", 1.5, 10**30, kind.ge - 1 if kind.ge is not None else -(10**30))
            if kind.le is not None:
                yield kind.le + 1
        case inspect.DateTimeType():
            yield from ("2026-05-01T08:00:00", "yesterday", 5, "2026-02-30T00:00:00Z")
        case inspect.LiteralType():
            yield "no such word"
        case inspect.ListType():
            yield "abc"
            if kind.max_length is not None:
                yield [sample(kind.item_type)] * (kind.max_length + 1)
            if kind.min_length:
                yield []


CASES = [
    (operation, path, kind, extra)
    for operation in OPERATIONS
    for path, kind, extra in leaves(inspect.type_info(operation.request))
]


def refusal(operation: Operation, values: Any, *, text: bool = False) -> InvalidRequest:
    """The error that these values give."""
    with pytest.raises(InvalidRequest) as caught:
        parse(operation, values, text=text)
    assert len(caught.value.problems) == 1
    assert caught.value.detail == f"{caught.value.problems[0].pointer or '/'}: {caught.value.problems[0].detail}"
    return caught.value


def pointer(path: Path) -> str:
    """RFC 6901, for names without `/` and `~`."""
    return "".join(f"/{step}" for step in path)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_a_full_request_is_read(operation: Operation) -> None:
    """Every operation takes a request that fills in every field, and reads back what was sent."""
    values = sample(inspect.type_info(operation.request))
    request = parse(operation, copy.deepcopy(values))
    assert isinstance(request, operation.request)
    assert msgspec.to_builtins(request) == values


@pytest.mark.parametrize(
    ("operation", "path", "kind", "extra"), CASES, ids=[f"{case[0].name}{pointer(case[1])}" for case in CASES]
)
def test_a_bad_value_is_pointed_at(operation: Operation, path: Path, kind: inspect.Type, extra: dict[str, Any]) -> None:
    """Wherever a value of a wrong kind or out of its bounds stands, the refusal points exactly there."""
    for value in wrong(kind, extra):
        found = refusal(operation, changed(operation, path, value)).problems[0]
        assert found.pointer == pointer(path), (value, found)
        assert "regex" not in found.detail
        assert "$" not in found.detail


@pytest.mark.parametrize(
    ("name", "values", "at"),
    [
        ("PutProduct", {"sku": "a"}, "/name"),
        ("PutProduct", {"sku": "a", "name": "A"}, "/items"),
        ("PutProduct", {"sku": "a", "name": "A", "items": [{"product_code": "1"}, {}]}, "/items/1/product_code"),
        ("CreateOrder", {"source": "s", "order_number": "1", "customer": {}, "lines": []}, "/customer/id"),
        ("GetUsage", {"from_": "2026-05-01T08:00:00Z"}, "/from_"),
        ("ListProducts", {"colour": "red"}, "/colour"),
        ("ListProducts", {"a/b~c": 1}, "/a~1b~0c"),
        ("ListProducts", {"~1": 1}, "/~01"),
        ("ListProducts", {"a.b[0] `c`": 1}, "/a.b[0] `c`"),
        ("ListProducts", {"line\nbreak": 1}, "/line\nbreak"),
        ("ListProducts", {"": 1}, "/"),
        ("PutProduct", {"sku": "a", "name": "A", "items": [{"product_code": "1", "x/y": 1}]}, "/items/0/x~1y"),
    ],
)
def test_missing_and_unknown_fields_are_named(name: str, values: dict[str, Any], at: str) -> None:
    """A field that is missing or not known is pointed at by its own name, with `/` and `~` escaped (RFC 6901)."""
    found = refusal(BY_NAME[name], values).problems[0]
    assert found.pointer == at
    assert found.detail in ("this field is required", "this field is not known here")


def test_a_refusal_does_not_repeat_the_value() -> None:
    """What was sent in a field may be a secret: the answer says what is expected instead."""
    for name, values in {
        "GetTicket": {"code": "secret!secret"},
        "ActivateTicket": {"code": "A", "container": {"kind": "cloud-lite", "request": "secret!secret"}},
        "CheckoutLicense": {"lease_id": "secret!secret", "product_code": "1", "user": "u"},
        "ListProducts": {"limit": "secret!secret"},
    }.items():
        assert "secret" not in str(refusal(BY_NAME[name], values).detail)


def text_of(value: Any) -> Any:
    """A value as a query carries it."""
    return str(value) if isinstance(value, int) else value


@pytest.mark.parametrize(
    "operation",
    [operation for operation in OPERATIONS if operation.method in ("GET", "DELETE")],
    ids=lambda operation: operation.name,
)
def test_text_mode_reads_numbers_from_strings(operation: Operation) -> None:
    """What a query carries is text; it reads as the same request, and a body is not read in this way."""
    values = sample(inspect.type_info(operation.request))
    text = {name: text_of(value) for name, value in values.items()}
    assert parse(operation, text, text=True) == parse(operation, values)
    if text != values:
        refusal(operation, text)


@pytest.mark.parametrize("typed", ["", "x", "1.5", "0", "501", "0x10", "1_0", "1e2", "1.0", " 1", "\uff11", "9" * 5000])
def test_text_mode_keeps_the_bounds(typed: str) -> None:
    """A number in text is held against the same bounds, by the same pointer."""
    assert refusal(BY_NAME["ListProducts"], {"limit": typed}, text=True).problems[0].pointer == "/limit"


@given(st.integers(-62135000000, 253402000000), st.integers(-23 * 60, 23 * 60))
def test_an_instant_is_read_as_utc(seconds: int, minutes_ahead: int) -> None:
    """An instant may come with any offset, and is kept in UTC."""
    at = EPOCH + timedelta(seconds=seconds)
    shown = at.astimezone(timezone(timedelta(minutes=minutes_ahead))).isoformat()
    request: Any = parse(BY_NAME["GetUsage"], {"to": shown})
    assert request.to == at
    assert request.to.utcoffset() == timedelta(0)


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59-01:00", "0001-01-01T00:00:00+01:00"])
@pytest.mark.parametrize(("name", "path"), [("GetUsage", "/to"), ("PutProduct", "/items/0/expires_at")])
def test_an_instant_beyond_the_calendar_is_refused(name: str, path: str, at: str) -> None:
    """An instant that does not exist in UTC is a wrong value, not a failure of the server."""
    values: dict[str, Any] = {"to": at}
    if name == "PutProduct":
        values = {"sku": "a", "name": "A", "items": [{"product_code": "1", "expires_at": at}]}
    found = refusal(BY_NAME[name], values).problems[0]
    assert found.pointer in (path, path.rpartition("/")[0]), found


def test_a_request_cannot_be_changed() -> None:
    """Requests are frozen, so that what was checked is what is used."""
    request = parse(BY_NAME["GetTicket"], {"code": "abc"})
    assert isinstance(request, Request)
    with pytest.raises(AttributeError):
        request.code = "def"  # type: ignore[attr-defined]


def test_a_refusal_repeats_little_of_what_was_sent() -> None:
    """A huge value or name is refused with its pointer, and not sent back whole."""
    huge = "no:mode>" * 9000
    for extra in ({"mode": huge}, {huge: 1}):
        with pytest.raises(InvalidRequest) as refusal:
            parse(BY_NAME["WithdrawLicense"], {"license_id": "a", "reason": "x", **extra})
        assert len(refusal.value.detail) < 300
