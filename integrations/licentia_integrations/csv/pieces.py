"""Cuts a file of any length into one piece for each order, with all its rows, wherever in the file they are."""

from __future__ import annotations

import codecs
import csv
import io
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import groupby
from typing import BinaryIO

from licentia.connectors import Piece
from licentia_integrations.csv.columns import WINDOWS, Columns, Row, layout_of, read_rows, wrong_encoding

CHUNK = 2**20
SAMPLE = 2**14
"""Characters in which the row of headings must be."""
POINTER = "rows "
IN_ORDER = "SELECT min(line) OVER (PARTITION BY number) AS first, line, row FROM told ORDER BY first, line"


def pieces_of(file: BinaryIO, columns: Columns, delimiter: str, encoding: str) -> Iterator[Piece]:
    """The pieces, in the order in which the file first names their orders.

    The rows lie in a temporary database meanwhile, which SQLite keeps on the disk when it grows.

    Raises:
        InvalidRequest: it is no text, or has no columns with the order's number, article and quantity.
    """
    found = _encoding_of(file, encoding)
    errors = "replace" if found == WINDOWS else "strict"
    with io.TextIOWrapper(file, found, errors, newline="") as text, closing(sqlite3.connect("")) as kept:
        kept.execute("CREATE TABLE told (number, line INTEGER, row TEXT)")
        rows = _rows(text, columns, delimiter)
        try:
            _, _, head = next(rows)
            kept.executemany("INSERT INTO told VALUES (?, ?, ?)", rows)
        except UnicodeDecodeError:
            raise wrong_encoding() from None
        (of,) = kept.execute("SELECT count(DISTINCT number) FROM told").fetchone()
        for _, told in groupby(kept.execute(IN_ORDER), key=lambda row: row[0]):
            lines, texts = zip(*((line, row) for _, line, row in told), strict=True)
            body = codecs.BOM_UTF8 + (head + "".join(texts)).encode("utf-8", "replace")
            yield Piece(body=body, pointer=POINTER + ",".join(map(str, lines)), line=lines[0], of=of)


def lines_of(pointer: str) -> list[int]:
    """The lines of the file that the rows of a piece are on; none if it is no piece of a file."""
    lines = pointer.removeprefix(POINTER).split(",")
    return [int(line) for line in lines] if pointer.startswith(POINTER) and all(map(str.isdecimal, lines)) else []


def _rows(text: io.TextIOWrapper, columns: Columns, delimiter: str) -> Iterator[tuple[str | int, int, str]]:
    """First the headings, then each row: its order's number, else its line; its line; and itself, as a line."""
    layout = layout_of(text.read(SAMPLE), columns, delimiter)
    text.seek(0)
    for _ in range(layout.skipped):
        text.readline()
    write = csv.writer(_Echo(), delimiter=layout.delimiter).writerow
    for number, cells in read_rows(text, layout.delimiter, layout.skipped):
        yield Row(number, cells, layout.places, "").get("order_number") or number, number, write(cells)


class _Echo:
    """What a writer writes to that gives each line back."""

    def write(self, line: str) -> str:
        return line


def _encoding_of(file: BinaryIO, encoding: str) -> str:
    """The encoding, by the rules of `columns`."""
    start = file.read(3)
    file.seek(0)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if encoding != "auto" and not start.startswith(codecs.BOM_UTF8):
        return encoding
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    try:
        while chunk := file.read(CHUNK):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        if start.startswith(codecs.BOM_UTF8):
            raise wrong_encoding() from None
        return WINDOWS
    finally:
        file.seek(0)
    return "utf-8-sig"
