"""Replies as text."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from msgspec.inspect import ListType, StructType

from licentia.cli.fields import fields_of
from licentia.cli.text import COLUMNS, more_pages, next_command, render, table
from licentia.contract import BY_NAME
from licentia.contract.events import Event, EventPage, ListEvents
from licentia.contract.leases import GrantedLease, Lease, LeasePage, ListLeases
from licentia.contract.products import Item, Product, ProductPage

AT = datetime(2026, 11, 24, 2, tzinfo=UTC)


def lease(number: int, station: str | None = "ws-07") -> Lease:
    """A live lease."""
    return Lease(
        lease_id=f"l{number}", license_id="x", product_code="201001", user="anna", station=station, seats=1,
        granted_at=AT, expires_at=AT,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of a known width."""
    monkeypatch.setenv("COLUMNS", "150")


def test_a_list_is_a_table_under_the_names_of_the_json() -> None:
    """Rows are aligned under field names; a column that is empty in all rows is left out."""
    lines = render(LeasePage(leases=[lease(1), lease(2, "a-longer-station")])).splitlines()
    assert lines[0].split() == ["lease_id", "product_code", "user", "station", "seats", "expires_at"]
    assert lines[1].index("2026") == lines[2].index("2026") == lines[0].index("expires_at")


def test_a_table_wider_than_the_terminal_is_written_downwards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a row does not fit, each value has a line of its own."""
    monkeypatch.setenv("COLUMNS", "40")
    assert render(LeasePage(leases=[lease(1), lease(2)])).count("lease_id") == 2


def test_the_columns_of_a_wide_list_are_fields_of_its_rows() -> None:
    """A column that the contract does not know would never be seen."""
    found: dict[str, set[str]] = {}
    for operation in BY_NAME.values():
        for field in fields_of(operation.reply) if operation.reply else ():
            if isinstance(field.type, ListType) and isinstance(field.type.item_type, StructType):
                found.setdefault(field.encode_name, set()).update(
                    each.encode_name for each in field.type.item_type.fields
                )
    assert {name: set(columns) - found[name] for name, columns in COLUMNS.items()} == {name: set() for name in COLUMNS}


def test_the_facts_of_an_event_are_one_cell() -> None:
    """An event is a line: what happened, by whom, and its facts as JSON, cut where they are long."""
    event = Event(
        event_id="0-1", chain=0, seq=1, at=AT, kind="lease.granted", actor="operator", previous_hash="0" * 64,
        hash="1" * 64, data={"product_code": "201001", "user": "u" * 100},
    )  # fmt: skip
    line = render(EventPage(events=[event], next_cursor="x")).splitlines()[1]
    assert line.startswith("0-1       2026-11-24T02:00:00Z  lease.granted  operator  {")
    assert line.endswith("...")


def test_an_empty_list_says_so() -> None:
    """No rows are not an empty screen."""
    assert render(LeasePage(leases=[])) == "No leases."


def test_a_long_value_is_cut() -> None:
    """A token would fill the screen: it is cut, and ends so that one sees it."""
    granted = GrantedLease(
        lease_id="l1", license_id="x", product_code="201001", user="anna", seats=1, granted_at=AT, expires_at=AT,
        seats_in_use=1, seats_total=3, renew_after_seconds=200, token="t" * 400, created=True,
    )  # fmt: skip
    lines = dict(line.split(maxsplit=1) for line in render(granted).splitlines())
    assert len(lines["token"]) < 80
    assert lines["token"].endswith("t...")
    assert lines["created"] == "yes"


def test_a_nested_thing_is_named_in_a_cell() -> None:
    """In a table of products an item is its product code."""
    product = Product(
        sku="acme", name="Acme", items=[Item(product_code="201001"), Item(product_code="201002")], updated_at=AT
    )
    assert "201001, 201002" in render(ProductPage(products=[product]))


def test_what_is_absent_is_a_dash_among_rows_that_have_it() -> None:
    """A cell is never empty."""
    assert table([{"a": 1, "b": None}, {"a": 2, "b": "x"}]).splitlines()[1].split() == ["1", "-"]


def test_a_page_that_is_not_the_last_says_how_to_go_on() -> None:
    """A full page with a cursor names the option; the last page, and a trail without later events, do not."""
    full = LeasePage(leases=[lease(1)], next_cursor="c9")
    assert more_pages(ListLeases(limit=1), full) == "More: --cursor c9"
    assert more_pages(ListLeases(limit=1), LeasePage(leases=[lease(1)])) == ""
    assert more_pages(ListEvents(limit=2), EventPage(events=[], next_cursor="c9")) == ""


def test_the_next_command_is_only_told_when_it_can_be_given() -> None:
    """Fields of the reply are filled in; where one is absent, nothing is said."""
    assert next_command("licentia lease release {lease_id}", lease(1)) == "Next: licentia lease release l1"
    assert next_command("licentia at {station}", lease(1, None)) == ""
    assert next_command("licentia at {nowhere}", lease(1)) == ""
    assert next_command("", lease(1)) == ""
    assert next_command("licentia x", None) == ""
