"""From words to a request: options, short forms of nested parts, and --file."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from licentia.cli.forms import FORMS
from licentia.cli.operations import build, operation_command
from licentia.cli.tree import Verb
from licentia.contract import BY_NAME
from licentia.errors import InvalidRequest


def built(operation: str, words: str, *more: str, stdin: str | None = None) -> Any:
    """The request that a command line makes, seen just before it is sent; `more` are words with spaces."""
    command = operation_command("x", Verb(operation, "licentia x"))
    with CliRunner().isolation(input=stdin), command.make_context("x", [*words.split(), *more]) as context:
        values = dict(context.params)
        for name in ("output", "url", "key", "config", "idempotency_key"):
            values.pop(name, None)
        return build(BY_NAME[operation], values)


def test_an_order_is_made_of_short_lines() -> None:
    """A line is SKU:QUANTITY, numbered by its place, or has its own id before that."""
    words = "--source shop --order-number 7 --customer c1 --customer-name Eve --line acme-cad:2 --line b:acme-render:1"
    order = built("CreateOrder", words)
    assert [(line.line_id, line.sku, line.quantity) for line in order.lines] == [
        ("1", "acme-cad", 2),
        ("b", "acme-render", 1),
    ]
    assert (order.customer.id, order.customer.name, order.customer.email) == ("c1", "Eve", None)


@pytest.mark.parametrize("line", ["acme", ":1", "acme:", "acme:x", "acme:-1", "a:b:c:1", ""])
def test_a_line_that_is_none_is_wrong_usage(line: str) -> None:
    """What is not a line is refused with the two forms that are."""
    with pytest.raises(click.BadParameter, match="LINE_ID:SKU:QUANTITY"):
        built("CreateOrder", "--source shop --order-number 7 --customer c1 --line", line)


def test_an_item_has_terms_of_every_type() -> None:
    """Numbers, times, lists and names with commas are read from the short form of an item."""
    product = built(
        "PutProduct",
        "acme --name Acme",
        "--item",
        "code=201001,name=Acme, the CAD,quantity=3,features=basic+pro,license_model=named_user",
        "--item",
        "code=201002,units=1000,expires_at=2030-01-01T00:00:00Z,containers=cloud-lite",
    )
    first, second = product.items
    assert (first.product_code, first.name, first.quantity) == ("201001", "Acme, the CAD", 3)
    assert (first.features, first.license_model) == (["basic", "pro"], "named_user")
    assert (second.units, second.expires_at.isoformat()) == (1000, "2030-01-01T00:00:00+00:00")
    assert second.containers == ["cloud-lite"]


@pytest.mark.parametrize(
    "item", ["201001", "code=201001,colour=red", "code=201001,quantity=many", "code=201001,quantity=0", "quantity=1"]
)
def test_an_item_that_is_none_is_wrong_usage(item: str) -> None:
    """A term that is unknown, missing or out of its bounds is refused."""
    with pytest.raises(click.BadParameter):
        built("PutProduct", "acme --name Acme --item", item)


def test_a_container_is_cloud_lite_unless_told_otherwise(tmp_path: Path) -> None:
    """`--user` is enough for cloud-lite; another kind takes its request from a file."""
    assert built("ActivateTicket", "T --user anna").container.kind == "cloud-lite"
    (tmp_path / "request").write_bytes(b"\x00\xff")
    container = built("ActivateTicket", "T --container act-file --request", str(tmp_path / "request")).container
    assert (container.kind, container.user) == ("act-file", None)
    assert base64.b64decode(container.request) == b"\x00\xff"


def test_a_list_is_an_option_given_several_times() -> None:
    """`--license-id` may be repeated; not given at all it is absent, not empty."""
    assert built("ActivateTicket", "T --user a --license-id l1 --license-id l2").license_ids == [
        "l1",
        "l2",
    ]
    assert built("ActivateTicket", "T --user a").license_ids is None


def test_a_date_is_the_start_of_its_day_in_utc() -> None:
    """A date without time and offset is read in UTC; an offset is taken into account."""
    usage = built("GetUsage", "--from 2026-11-01 --to 2026-11-01T12:00:00+02:00")
    assert usage.from_.isoformat() == "2026-11-01T00:00:00+00:00"
    assert usage.to.isoformat() == "2026-11-01T10:00:00+00:00"
    with pytest.raises(click.BadParameter, match="such as 2026-11-24"):
        built("GetUsage", "--from yesterday")


def test_a_request_can_come_from_a_file(tmp_path: Path) -> None:
    """`--file` takes the body of the REST API, from a file or the standard input; options go before it."""
    body = {"name": "Acme", "items": [{"product_code": "201001"}]}
    (tmp_path / "product.json").write_text(json.dumps(body))
    assert built("PutProduct", "acme --file", str(tmp_path / "product.json")).items[0].product_code == "201001"
    product = built("PutProduct", "acme --file - --name Better", stdin=json.dumps(body))
    assert (product.sku, product.name) == ("acme", "Better")


@pytest.mark.parametrize("text", ["{", "[]", "3"])
def test_a_file_that_is_no_object_is_wrong_usage(text: str) -> None:
    """Broken JSON, or JSON that is not an object, is refused before anything is sent."""
    with pytest.raises(click.BadParameter, match="JSON"):
        built("PutProduct", "acme --file -", stdin=text)


def test_what_breaks_the_contract_is_refused_as_a_server_would() -> None:
    """A value the contract forbids gets its code and pointer, without a server."""
    with pytest.raises(InvalidRequest, match="/name"):
        built("PutProduct", "acme --file -", stdin='{"name": 3, "items": [{"product_code": "1"}]}')


@pytest.mark.parametrize(
    ("operation", "words", "missing"),
    [
        ("CreateOrder", "--source shop --order-number 1 --customer c", "--line"),
        ("CreateOrder", "--source shop --order-number 1 --line a:1", "--customer"),
        ("ConsumeUnits", "anna --product-code 1 --units 5", "--request-id"),
        ("ActivateTicket", "TICKET", "--container"),
    ],
)
def test_what_is_missing_is_named(operation: str, words: str, missing: str) -> None:
    """A required option that was not given is wrong usage, and is named."""
    with pytest.raises(click.UsageError, match=f"Missing option '{missing}'"):
        built(operation, words)


def test_every_nested_field_has_a_form() -> None:
    """A struct in a request can be given by options: a new one in the contract needs a form here."""
    from licentia.cli.fields import fields_of, is_nested

    nested = {
        field.encode_name
        for operation in BY_NAME.values()
        for field in fields_of(operation.request)
        if is_nested(field)
    }
    assert nested == set(FORMS)
