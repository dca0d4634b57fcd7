"""Statements that run alike on both databases, on any kind of connection.

What the ledger does is written once, as a generator that yields steps and is sent the rows of each; a
driver runs it on the connection of its own. SQL is written as PostgreSQL has it, and turned into what
SQLite understands.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, TypeVar

import msgspec
from tortoise import fields

from licentia.storage import connector_models, models

T = TypeVar("T")
Row = Mapping[str, Any]


class Query(msgspec.Struct, frozen=True):
    """SQL with `$1` placeholders, whose values may be lists of texts; its rows are wanted.

    `sqlite` is the SQL for SQLite, with its values, where it cannot be derived; a list is a JSON array there.
    """

    sql: str
    values: tuple[Any, ...] = ()
    sqlite: tuple[str, tuple[Any, ...]] | None = None


class Insert(msgspec.Struct, frozen=True):
    """New rows of a table; each is a tuple of the columns' values."""

    table: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]


class Update(msgspec.Struct, frozen=True):
    """New values for rows of a table; the first column is the key."""

    table: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]


class Delete(msgspec.Struct, frozen=True):
    """Rows that go, by their keys."""

    table: str
    key: str
    keys: Sequence[Any]


class Count(msgspec.Struct, frozen=True):
    """Rows whose last column is added to that of the row with the same key, which is all other columns."""

    table: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]


Change = Insert | Update | Delete | Count


class Write(msgspec.Struct, frozen=True):
    """Changes of different rows, in one go."""

    changes: tuple[Change, ...]


class Clock(msgspec.Struct, frozen=True):
    """The database's clock at this moment, as one row with `now` in microseconds."""


Step = Query | Write | Clock
Work = Generator[Step, Sequence[Row], T]

CLOCK = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"


def for_sqlite(change: Change) -> tuple[str, list[Any]]:
    """One statement for `executemany`, with its rows."""
    match change:
        case Insert(table, columns, rows):
            return _insert(table, columns), [*rows]
        case Update(table, columns, rows):
            settings = ", ".join(f"{column} = ?" for column in columns[1:])
            return f"UPDATE {table} SET {settings} WHERE {columns[0]} = ?", [(*row[1:], row[0]) for row in rows]
        case Delete(table, key, keys):
            return f"DELETE FROM {table} WHERE {key} = ?", [(key,) for key in keys]
        case Count(table, columns, rows):
            return f"{_insert(table, columns)} {_adding(table, columns)}", [*rows]


def for_postgres(write: Write) -> tuple[str, list[str]]:
    """All changes as one statement, with the values of each column as one text, which it cuts into an array.

    asyncpg takes twice as long to encode lists.
    """
    parts: list[str] = []
    values: list[str] = []
    for change in write.changes:
        match change:
            case Delete(table, key, keys):
                values.append(_joined(keys))
                parts.append(f"DELETE FROM {table} WHERE {key} = ANY({_array(table, key, len(values))})")
                continue
        table, columns = change.table, change.columns
        start = len(values)
        values.extend(map(_joined, zip(*change.rows, strict=True)))
        arrays = ", ".join(_array(table, column, start + place) for place, column in enumerate(columns, start=1))
        names = ", ".join(columns)
        match change:
            case Insert():
                parts.append(f"INSERT INTO {table} ({names}) SELECT * FROM unnest({arrays})")
            case Count():
                parts.append(f"INSERT INTO {table} ({names}) SELECT * FROM unnest({arrays}) {_adding(table, columns)}")
            case Update():
                settings = ", ".join(f"{column} = new.{column}" for column in columns[1:])
                parts.append(
                    f"UPDATE {table} SET {settings} FROM unnest({arrays}) AS new({names})"
                    f" WHERE {table}.{columns[0]} = new.{columns[0]}"
                )
    *others, last = parts
    with_others = ", ".join(f"w{number} AS ({part})" for number, part in enumerate(others))
    return (f"WITH {with_others} {last}" if others else last), values


@lru_cache(maxsize=512)
def _question_marks(sql: str) -> tuple[str, list[int]]:
    """PostgreSQL's SQL for SQLite, with bare marks, and which value stands at each."""
    sql = re.sub(r" FOR (NO KEY )?UPDATE( OF \w+)?( SKIP LOCKED)?", "", sql)
    sql = re.sub(r"= ANY\((\$\d+)::\w+\[\]\)", r"IN (SELECT value FROM json_each(\1))", sql)
    sql = re.sub(r"IN \(SELECT unnest\((\$\d+)::\w+\[\]\)\)", r"IN (SELECT value FROM json_each(\1))", sql)
    order = [int(number) - 1 for number in re.findall(r"\$(\d+)", sql)]
    return re.sub(r"\$\d+", "?", sql), order


def marked(query: Query) -> tuple[str, list[Any]]:
    """A query for SQLite with the value of each of its marks."""
    sql, values = query.sqlite or (query.sql, query.values)
    text, order = _question_marks(sql)
    given = [msgspec.json.encode(value).decode() if isinstance(value, list) else value for value in values]
    return text, [given[place] for place in order]


def _insert(table: str, columns: tuple[str, ...]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"


def _adding(table: str, columns: tuple[str, ...]) -> str:
    *key, counter = columns
    return f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {counter} = {table}.{counter} + excluded.{counter}"


def _array(table: str, column: str, number: int) -> str:
    # The first element is cut off again: PostgreSQL takes an empty text for no element, not for an empty one.
    return f"(string_to_array(${number}, E'\\x1f', E'\\x1e'))[2:]::{_types(table)[column]}[]"


def _joined(column: Sequence[Any]) -> str:
    """The values with separators in between that none of them may contain."""
    texts = [value if type(value) is str else "\x1e" if value is None else str(value) for value in column]
    joined = "\x1f".join(["", *texts])
    if joined.count("\x1f") > len(texts) or joined.count("\x1e") > texts.count("\x1e"):
        raise ValueError("a value contains a control character")
    return joined


@cache
def _types(table: str) -> dict[str, str]:
    """The type of each column as PostgreSQL calls it, by the model of the table."""
    known = [*vars(models).values(), *vars(connector_models).values()]
    (model,) = (model for model in known if getattr(getattr(model, "Meta", None), "table", "") == table)
    return {name: _type(field) for name, field in model._meta.fields_map.items()}


def _type(field: fields.Field[Any]) -> str:
    if isinstance(field, fields.BooleanField):
        return "boolean"
    return "bigint" if isinstance(field, fields.IntField | fields.BigIntField) else "text"
