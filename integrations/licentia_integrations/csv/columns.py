"""Finds the columns of a file by their headings, and reads its rows (RFC 4180, and what Excel makes of it)."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

import msgspec

from licentia.errors import InvalidRequest
from licentia_integrations.csv.settings import Headings

MAX_BYTES = 4 * 2**20
MAX_ROWS = 20_000
MAX_COLUMNS = 500
WINDOWS = "windows-1252"
DELIMITERS = (";", ",", "\t", "|")
DECIMALS = {";": ",", ",": "."}
"""The mark before a fraction where lists are written with this delimiter: it is `;` where the comma is taken."""
REQUIRED = ("order_number", "sku", "quantity")

USUAL: Mapping[str, tuple[str, ...]] = {
    "order_number": (
        *("order number", "order no", "order id", "order", "purchase id"),
        *("Bestellnummer", "Bestellnr", "Auftragsnummer", "Auftragsnr", "Verkaufsbeleg"),
        *("sales order", "sales document", "increment id", "order reference"),
    ),
    "line_id": ("line id", "line no", "line number", "line", "position", "pos", "Position", "order item id", "item id"),
    "sku": (
        *("sku", "lineitem sku", "custom label", "article number", "article no", "article", "item number", "item no"),
        *("item code", "product code", "product id", "Artikelnummer", "Artikelnr", "material"),
    ),
    "quantity": (
        *("quantity", "qty", "quantity purchased", "quantity ordered", "qty ordered", "order quantity"),
        *("lineitem quantity", "quantity refund", "Menge", "Anzahl", "Auftragsmenge", "Bestellmenge"),
    ),
    "customer_id": (
        *("customer id", "customer number", "customer no", "customer", "sold to party"),
        *("Kundennummer", "Kundennr", "Auftraggeber"),
    ),
    "customer_name": (
        *("customer name", "company", "account name", "buyer name", "billing company", "company billing"),
        *("billing name", "Kunde", "Firma"),
    ),
    "customer_email": ("customer email", "email", "mail", "email address", "buyer email", "email billing"),
    "kind": ("kind", "financial status", "payment status", "order status", "status", "state"),
    "version": ("version", "revision", "updated at", "changed at"),
    "origin": ("origin", "original order", "original order number"),
    "test": ("test", "test order", "test mode"),
}
"""What the columns are usually called; upper case, blanks and marks make no difference."""


class Row:
    """One row: its number in the file, its values by what they mean, and the mark before a fraction that fits."""

    def __init__(self, number: int, cells: list[str], places: Mapping[str, int], decimal: str) -> None:
        self.number = number
        self.decimal = decimal
        self._cells = cells
        self._places = places

    def get(self, name: str) -> str:
        """The value, empty if the file does not have it."""
        place = self._places.get(name, len(self._cells))
        return self._cells[place].strip() if place < len(self._cells) else ""


class Columns:
    """Where the values are: by the headings of the settings, else by the usual ones."""

    def __init__(self, headings: Headings) -> None:
        given = {name: heading for name, heading in msgspec.structs.asdict(headings).items() if heading}
        self._known = {name: [plain(each) for each in (given.get(name), *USUAL[name]) if each] for name in USUAL}
        self._known |= {name: [plain(heading)] for name, heading in given.items()}

    def places(self, headings: list[str]) -> dict[str, int]:
        """The place of each column in this row of headings, for those that it has."""
        found = {plain(heading): place for place, heading in reversed(list(enumerate(headings[:MAX_COLUMNS])))}
        return {
            name: found[next(each for each in known if each in found)]
            for name, known in self._known.items()
            if any(each in found for each in known)
        }


@lru_cache(maxsize=1000)
def plain(text: str) -> str:
    """The letters and digits of a text, in lower case."""
    return "".join(each for each in text.lower() if each.isalnum())


class Layout(NamedTuple):
    """How a file is written: the lines above its headings that are none, the delimiter, the headings, their places."""

    skipped: int
    delimiter: str
    headings: list[str]
    places: Mapping[str, int]


def layout_of(text: str, columns: Columns, delimiter: str) -> Layout:
    """How a file is written that begins with this text.

    Raises:
        InvalidRequest: it has no columns with the order's number, article and quantity.
    """
    skipped = 0
    if text[:4].lower() == "sep=":  # the line by which Excel is told the delimiter
        first, _, text = text.partition("\n")
        delimiter, skipped = first.rstrip("\r")[4:], 1
        if delimiter not in DELIMITERS:
            raise InvalidRequest("The first line names a delimiter that is not read here.")
    for each in DELIMITERS if delimiter == "auto" else (delimiter,):
        headings = next((cells for _, cells in read_rows(io.StringIO(text, newline=""), each)), [])
        places = columns.places(headings)
        if all(name in places for name in REQUIRED):
            return Layout(skipped, each, headings, places)
    raise InvalidRequest(
        "The first row names no columns for order number, article and quantity.",
        help="Say in `columns` what they are called.",
    )


def rows_of(body: bytes, columns: Columns, delimiter: str, encoding: str) -> list[Row]:
    """The rows of a file that are not empty; each is numbered as the line of the file on which it ends.

    Raises:
        InvalidRequest: it is too long, no text, or has no columns with the order's number, article and quantity.
    """
    if len(body) > MAX_BYTES:
        raise InvalidRequest(f"The file is longer than {MAX_BYTES} bytes.", help="Send it in parts.")
    text = _decoded(body, encoding)
    layout = layout_of(text, columns, delimiter)
    lines = io.StringIO(text.partition("\n")[2] if layout.skipped else text, newline="")
    decimal = DECIMALS.get(layout.delimiter, "")
    found = []
    for number, cells in islice(read_rows(lines, layout.delimiter, layout.skipped), 1, None):
        found.append(Row(number, cells, layout.places, decimal))
        if len(found) > MAX_ROWS:
            raise InvalidRequest(f"The file has more than {MAX_ROWS} rows.", help="Send it in parts.")
    return found


def read_rows(lines: Iterable[str], delimiter: str, skipped: int = 0) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not empty, each with the line on which it ends, after so many that are not among these.

    Raises:
        InvalidRequest: one is illegible.
    """
    reader = csv.reader(lines, delimiter=delimiter)
    try:
        for cells in reader:
            if any(map(str.strip, cells)):
                yield reader.line_num + skipped, cells
    except csv.Error as error:
        number = reader.line_num + skipped
        raise InvalidRequest(f"Line {number} of the file is illegible: {error}.") from None


def _decoded(body: bytes, encoding: str) -> str:
    """The text; a byte order mark outweighs the setting, and what is no UTF-8 is what Windows writes."""
    try:
        if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return body.decode("utf-16")
        if body.startswith(codecs.BOM_UTF8) or encoding == "auto":
            return body.decode("utf-8-sig")
        return body.decode(encoding)
    except UnicodeDecodeError:
        if encoding != "auto" or body.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise wrong_encoding() from None
    return body.decode(WINDOWS, "replace")


def wrong_encoding() -> InvalidRequest:
    """What is told of a file whose octets are no text."""
    return InvalidRequest("The file is not in the encoding that it should be in.")
