"""Reads the documents of Tryton's REST interface: `sale.sale`, and `sale.subscription` of its module.

A record is an object of the fields that were asked for; a reference to one of any model is a text as
`sale.sale,2`, and what JSON has no form for is an object with its `__class__`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from licentia.connectors import Change, ChangeKind, Customer, Line
from licentia.errors import InvalidRequest
from licentia_integrations.incoming import customer, identifier, label
from licentia_integrations.shops import EPOCH, Id, Sku, counted, id_text, numbers, read, required

SALE, SUBSCRIPTION = "sale.sale", "sale.subscription"


class Model(msgspec.Struct, frozen=True):
    """A kind of document.

    Attributes:
        prefix: what its numbers begin with here, as each kind counts on its own.
        states: what a state means; one that is not here means nothing yet.
        fields: what is asked for beside what all have.
    """

    prefix: str
    states: Mapping[str, ChangeKind]
    fields: tuple[str, ...]


MODELS: Mapping[str, Model] = {
    SALE: Model(
        "",
        {"confirmed": "placed", "processing": "placed", "done": "placed", "cancelled": "cancelled"},
        ("origin", "lines.product.code", "lines.product.name", "lines.type"),
    ),
    SUBSCRIPTION: Model(
        "subscription/",
        {"running": "placed", "closed": "cancelled", "cancelled": "cancelled"},
        ("lines.service.product.code", "lines.service.product.name"),
    ),
}
FIELDS = (
    *("number", "state", "create_date", "write_date", "party.name", "party.code", "party.email"),
    *("lines.quantity", "lines.write_date"),
)


class Moment(msgspec.Struct):
    """A time in UTC, as Tryton writes it."""

    year: int
    month: int
    day: int
    hour: int = 0
    minute: int = 0
    second: int = 0
    microsecond: int = 0


class Exact(msgspec.Struct):
    """A decimal number, as Tryton writes it."""

    decimal: Decimal


class Party(msgspec.Struct):
    """Who buys."""

    id: Id
    name: str | None = None
    code: Id | None = None
    email: str | None = None


class Product(msgspec.Struct):
    """An article."""

    id: Id | None = None
    code: Sku | None = None
    name: str | None = None


class Service(msgspec.Struct):
    """What is subscribed to."""

    product: Product | int | None = None


class Item(msgspec.Struct):
    """A line; one that is a title or a comment has no quantity. What was not asked for in detail is only its key."""

    id: Id
    quantity: Decimal | Exact | None = None
    product: Product | int | None = None
    service: Service | int | None = None
    type: str | None = None
    origin: str | None = None
    write_date: Moment | None = None


class Document(msgspec.Struct):
    """A sale or a subscription."""

    state: str
    id: Id | None = None
    number: Id | None = None
    model: str = msgspec.field(name="__name__", default=SALE)
    lines: list[Item] | None = None
    party: Party | int | None = None
    revision: int | None = None
    origin: str | None = None
    create_date: Moment | None = None
    write_date: Moment | None = None


def changes_of(documents: list[Document]) -> tuple[Change, ...]:
    """What the documents mean; the number of an original sale is known if that sale is among them."""
    known = {f"{each.model},{each.id}": id_text(each.number) for each in documents if each.number}
    return tuple(change for each in documents for change in _changes(each, known))


def original_of(document: msgspec.Raw) -> int | None:
    """The key of the sale that a document refers to as its origin."""
    model, _, key = (read(bytes(document), Document, "document of Tryton").origin or "").partition(",")
    return int(key) if model == SALE and key.isascii() and key.isdigit() and len(key) <= 18 else None


def _changes(document: Document, known: Mapping[str, str]) -> Iterable[Change]:
    model = MODELS.get(document.model)
    kind = model.states.get(document.state) if model else None
    if model is None or kind is None:
        return
    number = model.prefix + required(document.number, "The number of a document")
    counts = [(item, _quantity(item)) for item in document.lines or () if (item.type or "line") == "line"]
    given = [(item, count) for item, count in counts if count is not None]
    taken = [_line(item, returned=True) for item, count in given if count < 0]
    ordered = [_line(item, returned=False) for item, count in given if count >= 0]
    told: dict[str, Any] = {
        "order_number": identifier(number, "The number of a document"),
        "version": _version(document),
        "customer": _customer(document.party),
    }
    if kind == "cancelled":
        yield Change(kind=kind, **told)
        return
    origin = document.origin or ""
    if ordered or not taken:
        amended = "changed" if document.revision else "placed"
        yield Change(kind=amended, full_snapshot=not taken, lines=tuple(ordered), **told)  # type: ignore[arg-type]
    if taken:
        source = (known.get(origin) or origin)[:200] or None
        yield Change(kind="returned", lines=tuple(taken), origin=source, **told)


def _line(item: Item, *, returned: bool) -> Line:
    """A line; in a return that tells it, with the id of the line in the original sale."""
    service = item.service if isinstance(item.service, Service) else Service()
    product = item.product or service.product
    known = product if isinstance(product, Product) else Product()
    model, _, original = (item.origin or "").partition(",")
    line_id = identifier(original if returned and model == "sale.line" else id_text(item.id), "A line's id")
    name = label(known.name)
    return Line(
        line_id=line_id,
        sku=known.code or "",
        quantity=abs(_quantity(item) or Decimal()),
        alternatives=() if known.code or not name else numbers(name),
    )


def _quantity(item: Item) -> Decimal | None:
    """The quantity without the zeros after its point: Tryton counts in floating point, and writes 5 as 5.0."""
    count = item.quantity.decimal if isinstance(item.quantity, Exact) else item.quantity
    if count is None:
        return None
    counted(abs(count), f"line {id_text(item.id)}")
    return count.to_integral_value() if count == count.to_integral_value() else count


def _customer(party: Party | int | None) -> Customer | None:
    if isinstance(party, Party):
        return customer(id_text(party.code) or id_text(party.id), party.name, party.email)
    return customer(id_text(party), None, None)


def _version(document: Document) -> int:
    """When the document or one of its lines was last written, in milliseconds: writing a line moves only the line."""
    moments = [document.create_date, document.write_date, *(item.write_date for item in document.lines or ())]
    return max((_milliseconds(each) for each in moments if each), default=0)


def _milliseconds(moment: Moment) -> int:
    try:
        at = datetime(
            moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second, moment.microsecond, UTC
        )
    except (ValueError, OverflowError):
        raise InvalidRequest("A time of the document is none.") from None
    return max(0, int((at - EPOCH).total_seconds() * 1000))
