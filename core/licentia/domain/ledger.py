"""What a business system has told about one order, and what that comes to.

A system tells the state of an order, of a return, of a renewal; each by a number of its own, perhaps
twice and in any order. The ledger keeps the newest state under each number, and nothing is added up but
from there: so a message that comes again, or late, changes nothing. Quantities that an order comes to
are what was ordered less what all returns took back.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Literal

import msgspec

from licentia.connectors import Change, Customer, Line

WHOLE = Decimal(-1)
"""In a return, of a line: all of it."""

TIMES = 10**11
"""Versions from here on are times, as milliseconds since 1970, which all numbers of a system have in common."""


STATES, DOCUMENTS = ("placed", "changed"), ("returned", "renewed")
"""What is told of an order itself, and what is a document of its own."""


class Parked(Exception):
    """An order cannot be applied as it is told, and why; a person may mend that, and have it tried again.

    Attributes:
        code: for programs.
        awaits: the number of the order that has to be told first; it is tried again by itself then.
    """

    def __init__(self, code: str, detail: str, *, awaits: str | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.awaits = awaits


class Seen(msgspec.Struct, frozen=True):
    """The newest state that was told under a number."""

    version: int
    at: datetime

    def older_than(self, other: Seen, *, elsewhere: bool = False) -> bool:
        """Whether the other is newer, perhaps of another number.

        That is said by their versions if both have one, and they can be compared; else by when they came.
        """
        if min(self.version, other.version) >= (TIMES if elsewhere else 1):
            return (self.version, self.at) < (other.version, other.at)
        return self.at < other.at


class Told(msgspec.Struct, kw_only=True):
    """A line, as the system told it, and what it is sold as once that is `known`.

    That is `factor` of the product `sku` per piece; None: nothing is licensed by it. `by` and `seen` say what
    told its quantity.
    """

    article: str
    alternatives: tuple[str, ...] = ()
    options: dict[str, str] = {}
    quantity: Decimal
    by: str = ""
    seen: Seen | None = None
    known: bool = False
    sku: str | None = None
    factor: int = 1

    def count(self, quantity: Decimal, by: str, seen: Seen) -> None:
        """Take a quantity, unless a newer one is known."""
        if self.seen is None or not seen.older_than(self.seen, elsewhere=by != self.by):
            self.quantity, self.by, self.seen = quantity, by, seen


class Document(msgspec.Struct, kw_only=True):
    """A return or a renewal: of these lines, so many of each; of all where `whole`; of nothing where neither.

    `undone_by` is the number of what took it back, which is its own where it was called off.
    """

    kind: Literal["returned", "renewed"]
    lines: dict[str, Decimal] = {}
    whole: bool = False
    undone_by: str = ""

    def is_of(self, line_id: str) -> bool:
        """Whether it is about a line, and stands."""
        return not self.undone_by and (self.whole or line_id in self.lines)


class Ledger(msgspec.Struct, kw_only=True):
    """All that is known of an order of a system.

    Attributes:
        number: as the system writes it.
        cancelled: the order was; `ended`, if its last part was.
        documents: its returns and renewals, each by its number, as `key` has it.
        names: other numbers of these documents, as that of a payment.
        parts: the lines that a subscription of the order has, by its number.
        seen: the newest state under each number that is about this order.
        early: that it was cancelled, or all paid back, before anything else was told of it.
    """

    number: str
    customer: Customer | None = None
    placed: bool = False
    cancelled: bool = False
    ended: bool = False
    test: bool = False
    lines: dict[str, Told] = {}
    documents: dict[str, Document] = {}
    names: dict[str, str] = {}
    parts: dict[str, list[str]] = {}
    seen: dict[str, Seen] = {}
    early: Change | None = None

    def key(self, change: Change) -> str:
        """The number that a change is known by.

        A renewal that has no number of its own is known by its version; a return or a renewal that has the
        order's number is none of the order's own states.
        """
        number = change.order_number
        if change.kind == "renewed" and change.origin in (None, number):
            return f"{number} renewed {change.version}"
        return f"{number} {change.kind}" if change.kind in DOCUMENTS and number == self.number else number

    def is_stale(self, change: Change, at: datetime) -> bool:
        """Whether something newer is known than this change, which came at an instant."""
        seen = self.seen.get(self.key(change))
        return seen is not None and Seen(change.version, at).older_than(seen)

    @property
    def over(self) -> bool:
        """Whether nothing of it goes on."""
        return self.cancelled or self.ended

    def quantities(self) -> dict[str, Decimal]:
        """What is left of each line, in pieces of the article."""
        left = {}
        for line_id, line in self.lines.items():
            back = [d for d in self.documents.values() if d.kind == "returned" and d.is_of(line_id)]
            if any(d.whole or d.lines[line_id] == WHOLE for d in back):
                left[line_id] = Decimal(0)
            else:
                left[line_id] = max(Decimal(0), line.quantity - sum((d.lines[line_id] for d in back), Decimal(0)))
        return left

    def renewals(self, line_id: str) -> int:
        """How often a line was renewed."""
        return sum(d.kind == "renewed" and d.is_of(line_id) for d in self.documents.values())


def tell(ledger: Ledger, change: Change, at: datetime, *, part: bool) -> None:
    """Add a change to the ledger of its order.

    Args:
        ledger: of the order, changed in place; of no use after a refusal.
        change: that is not stale.
        at: when it came.
        part: its number is not the order's own, but of a subscription in it.

    Raises:
        Parked: it cannot be said what it means for the order.
    """
    key, seen = ledger.key(change), Seen(change.version, at)
    before = ledger.seen.get(key)
    if change.kind not in STATES or change.full_snapshot:  # else a line may have an older state that is not known yet
        ledger.seen[key] = seen
    if change.customer is not None and (ledger.customer is None or (change.kind in STATES and not part)):
        ledger.customer = _buyer(change.customer, ledger.customer)
    match change.kind:
        case "changed" if part and not change.lines and change.origin in ledger.documents:
            ledger.names[change.order_number] = change.origin or ""
        case "placed" | "changed" if part:
            _tell_part(ledger, change, seen)
            ledger.ended = ledger.ended and not any(ledger.quantities().values())
        case "placed" | "changed":
            if ledger.cancelled and not (change.version and before is not None and before.version):
                raise Parked(
                    "order_cancelled", f"Order {ledger.number!r} was cancelled, and which state is newer is not told."
                )
            ledger.placed, ledger.cancelled, ledger.ended = True, False, False
            ledger.test = ledger.test or change.test
            _tell_lines(ledger, change, seen)
        case "cancelled" if change.order_number in ledger.documents:
            _call_off(ledger, change.order_number)
        case "cancelled" if part and (lines := _of_part(ledger, change)):
            for line_id in lines:
                ledger.lines[line_id].count(Decimal(0), key, seen)
            ledger.ended = not any(ledger.quantities().values())
        case "cancelled":
            ledger.cancelled = True
            ledger.early = None if ledger.placed else change
        case "returned":
            _tell_return(ledger, change)
        case "renewed":
            _tell_renewal(ledger, change, seen)


def begin_with(ledger: Ledger, placed: Change) -> None:
    """Know a renewal of what nobody knows as what its order began with, so that it is not counted as one."""
    ledger.documents[ledger.key(msgspec.structs.replace(placed, kind="renewed"))] = Document(kind="renewed")


def _buyer(told: Customer, known: Customer | None) -> Customer:
    """Who buys; what was told of the same one before stays where nothing else is told now."""
    if known is None or known.id != told.id:
        return told
    return Customer(id=told.id, name=told.name or known.name, email=told.email or known.email)


def _tell_lines(ledger: Ledger, change: Change, seen: Seen) -> None:
    told = {line.line_id: line for line in change.lines}
    if change.full_snapshot:
        for line_id, known in ledger.lines.items():
            if line_id not in told:
                known.count(Decimal(0), change.order_number, seen)
    for line_id, line in told.items():
        _set(ledger, line_id, line, change.order_number, seen)


def _tell_part(ledger: Ledger, change: Change, seen: Seen) -> None:
    """A subscription's state: its lines are those of the order with the same article."""
    mine = ledger.parts.setdefault(change.order_number, [])
    told = []
    for line in change.lines:
        line_id = match(ledger, line) or line.line_id
        _set(ledger, line_id, line, change.order_number, seen)
        told.append(line_id)
    if change.full_snapshot:
        for line_id in mine:
            if line_id not in told:
                ledger.lines[line_id].count(Decimal(0), change.order_number, seen)
    mine.extend(line_id for line_id in told if line_id not in mine)


