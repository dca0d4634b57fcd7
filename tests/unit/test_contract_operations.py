"""The table of operations and the catalogue of errors: complete, consistent and as the public contract names them."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from licentia.contract import BY_NAME, OPERATIONS, Operation
from licentia.errors import UNIVERSAL, LicensingError, catalogue

PUBLISHED = Path(__file__).parents[3] / "shared" / "CONTRACT.md"
each_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)


@each_operation
def test_path_fields_are_required_request_fields(operation: Operation) -> None:
    """What stands in braces in a path is a field of the request that cannot be left out."""
    required = {field.encode_name for field in msgspec.structs.fields(operation.request) if field.required}
    assert set(operation.path_fields) <= required
    assert len(set(operation.path_fields)) == len(operation.path_fields)
    assert re.fullmatch(r"/v1(/[a-z]+|/\{[a-z_]+\})+", operation.path)


@each_operation
def test_the_handler_is_an_async_use_case(operation: Operation) -> None:
    """Each handler can be imported and is `async def (request, context)` for this operation's types."""
    assert inspect.iscoroutinefunction(operation.run)
    assert list(inspect.signature(operation.run).parameters) == ["request", "context"]
    assert operation.run.__annotations__["request"] == operation.request.__name__
    reply = operation.run.__annotations__["return"]
    assert reply == (operation.reply.__name__ if operation.reply else "None")


@each_operation
def test_methods_mean_what_http_says(operation: Operation) -> None:
    """A GET changes nothing and everything else does; only what has no natural key asks for an idempotency key."""
    assert operation.mutates is (operation.method != "GET")
    assert operation.mutates or not (operation.keyed or operation.creates)
    assert set(operation.errors).isdisjoint(UNIVERSAL)
    assert len(set(operation.errors)) == len(operation.errors)
    assert operation.summary.endswith(".")


def test_names_and_addresses_are_unique() -> None:
    """No two operations share a SOAP name, or a REST address."""
    assert len(BY_NAME) == len(OPERATIONS)
    addresses = Counter((operation.method, re.sub(r"\{\w+\}", "{}", operation.path)) for operation in OPERATIONS)
    assert [address for address, count in addresses.items() if count > 1] == []


def test_the_status_of_a_success() -> None:
    """204 without a reply, 201 for what was created, 200 for the rest, and for a repeat."""
    order = BY_NAME["CreateOrder"]
    assert order.reply is not None
    fields = dict.fromkeys(field.name for field in msgspec.structs.fields(order.reply))
    assert order.status(order.reply(**fields | {"created": True})) == 201
    assert order.status(order.reply(**fields | {"created": False})) == 200
    assert BY_NAME["ReleaseLease"].status(None) == 204
    activation = BY_NAME["ActivateTicket"].reply
    assert activation is not None
    shown = activation(**{field.name: None for field in msgspec.structs.fields(activation)})
    assert BY_NAME["ActivateTicket"].status(shown) == 201
    assert BY_NAME["GetActivation"].status(shown) == BY_NAME["ReturnActivation"].status(shown) == 200


@pytest.mark.parametrize("error", LicensingError.__subclasses__(), ids=lambda error: error.__name__)
def test_every_error_tells_what_to_do(error: type[LicensingError]) -> None:
    """A class has its own code, a status of HTTP, a title and a sentence that says what to do next."""
    for member in ("code", "status", "help"):
        assert member in vars(error)
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", error.code)
    assert 400 <= error.status <= 599
    assert re.fullmatch(r"[^\n]+[.]", error.help)
    assert error.title()
    assert not error.title().endswith(".")


def test_codes_and_titles_are_unique() -> None:
    """A code names one class, and the catalogue holds them all."""
    classes = LicensingError.__subclasses__()
    assert list(catalogue().values()) == classes
    assert len({error.title() for error in classes}) == len(classes)


def test_the_published_codes_exist() -> None:
    """Every code that the public contract lists can be given."""
    if not PUBLISHED.is_file():
        pytest.skip("the public contract does not lie beside the checkout")
    (listed,) = re.findall(r"Codes are a closed, documented set; at least: (.*)", PUBLISHED.read_text("utf-8"))
    codes = set(re.findall(r"`(\w+)`", listed))
    assert len(codes) > 20
    assert codes - set(catalogue()) == set()


def test_a_refusal_carries_its_class_or_its_own_advice() -> None:
    """An error without an advice of its own gives that of its class."""
    error = catalogue()["conflict"]
    assert error("x").next_step == error.help
    assert error("x", help="Do y.").next_step == "Do y."
    assert str(error("x")) == error("x").detail == "x"
