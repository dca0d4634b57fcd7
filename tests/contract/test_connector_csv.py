"""csv keeps the contract of connectors, on files as ERPs and spreadsheets write them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licentia.connectors import Change, Delivery
from licentia.errors import InvalidRequest
from licentia.settings import SettingsError
from licentia.testing import ConnectorContract
from licentia_integrations.csv import Csv

SECRET = "of the export"
AT = datetime(2026, 11, 24, tzinfo=UTC)


def read(body: str | bytes, **settings: Any) -> tuple[Change, ...]:
    """What a file means with these settings."""
    raw = body.encode() if isinstance(body, str) else body
    return Csv("csv", {"secret": SECRET, **settings}).normalise(Delivery(body=raw, received_at=AT))


class TestCsv(ConnectorContract):
    """Each file of the folder is an export."""

    golden = Path(__file__).parents[1] / "golden" / "connectors" / "csv"
    signed = False

    @pytest.fixture
    def connector(self) -> Csv:
        """The connector with the secret that the deliveries show."""
        return Csv("csv", {"secret": SECRET})


def test_the_columns_may_be_named() -> None:
    """A name that is set outweighs the usual ones."""
    columns = {"order_number": "Beleg", "sku": "Ware", "quantity": "Stück", "customer_name": "sku"}
    changes = read("Beleg;Ware;Stück;sku;Kundennummer\n1;cad;2;Acme;K7\n", columns=columns)
    assert changes[0].lines[0].sku == "cad"
    assert changes[0].customer is not None
    assert changes[0].customer.name == "Acme"


def test_the_states_may_be_named() -> None:
    """Whatever their case; the usual words still hold."""
    file = "order;sku;quantity;status\n1;cad;1;STORNO\n2;cad;1;new\n"
    assert [each.kind for each in read(file, kinds={"Storno": "cancelled"})] == ["cancelled", "placed"]


@pytest.mark.parametrize(
    ("decimal", "text", "wanted"),
    [
        (".", "1,000", "1000"),
        (",", "1,000", "1"),
        (",", "1.000", "1000"),
        ("auto", "1,234.50", "1234.5"),
        ("auto", "2.5", "2.5"),
        ("auto", "1'000", "1000"),
        ("auto", "1 000,5", "1000.5"),
        ("auto", "+3", "3"),
        ("auto", "1,000", "1"),
    ],
)
def test_numbers_are_read_as_they_are_meant(decimal: str, text: str, wanted: str) -> None:
    """With the mark of the settings, or with the only one that makes sense."""
    assert read(f'order;sku;quantity\n1;cad;"{text}"\n', decimal=decimal)[0].lines[0].quantity == Decimal(wanted)


def test_a_file_may_be_complete() -> None:
    """Where the sender's files have all lines of each order in them."""
    assert read("order;sku;quantity\n1;cad;1\n", complete=True)[0].full_snapshot


def test_an_encoding_that_is_set_must_hold() -> None:
    """Nothing is guessed then."""
    with pytest.raises(InvalidRequest, match="encoding"):
        read("order;sku;quantity\n1;für;1\n".encode("windows-1252"), encoding="utf-8")


def test_a_delimiter_that_is_set_must_hold() -> None:
    """A file with another one has no columns."""
    with pytest.raises(InvalidRequest, match="names no columns"):
        read("order,sku,quantity\n1,cad,1\n", delimiter=";")


def test_a_delimiter_that_excel_is_told_must_be_known() -> None:
    """The first line may be meant for Excel."""
    with pytest.raises(InvalidRequest, match="delimiter"):
        read("sep=#\norder#sku#quantity\n1#cad#1\n")


def test_long_files_are_refused() -> None:
    """By their bytes, and by their rows."""
    with pytest.raises(InvalidRequest, match="bytes"):
        read(b"order;sku;quantity\n" + b"1;cad;1\n" * 600_000)
    with pytest.raises(InvalidRequest, match="rows"):
        read(b"order;sku;quantity\n" + b"1;cad;1\n" * 20_001)


@given(
    rows=st.lists(st.tuples(st.integers(1, 9), st.text("abc;,\"'\n x", min_size=1), st.integers(0, 999)), max_size=20),
    delimiter=st.sampled_from(";,\t|"),
)
def test_quoted_files_are_read_with_any_delimiter(rows: list[tuple[int, str, int]], delimiter: str) -> None:
    """Each row with an article is a line of its order, whatever marks are in its values."""
    rows = [row for row in rows if row[1].strip()]
    quoted = [[f'"{str(cell).replace(chr(34), chr(34) * 2)}"' for cell in row] for row in rows]
    lines = [delimiter.join(cells) for cells in (["order", "sku", "quantity"], *quoted)]
    changes = {each.order_number: each for each in read("\r\n".join(lines))}
    assert changes.keys() == {str(order) for order, _, _ in rows}
    for number, change in changes.items():
        wanted = [(sku.strip(), Decimal(count)) for order, sku, count in rows if str(order) == number]
        assert [(line.sku, line.quantity) for line in change.lines] == wanted


@pytest.mark.parametrize(
    "settings", [{}, {"secret": SECRET, "decimal": ";"}, {"secret": SECRET, "columns": {"article": "x"}}]
)
def test_wrong_settings_are_refused(settings: dict[str, Any]) -> None:
    """With the name of the setting."""
    with pytest.raises(SettingsError, match=r"^\[connector.csv\]: "):
        Csv("csv", settings)