def _set(ledger: Ledger, line_id: str, line: Line, by: str, seen: Seen) -> None:
    known = ledger.lines.get(line_id)
    if known is not None and _is_same_article(known, line):
        known.count(line.quantity, by, seen)
    elif known is None or known.seen is None or not seen.older_than(known.seen, elsewhere=by != known.by):
        ledger.lines[line_id] = Told(
            article=line.sku,
            alternatives=line.alternatives,
            options=dict(line.options),
            quantity=line.quantity,
            by=by,
            seen=seen,
        )


def _is_same_article(known: Told, line: Line) -> bool:
    """Whether a line tells the article that is known; one that tells no number means it."""
    if line.sku:
        return (known.article, known.options) == (line.sku, line.options)
    numbers = {known.article, *known.alternatives}
    return not line.alternatives or not known.alternatives or not numbers.isdisjoint(line.alternatives)


def _of_part(ledger: Ledger, change: Change) -> list[str]:
    matched = [match(ledger, line) for line in change.lines]
    return [line_id for line_id in matched if line_id] or ledger.parts.get(change.order_number, [])


def _tell_return(ledger: Ledger, change: Change) -> None:
    key, of = ledger.key(change), ledger.names.get(change.origin or "", change.origin or "")
    origin = ledger.documents.get(of)
    if origin is not None and origin.kind == "renewed":
        if not _is_all_of(ledger, change, origin):
            raise Parked(
                "undecided", f"A part of the renewal {change.origin!r} was paid back; what that ends is not told."
            )
        origin.undone_by = change.order_number
        if of != change.order_number:
            ledger.documents[key] = Document(kind="returned")
        return
    if change.full_snapshot and change.order_number == change.origin == ledger.number:
        ledger.documents[key] = Document(kind="returned", whole=True)
        ledger.early = None if ledger.placed else change
        return
    if not change.lines and not change.full_snapshot:
        raise Parked("undecided", f"Something of order {ledger.number!r} was paid back, but not told for which lines.")
    lines: dict[str, Decimal] = {}
    for line in change.lines:
        line_id = _matched(ledger, line)
        lines[line_id] = WHOLE if not line.quantity else lines.get(line_id, Decimal(0)) + line.quantity
    ledger.documents[key] = Document(kind="returned", lines=lines, whole=not lines)


