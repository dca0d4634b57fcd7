"""Reads the documents of Tryton's REST interface: `sale.sale`, and `sale.subscription` of its module.

A record is an object of the fields that were asked for, without those that the user may not read; a
reference to one of any model is a text as `sale.sale,2`, and what JSON has no form for is an object with
its `__class__`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from licentia.connectors import Change, ChangeKind, Customer, Line
from licentia.errors import InvalidRequest
from licentia_integrations.incoming import customer, identifier, label
from licentia_integrations.shops import DECIMALS, EPOCH, MOST, Id, Sku, counted, id_text, numbers, read, required

SALE, SUBSCRIPTION = "sale.sale", "sale.subscription"
LINE, COMPLAINT = "sale.line", "sale.complaint"
HOPS = 3
"""From a return to the sale that it is of: by its complaint, and that one's line of a sale."""


class Model(msgspec.Struct, frozen=True):
    """A kind of document.

    Attributes:
        prefix: what its numbers begin with here, as each kind counts on its own.
        states: what a state means; one that is not here means nothing yet.
        fields: what is asked for beside what all have.
        lines: the model of its lines.
    """

    prefix: str
    states: Mapping[str, ChangeKind]
    fields: tuple[str, ...]
    lines: str


MODELS: Mapping[str, Model] = {
    SALE: Model(
        "",
        {"confirmed": "placed", "processing": "placed", "done": "placed", "cancelled": "cancelled"},
        (
            *("origin", "lines.product.code", "lines.product.name", "lines.type"),
            "lines.product.default_uom.factor",
        ),
        LINE,
    ),
    SUBSCRIPTION: Model(
        "subscription/",
        {"running": "placed", "closed": "cancelled", "cancelled": "cancelled"},
        ("lines.service.product.code", "lines.service.product.name", "lines.service.product.default_uom.factor"),
        "sale.subscription.line",
    ),
}
FIELDS = (
    *("number", "state", "create_date", "write_date", "party.name", "party.code", "party.email"),
    *("lines.quantity", "lines.unit.factor", "lines.create_date", "lines.write_date"),
)
ORIGINS: Mapping[str, tuple[str, ...]] = {
    SALE: (*FIELDS, *MODELS[SALE].fields),
    COMPLAINT: ("origin",),
    LINE: ("sale",),
}
"""What is asked for of the documents that lead from a return to its sale."""


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


class Unit(msgspec.Struct):
    """A unit of measure: how many of the unit of its category it is."""

    factor: Decimal | None = None


class Product(msgspec.Struct):
    """An article; `default_uom` is the unit in which it is counted."""

    id: Id | None = None
    code: Sku | None = None
    name: str | None = None
    default_uom: Unit | int | None = None


class Service(msgspec.Struct):
    """What is subscribed to."""

    product: Product | int | None = None


class Item(msgspec.Struct):
    """A line; one that is a title or a comment has no quantity. What was not asked for in detail is only its key."""

    id: Id
    quantity: Decimal | Exact | None = None
    product: Product | int | None = None
    service: Service | int | None = None
    unit: Unit | int | None = None
    type: str | None = None
    origin: str | None = None
    create_date: Moment | None = None
    write_date: Moment | None = None

    @property
    def article(self) -> Product:
        """The product, directly or by the service."""
        service = self.service if isinstance(self.service, Service) else Service()
        product = self.product or service.product
        return product if isinstance(product, Product) else Product()


class Document(msgspec.Struct):
    """A sale or a subscription; or a complaint or a line, of which only what they refer to is read."""

    state: str = ""
    id: Id | None = None
    number: Id | None = None
    model: str = msgspec.field(name="__name__", default=SALE)
    lines: list[Item] | None = None
    party: Party | int | None = None
    revision: int | None = None
    origin: str | None = None
    sale: int | None = None
    create_date: Moment | None = None
    write_date: Moment | None = None

    @property
    def reference(self) -> str:
        """What others call it."""
        return f"{self.model},{self.id}"

    @property
    def parent(self) -> str | None:
        """What it was made of: a return of a sale or of a complaint, a complaint of a sale or of a line."""
        return f"{SALE},{self.sale}" if self.model == LINE and self.sale else self.origin

    @property
    def changed_at(self) -> int:
        """When it or one of its lines was made or last written, in microseconds since 1970; 0 if that is not told."""
        moments = [self.create_date, self.write_date]
        for item in self.lines or ():
            moments += [item.create_date, item.write_date]
        return max((_microseconds(each) for each in moments if each), default=0)


