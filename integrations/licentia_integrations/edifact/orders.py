"""What the messages ORDERS and ORDCHG mean (UN/EDIFACT directories D.96A and later, and EANCOM, which is a subset)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from licentia.connectors import Change, ChangeKind, Customer
from licentia_integrations.edifact.interchange import Interchange, Message, Segment
from licentia_integrations.edifact.lines import Item, identified, items_of, lines_of
from licentia_integrations.edifact.times import version_of
from licentia_integrations.incoming import customer

ORDERS, ORDCHG = "ORDERS", "ORDCHG"

AS_NEW = frozenset({"", "7", "9", "18", "22", "35", "43", "47", "53"})
"""Codes of 1225: the message is an original, or one again. An ORDERS is an order then, and an ORDCHG a change."""

WHOLE = frozenset({"5", "21"})
IN_PART = frozenset({"2", "4", "36"})
CANCELS = frozenset({"1", "3", "17"})
SILENT = frozenset(
    [
        *("6", "8", "10", "11", "12", "13", "14", "15", "16", "20", "23", "24", "25", "26", "31", "32", "33", "41"),
        *("42", "46", "48", "51", "52", "55"),
    ]
)
"""Confirmations, proposals, copies, forecasts, what is on hold, and changes of the heading alone."""

TEST = "53"
BUYERS = ("BY", "OB", "IV", "BT")
"""Codes of 3035: who buys, else who ordered, else who is invoiced or billed."""


class Meant(msgspec.Struct, frozen=True):
    """A message and the change that it means."""

    message: Message
    change: Change


def meant_by(interchange: Interchange, *, complete_changes: bool, qualify: bool) -> tuple[Meant, ...]:
    """The messages of an interchange that change orders, in their order, with what they mean.

    Args:
        interchange: that came.
        complete_changes: a change has all lines of the order.
        qualify: the buyer's id stands before the order's number.

    Raises:
        InvalidRequest: one of them has not what it needs; the segment is named.
    """
    found = []
    for message in interchange.messages:
        if message.type in (ORDERS, ORDCHG):
            change = _change(message, interchange, complete_changes)
            if change is not None:
                found.append(Meant(message, _qualified(change, message) if qualify else change))
    return tuple(found)


def heading(message: Message) -> tuple[Segment, ...]:
    """The segments before the first line."""
    end = next((at for at, each in enumerate(message.segments) if each.tag in ("LIN", "UNS")), None)
    return message.segments[:end]


def document(message: Message) -> Segment:
    """The BGM of a message.

    Raises:
        InvalidRequest: there is none.
    """
    found = next((each for each in heading(message) if each.tag == "BGM"), None)
    if found is None:
        raise message.header.odd("a BGM is wanted in this message")
    return found


def _change(message: Message, interchange: Interchange, complete_changes: bool) -> Change | None:
    begin, stamp = document(message), _first(heading(message), "DTM", "137")
    function = begin.value(3)
    if function in SILENT:
        return None
    kind: ChangeKind
    if function in CANCELS:
        kind = "cancelled"
    elif message.type == ORDERS and function in AS_NEW | WHOLE:
        kind = "placed"
    elif function in AS_NEW | WHOLE | IN_PART:
        kind = "changed"
    else:
        raise begin.odd(f"{function[:10]!r} is no function of an order (1225)")
    whole = kind == "placed" or (kind == "changed" and (complete_changes or function in WHOLE))
    items = items_of(message) if kind != "cancelled" else ()
    new = kind == "placed" and function in AS_NEW
    return Change(
        kind=kind,
        order_number=_number(begin) if new else _referred(message, begin, items),
        version=version_of(stamp, interchange.header),
        full_snapshot=whole,
        customer=_buyer(heading(message)),
        lines=lines_of(items, interchange.marks.decimal, change=message.type == ORDCHG, whole=whole),
        test=function == TEST or interchange.header.value(11) not in ("", "0"),
    )


def _qualified(change: Change, message: Message) -> Change:
    buyer = change.customer
    if buyer is None:
        raise message.header.odd("a NAD+BY is wanted in this message, as order numbers are qualified by the buyer")
    number = identified(f"{buyer.id}/{change.order_number}", message.header, "the order's number")
    return msgspec.structs.replace(change, order_number=number)


def _number(begin: Segment) -> str:
    """The number of the document itself."""
    return identified(begin.value(2), begin, "the document's number (1004)")


def _referred(message: Message, begin: Segment, items: Sequence[Item]) -> str:
    """The order that a message is about: in its heading, in its lines, or else of its own number."""
    in_lines = [each for item in items for each in item.rest] if message.type == ORDCHG else []
    for segments in (heading(message), in_lines):
        found = [each for each in segments if each.tag == "RFF" and each.value(1) == "ON" and each.value(1, 2)]
        if len({each.value(1, 2) for each in found}) > 1:
            raise found[-1].odd("this message names two orders; one is wanted")
        if found:
            return identified(found[0].value(1, 2), found[0], "the order's number")
    return _number(begin)


def _buyer(segments: Sequence[Segment]) -> Customer | None:
    for role in BUYERS:
        for at, party in enumerate(segments):
            if party.tag == "NAD" and party.value(1) == role:
                name = _joined(party, 4) or _joined(party, 3)
                return customer(party.value(2) or name[:200], name, _email(segments[at + 1 :]))
    return None


def _joined(segment: Segment, element: int) -> str:
    parts = segment.elements[element] if element < len(segment.elements) else ()
    return " ".join(part.strip() for part in parts[:5] if part.strip())


def _email(segments: Sequence[Segment]) -> str:
    """That of a contact of a party, which the segments begin behind."""
    for segment in segments:
        if segment.tag == "NAD":
            break
        if segment.tag == "COM":
            for at in range(1, len(segment.elements)):
                if segment.value(at, 2) == "EM":
                    return segment.value(at)
    return ""


def _first(segments: Sequence[Segment], tag: str, qualifier: str) -> Segment | None:
    found: Iterator[Segment] = (each for each in segments if each.tag == tag and each.value(1) == qualifier)
    return next(found, None)
