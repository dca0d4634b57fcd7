"""csv: files that an ERP or a script exports, one row per line item; the row above them names the columns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, BinaryIO

from licentia.connectors import Change, Connector, Delivery, Importing, Line, Piece
from licentia.errors import InvalidRequest
from licentia_integrations.csv.columns import Columns, Row, plain, rows_of
from licentia_integrations.csv.pieces import lines_of, pieces_of
from licentia_integrations.csv.settings import KINDS, YES, CsvSettings, Kind, Meaning
from licentia_integrations.incoming import check_shown, customer, identifier, quantity, secrets_of, settings_of

OFFSET = re.compile(r" (?=[+-]\d\d:?\d\d\Z)| UTC\Z")
"""What some put between a time and its offset from UTC."""

AMBIGUOUS = 3
"""After so many digits a separator may be that of thousands, or that of a fraction."""


class Csv(Connector, Importing):
    """Settings: `secret`, which the sender shows; what columns and states are called; how numbers are written."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(name, settings)
        self._given = settings_of(CsvSettings, name, settings)
        self._secrets = secrets_of(self._given.secret)
        self._columns = Columns(self._given.columns)
        self._kinds = {**KINDS, **{plain(word): kind for word, kind in self._given.kinds.items()}}

    async def _authenticate(self, delivery: Delivery) -> None:
        check_shown(delivery, self._secrets)

    def _normalise(self, delivery: Delivery) -> tuple[Change, ...]:
        rows = rows_of(delivery.body, self._columns, self._given.delimiter, self._given.encoding)
        for row, line in zip(rows, lines_of(delivery.pointer), strict=False):
            row.number = line
        orders: dict[str, dict[Kind, list[Row]]] = {}
        told: dict[str, Meaning] = {}
        for row in rows:
            number = identifier(row.get("order_number"), f"Row {row.number}: the order number")
            kind = self._kind(row, told.get(number))
            if row.get("kind"):
                told[number] = kind
            if kind != "ignored":
                orders.setdefault(number, {}).setdefault(kind, []).append(row)
        changes = []
        for number, kinds in orders.items():
            current = next((kind for kind in kinds if kind in ("placed", "changed")), None)
            gone = kinds.pop("cancelled", []) if current else []  # lines of an order of which others are still there
            for kind, found in kinds.items():
                changes.append(self._change(number, kind, found, gone if kind == current else []))
        return tuple(changes)

    def _pieces(self, file: BinaryIO) -> Iterator[Piece]:
        return pieces_of(file, self._columns, self._given.delimiter, self._given.encoding)

    def _kind(self, row: Row, before: Meaning | None) -> Meaning:
        """What the row says of its state.

        Without one it has that of the row of its order before it, as only the first may tell it, or is an order; of
        one that is neither gone nor ignored, a negative quantity is a return.
        """
        word = row.get("kind")
        if not word:
            back = row.get("quantity").startswith("-") and before in (None, "placed", "changed")
            return "returned" if back else before or "placed"
        if plain(word) not in self._kinds:
            raise InvalidRequest(
                f"Row {row.number}: the state {word[:40]!r} is not known.", help="Say what it means in `kinds`."
            )
        return self._kinds[plain(word)]

    def _change(self, number: str, kind: Kind, rows: list[Row], gone: list[Row]) -> Change:
        def told(name: str) -> str:
            return next((row.get(name) for row in rows if row.get(name)), "")

        origin = told("origin")
        return Change(
            kind=kind,
            order_number=number,
            version=max(map(_version, [*rows, *gone])),
            full_snapshot=self._given.complete and kind in ("placed", "changed"),
            customer=customer(told("customer_id"), told("customer_name"), told("customer_email")),
            lines=() if kind == "cancelled" else tuple(self._lines(rows, gone)),
            origin=identifier(origin, "The original order's number") if origin else None,
            test=any(plain(row.get("test")) in YES for row in rows),
        )

    def _lines(self, rows: list[Row], gone: list[Row]) -> list[Line]:
        """The lines; where the file has no ids of lines, the article's number is one, and counted where it repeats."""
        lines: list[Line] = []
        seen: dict[str, int] = {}
        for row in sorted([*rows, *gone], key=lambda row: row.number):
            sku, line_id = row.get("sku"), row.get("line_id")
            if not line_id:
                seen[sku] = seen.get(sku, 0) + 1
                line_id = sku if seen[sku] == 1 else f"{sku}#{seen[sku]}"
            line = Line(
                line_id=identifier(line_id, f"Row {row.number}: the line's id"),
                sku=identifier(sku, f"Row {row.number}: the article number"),
                quantity=quantity("0" if row in gone else self._number(row), f"Row {row.number}: the quantity"),
            )
            lines.append(line)
        return lines

    def _number(self, row: Row) -> str:
        """The quantity without its sign and its separators of thousands, with a point before its fraction."""
        text = row.get("quantity").lstrip("+-").replace(" ", "").replace("\N{NO-BREAK SPACE}", "").replace("'", "")
        if self._given.decimal != "auto":
            thousands = "," if self._given.decimal == "." else "."
            return text.replace(thousands, "").replace(self._given.decimal, ".")
        marks = [mark for mark in ",." if mark in text]
        if len(marks) == 1 and marks[0] != row.decimal and len(text.rpartition(marks[0])[2]) == AMBIGUOUS:
            raise InvalidRequest(
                f"Row {row.number}: the quantity {text[:40]!r} may be two numbers.",
                help="Set `decimal` to the mark before a fraction, or export quantities without separators.",
            )
        decimal = max(marks, key=text.rfind, default=".")
        return text.replace("," if decimal == "." else ".", "").replace(decimal, ".")


def _version(row: Row) -> int:
    """A number as it is, a time of ISO 8601 in milliseconds since 1970 (of UTC, if it names no zone), or 0."""
    text = row.get("version")
    if not text:
        return 0
    if text.isascii() and text.isdigit() and len(text) <= 18:
        return int(text)
    try:
        moment = datetime.fromisoformat(OFFSET.sub("", text))
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0, int(moment.timestamp() * 1000))
    except (ValueError, OverflowError):
        raise InvalidRequest(f"Row {row.number}: the version {text[:40]!r} is neither a number nor a time.") from None
