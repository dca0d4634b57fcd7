"""The lines of the messages ORDERS and ORDCHG: LIN with its PIA, IMD, QTY and RFF."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from decimal import Decimal

import msgspec

from licentia.connectors import Line
from licentia.errors import InvalidRequest
from licentia_integrations.edifact.interchange import Message, Segment
from licentia_integrations.incoming import identifier, label, quantity
from licentia_integrations.shops import numbers

GONE = frozenset({"2", "7"})
UNTOUCHED = frozenset({"4", "11"})
"""Codes of 1229: a line that is deleted, or not accepted, and one that stays as it is."""

SELLERS = ("SA", "VP", "VN")
KNOWN = ("EN", "SRV", "UP", "IB", "BP", "IN", "MF", "MP")
"""Codes of 7143: the seller's own numbers, then those of the standards, the buyer's and the maker's."""

THIS_PRODUCT, ADDITIONAL = "5", "1"
"""Codes of 4347; others are numbers of articles that stand in for this one."""

ORDERED = ("21", "1")
"""Codes of 6063: the ordered quantity; a plain one counts where that is not told."""

BELOW = frozenset({"ALC", "LOC", "SCC", "TDT"})
"""Segments behind which a QTY is no longer that of the whole line."""

NUMBER = re.compile(r"\+?[0-9]+([.,])?([0-9]*)")
AMBIGUOUS = 3
"""So many digits behind a mark that UNA does not name may be thousands."""


class Item(msgspec.Struct, frozen=True):
    """A line as it stands in the message: LIN and what follows it."""

    head: Segment
    rest: tuple[Segment, ...]


def items_of(message: Message) -> tuple[Item, ...]:
    """The lines of a message, in their order."""
    found: list[tuple[Segment, list[Segment]]] = []
    opened = False
    for segment in message.segments:
        if segment.tag in ("LIN", "UNS"):
            opened = segment.tag == "LIN"
            if opened:
                found.append((segment, []))
        elif opened:
            found[-1][1].append(segment)
    return tuple(Item(head, tuple(rest)) for head, rest in found)


def lines_of(items: Sequence[Item], decimal: str, *, change: bool, whole: bool) -> tuple[Line, ...]:
    """What lines mean.

    Args:
        items: of one message.
        decimal: the mark before a fraction, by UNA.
        change: the message is an ORDCHG, whose lines may name those of the order by RFF+ON.
        whole: these are all lines of the order.

    Raises:
        InvalidRequest: one has no number or no quantity, or is there twice; the segment is named.
    """
    found: dict[str, Line] = {}
    for item in items:
        line = _line(item, decimal, change=change, whole=whole)
        if line is None:
            continue
        if line.line_id in found:
            raise item.head.odd(f"line {line.line_id[:40]!r} is there twice; another number (1082) is wanted")
        found[line.line_id] = line
    return tuple(found.values())


def _line(item: Item, decimal: str, *, change: bool, whole: bool) -> Line | None:
    """A line; None if it stays as it is, and does not tell how many it has."""
    head, action = item.head, item.head.value(2)
    sellers, others = _articles(item)
    ordered = _ordered(item, decimal)
    if action in GONE:
        ordered = Decimal(0)
    if ordered is None:
        if action in UNTOUCHED and not whole:
            return None
        raise head.odd("this line has no ordered quantity, as QTY+21:5")
    known = [*sellers, *others]
    own = head.value(1) or (known[0] if known else "")
    referred = [each.value(1, 3) for each in item.rest if each.tag == "RFF" and each.value(1) == "ON"]
    told = next(filter(None, referred), own) if change else own
    return Line(
        line_id=identified(told, head, "the line's number (1082)"),
        sku=sellers[0] if sellers else "",
        quantity=ordered,
        alternatives=numbers(*sellers[1:], *others),
    )


def _articles(item: Item) -> tuple[list[str], list[str]]:
    """The seller's numbers of an article, and the others: if there are none, its name."""
    told = [(item.head, item.head.value(3, 2), item.head.value(3), True)]
    for each in item.rest:
        if each.tag == "PIA" and each.value(1) in (THIS_PRODUCT, ADDITIONAL):
            certain = each.value(1) == THIS_PRODUCT
            told += [(each, each.value(at, 2), each.value(at), certain) for at in range(2, len(each.elements))]
    by_type: dict[str, list[str]] = {}
    for segment, kind, number, certain in told:
        if number and (certain or kind in SELLERS + KNOWN):
            by_type.setdefault(kind, []).append(identified(number, segment, "the article's number"))
    order = [*SELLERS, *KNOWN, *by_type]
    sellers = [number for kind in SELLERS for number in by_type.get(kind, ())]
    others = [number for kind in order[len(SELLERS) :] if kind not in SELLERS for number in by_type.get(kind, ())]
    if not (sellers or others):
        names = [label(f"{each.value(3, 4)} {each.value(3, 5)}") for each in item.rest if each.tag == "IMD"]
        others = [name for name in names if name][:1]
    known = set(sellers)
    return list(numbers(*sellers)), [each for each in numbers(*others) if each not in known]


def _ordered(item: Item, decimal: str) -> Decimal | None:
    own = list(itertools.takewhile(lambda each: each.tag not in BELOW, item.rest))
    for qualifier in ORDERED:
        told = [each for each in own if each.tag == "QTY" and each.value(1) == qualifier]
        counts = [_counted(each, decimal) for each in told]
        if len({*counts}) > 1:
            raise told[-1].odd("this line has two ordered quantities; one is wanted")
        if counts:
            return counts[0]
    return None


def _counted(segment: Segment, decimal: str) -> Decimal:
    """A quantity. ISO 9735 has no marks of thousands, and takes a comma and a point before a fraction."""
    text = segment.value(1, 2)
    written = NUMBER.fullmatch(text)
    if written and written[1] and written[1] != decimal and len(written[2]) == AMBIGUOUS:
        raise segment.odd(f"the quantity {text[:40]!r} may be two numbers, as UNA names another decimal mark")
    try:
        return quantity(text.replace(",", "."), "the quantity")
    except InvalidRequest as refusal:
        raise segment.odd(refusal.detail.rstrip(".")) from None


def identified(text: str, segment: Segment, what: str) -> str:
    """An id as it is; `what` it is begins the refusal of one that is missing or too long."""
    try:
        return identifier(text, what)
    except InvalidRequest as refusal:
        raise segment.odd(refusal.detail.rstrip(".")) from None