def _is_all_of(ledger: Ledger, change: Change, renewal: Document) -> bool:
    """Whether a return takes back all of a renewal."""
    if not change.lines:
        return change.full_snapshot
    back = {_matched(ledger, line): line.quantity for line in change.lines}
    return bool(renewal.lines) and all(
        line_id in back and (not back[line_id] or back[line_id] >= count) for line_id, count in renewal.lines.items()
    )


def _call_off(ledger: Ledger, number: str) -> None:
    """A return that is called off takes nothing back, and a renewal that is called off was none."""
    ledger.documents[number].undone_by = number
    for key, document in ledger.documents.items():
        if document.undone_by == number and key != number:
            document.undone_by = ""


def _tell_renewal(ledger: Ledger, change: Change, seen: Seen) -> None:
    number, key = change.order_number, ledger.key(change)
    if change.origin in (None, number) and not change.version:
        raise Parked("undecided", f"Order {number!r} was renewed, but this renewal cannot be told from another.")
    known = ledger.documents.get(key)
    if known is not None and not (known.lines or known.whole):
        return  # the order began with it
    lines: dict[str, Decimal] = {}
    for line in change.lines:
        line_id = _matched(ledger, line)
        lines[line_id] = line.quantity
        if change.full_snapshot and line.quantity:
            ledger.lines[line_id].count(line.quantity, key, seen)
    undone_by = "" if known is None or known.undone_by == number else known.undone_by
    ledger.documents[key] = Document(kind="renewed", lines=lines, whole=not lines, undone_by=undone_by)


def match(ledger: Ledger, line: Line) -> str | None:
    """The line of the order that another document means: by its id, else by the article."""
    known = ledger.lines.get(line.line_id)
    if known is not None and (not line.sku or not known.article or _same_article(known, line)):
        return line.line_id
    same = [line_id for line_id, told in ledger.lines.items() if _same_article(told, line)]
    exact = [line_id for line_id in same if ledger.lines[line_id].options == line.options]
    found = exact or same
    if not found:
        return None
    left: Mapping[str, Decimal] = ledger.quantities()
    return next((line_id for line_id in found if left[line_id] >= max(line.quantity, Decimal(1))), found[0])


def _matched(ledger: Ledger, line: Line) -> str:
    line_id = match(ledger, line)
    if line_id is None:
        raise Parked("line_unknown", f"Order {ledger.number!r} has no line {line.line_id!r} or article {line.sku!r}.")
    return line_id


def _same_article(told: Told, line: Line) -> bool:
    mine, others = {told.article, *told.alternatives} - {""}, {line.sku, *line.alternatives} - {""}
    return told.article == line.sku if told.article and line.sku else bool(mine & others)