def changes_of(documents: list[Document], since: date | None = None) -> tuple[Change, ...]:
    """What the documents mean, without those made before a day; the sale of a return is known if it is among them."""
    known = {each.reference: each for each in documents}
    return tuple(change for each in documents if not _older(each, since) for change in _changes(each, known))


def document_of(record: bytes | msgspec.Raw) -> Document:
    """One record. InvalidRequest if it is none."""
    return read(bytes(record), Document, "document of Tryton")


def parent_of(document: msgspec.Raw) -> str | None:
    """What leads on from a document to the sale that it is of, as `sale.sale,2`; None if nothing does."""
    try:
        parent = document_of(document).parent or ""
    except InvalidRequest:  # it is told to a person when its turn comes
        return None
    model, _, key = parent.partition(",")
    return parent if model in ORIGINS and key.isascii() and key.isdigit() and len(key) <= 18 else None


def _older(document: Document, since: date | None) -> bool:
    made = document.create_date
    return since is not None and made is not None and (made.year, made.month, made.day) < since.timetuple()[:3]


def _changes(document: Document, known: Mapping[str, Document]) -> Iterable[Change]:
    model = MODELS.get(document.model)
    if model is None:
        return
    if not document.state:
        raise InvalidRequest("The state of a document is missing.")
    kind = model.states.get(document.state)
    if kind is None:
        return
    number = identifier(model.prefix + required(document.number, "The number of a document"), "The number")
    given = [(item, count) for item in document.lines or () if (count := _quantity(item)) is not None]
    taken = [_line(item, count, returned=True) for item, count in given if count < 0]
    ordered = [_line(item, count, returned=False) for item, count in given if count >= 0]
    told: dict[str, Any] = {
        "order_number": number,
        "version": document.changed_at // 1000,
        "customer": _customer(document.party),
    }
    if kind == "cancelled":
        yield Change(kind=kind, **told)
        return
    if document.lines is None:
        raise InvalidRequest(f"Document {number!r} came without lines: the user of the key may not read them.")
    if ordered or not taken:
        amended = "changed" if document.revision else "placed"
        yield Change(kind=amended, full_snapshot=not taken, lines=tuple(ordered), **told)  # type: ignore[arg-type]
    if taken:
        yield Change(kind="returned", lines=tuple(taken), origin=_source(document.origin, known), **told)


def _source(origin: str | None, known: Mapping[str, Document]) -> str | None:
    """The number of the sale that something is of; Tryton's own reference if that sale is not at hand."""
    reference = origin or ""
    for _ in range(HOPS):
        document = known.get(reference)
        if document is None:
            break
        if document.model == SALE:
            return id_text(document.number) or None
        reference = document.parent or ""
    return (origin or "")[:200] or None


def _line(item: Item, count: Decimal, *, returned: bool) -> Line:
    """A line; in a return that tells it, with the id of the line in the original sale."""
    model, _, original = (item.origin or "").partition(",")
    line_id = identifier(original if returned and model == LINE else id_text(item.id), "A line's id")
    name = label(item.article.name)
    return Line(
        line_id=line_id,
        sku=item.article.code or "",
        quantity=abs(count),
        alternatives=() if item.article.code or not name else numbers(name),
    )


def _quantity(item: Item) -> Decimal | None:
    """How many of the article, in the unit in which it is counted; None if the line is a title or a comment."""
    if (item.type or "line") != "line":
        return None
    count = item.quantity.decimal if isinstance(item.quantity, Exact) else item.quantity
    what = f"line {id_text(item.id)}"
    if count is None:
        if item.type:
            raise InvalidRequest(f"The quantity of {what} is missing.")
        return None
    counted(count.copy_abs(), what)
    factor, base = _factor(item.unit), _factor(item.article.default_uom)
    if factor and base and factor != base:
        count = round(count * factor / base, DECIMALS)  # as Tryton itself converts
    counted(count.copy_abs(), what)
    return count.to_integral_value() if count == count.to_integral_value() else count.normalize()


def _factor(unit: Unit | int | None) -> Decimal | None:
    factor = unit.factor if isinstance(unit, Unit) else None
    if factor is not None and not (factor.is_finite() and 1 <= factor * MOST <= MOST**2):
        raise InvalidRequest("The factor of a unit is none.")
    return factor


def _customer(party: Party | int | None) -> Customer | None:
    if isinstance(party, Party):
        return customer(id_text(party.code) or id_text(party.id), party.name, party.email)
    return customer(id_text(party), None, None)


def _microseconds(moment: Moment) -> int:
    try:
        at = datetime(
            moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second, moment.microsecond, UTC
        )
    except (ValueError, OverflowError):
        raise InvalidRequest("A time of the document is none.") from None
    return max(0, (at - EPOCH) // timedelta(microseconds=1))
