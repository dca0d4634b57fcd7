"""csv cuts files of any length into orders, as spreadsheets and ERPs write them."""

from __future__ import annotations

import io
import tracemalloc
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from licentia.connectors import Change, Delivery, Piece
from licentia.errors import InvalidRequest
from licentia_integrations.csv import Csv

AT = datetime(2026, 11, 24, tzinfo=UTC)
HEAD = "Auftragsnummer;Artikelnummer;Menge;Firma\n"


def connector(**given: Any) -> Csv:
    """The connector with these settings."""
    return Csv("csv", {"secret": "of the export", **given})


def pieces(body: bytes, **given: Any) -> list[Piece]:
    """The pieces of a file."""
    return [*connector(**given).pieces(io.BytesIO(body))]


def meant(piece: Piece, **given: Any) -> tuple[Change, ...]:
    """What a piece means."""
    return connector(**given).normalise(Delivery(body=piece.body, pointer=piece.pointer, received_at=AT))


@pytest.mark.parametrize(
    ("encoding", "told"),
    [("utf-8", "auto"), ("utf-8-sig", "auto"), ("utf-16", "auto"), ("cp1252", "auto"), ("iso-8859-1", "iso-8859-1")],
)
def test_the_encoding_is_found(encoding: str, told: str) -> None:
    """By the byte order mark, by what is no UTF-8 however far down in the file, or by the setting."""
    rows = "".join(f"{number};cad;1;Meier\n" for number in range(40_000))
    found = pieces(f"{HEAD}{rows}x;cad;1;Müller\n".encode(encoding), encoding=told)
    (change,) = meant(found[-1], encoding=told)
    assert change.lines[0].quantity == 1
    assert "Müller" in found[-1].body.decode("utf-8-sig")
    assert (len(found), found[-1].of, found[-1].line) == (40_001, 40_001, 40_002)


def test_rows_keep_their_lines_and_their_orders() -> None:
    """Excel's first line, cells of several lines and empty rows count as lines of the file."""
    body = "sep=;\n" + HEAD + '1;cad;1;"A\nB"\n;;;\n2;cad;1,5;C\n1;viewer;many;A\n;cad;1;D\n;cad;1;E\n'
    found = pieces(body.encode())
    assert [(piece.line, piece.pointer) for piece in found] == [
        (4, "rows 4,7"), (6, "rows 6"), (8, "rows 8"), (9, "rows 9"),
    ]  # fmt: skip
    assert meant(found[1])[0].lines[0].quantity == Decimal("1.5")
    for piece, words in ((found[0], "Row 7: the quantity"), (found[2], "Row 8: the order number")):
        with pytest.raises(InvalidRequest, match=words):
            meant(piece)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "names no columns"),
        (b"a;b;c\n1;2;3\n", "names no columns"),
        (b"\xef\xbb\xbforder;sku;quantity\n\xff;a;1\n", "not in the encoding"),
        (b"sep=#\norder#sku#quantity\n", "delimiter"),
        (b'order;sku;quantity\n1;"' + b"a" * 200_000, "Line 2 of the file is illegible"),
    ],
)
def test_what_cannot_be_cut_is_refused_at_once(body: bytes, words: str) -> None:
    """A file that is no file of orders gives no piece at all."""
    with pytest.raises(InvalidRequest, match=words):
        pieces(body)


def test_a_setting_that_does_not_fit_the_octets_refuses_the_file() -> None:
    """What is set as UTF-8 and is not is refused before any order is told."""
    with pytest.raises(InvalidRequest, match="not in the encoding"):
        pieces(HEAD.encode() + b"1;cad;1;M\xfcller\n", encoding="utf-8")


def test_memory_is_bounded() -> None:
    """A file of 8 MB takes less than 3 MB of Python, though no order's rows are beside each other."""
    row = f"{{}};cad;1;{'x' * 180}\n"
    text = io.BytesIO((HEAD + "".join(row.format(number % 20_000) for number in range(40_000))).encode())
    tracemalloc.start()
    try:
        count = sum(1 for _ in connector().pieces(text))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 20_000
    assert peak < 3 * 2**20


CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)


@settings(max_examples=150)
@given(rows=st.lists(st.tuples(st.sampled_from("123"), CELLS, st.sampled_from(["1", "2", "-1"]), CELLS), max_size=8))
def test_nothing_is_lost(rows: list[tuple[str, ...]]) -> None:
    """Whatever is in the cells, the pieces mean what the file does, order by order."""
    import csv

    sink = io.StringIO()
    csv.writer(sink, delimiter=";").writerows(rows)
    body = (HEAD + sink.getvalue()).encode()
    try:
        whole = connector().normalise(Delivery(body=body, received_at=AT))
    except InvalidRequest:
        return
    assert [change for piece in pieces(body) for change in meant(piece)] == [*whole]
