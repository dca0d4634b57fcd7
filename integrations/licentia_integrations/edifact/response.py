"""What goes back: an ORDRSP for each ORDERS and ORDCHG, behind a CONTRL where the sender asks for one (0031).

ORDRSP is a message of UN/EDIFACT, here with the segments that all directories since D.96A have in common;
CONTRL is one of ISO 9735 (version D.3 for the syntax versions up to 3, 4.1 for version 4). Each stands in an
interchange of its own kind, from the recipient of what came to its sender.
"""

from __future__ import annotations

import hashlib
import textwrap
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

from licentia.connectors import Outcome
from licentia_integrations.edifact.interchange import Interchange, Segment, charset_of
from licentia_integrations.edifact.orders import Meant, document, heading

NOT_PROCESSED, NOT_ACCEPTED, ACCEPTED = "12", "27", "29"
"""Codes of 1225 in an ORDRSP: received and not decided yet, refused, and accepted as it is."""

ACKNOWLEDGED = "7"
"""0083: this interchange, and all in it that is not rejected."""

PARTIES = ("BY", "SU")
WIDTH, LINES, TEXTS = 70, 5, 5
"""A text has so many characters, an FTX so many texts, and a response so many FTX."""

Elements = Sequence[str | Sequence[str]]


def reply_to(interchange: Interchange, meant: Sequence[Meant], outcomes: Sequence[Outcome], at: datetime) -> bytes:
    """The reply to an interchange; empty if there is nothing to say.

    Args:
        interchange: that came.
        meant: its messages that mean a change.
        outcomes: what came of them, in their order as far as they are of one order.
        at: when the interchange came, which is when it is answered.
    """
    header = interchange.header
    replies = []
    if header.value(9) == "1":
        subject = [header.value(5), header.elements[2], header.elements[3], ACKNOWLEDGED]
        kind = ["CONTRL", "4", "1", "UN"] if header.value(1, 2) == "4" else ["CONTRL", "D", "3", "UN"]
        replies.append(_interchange(header, [_message(1, kind, [["UCI", *subject]])], at))
    responses = [
        _message(number, ["ORDRSP", *_directory(each)], _response(each, told, header.value(1), at))
        for number, (each, told) in enumerate(_paired(meant, outcomes), 1)
    ]
    if responses:
        replies.append(_interchange(header, responses, at))
    return "".join(replies).encode(charset_of(header.value(1)), "xmlcharrefreplace")


def _paired(meant: Sequence[Meant], outcomes: Sequence[Outcome]) -> Iterable[tuple[Meant, Sequence[Outcome]]]:
    """Each message with what came of it: several of one order have their outcomes in their own order."""
    if len(meant) == 1:
        yield meant[0], outcomes
        return
    told: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        told[outcome.order_number].append(outcome)
    messages = Counter(each.change.order_number for each in meant)
    ahead = {number: iter(found) for number, found in told.items() if len(found) == messages[number]}
    for each in meant:
        number = each.change.order_number
        yield each, [next(ahead[number])] if number in ahead else told[number]


def _directory(meant: Meant) -> list[str]:
    """Version, release and agency of the message that is answered; an association's code is another for ORDRSP."""
    return [meant.message.header.value(2, part) for part in (2, 3, 4)]


def _response(meant: Meant, outcomes: Sequence[Outcome], syntax: str, at: datetime) -> list[Elements]:
    problems = [each.problem for each in outcomes if each.problem]
    tickets = list(dict.fromkeys(each.ticket for each in outcomes if each.ticket))
    code = NOT_ACCEPTED if problems else ACCEPTED if tickets else NOT_PROCESSED
    note = " ".join(problems) or (f"License ticket: {', '.join(tickets)}" if tickets else "")
    begin = document(meant.message)
    segments: list[Elements] = [
        ["BGM", "231", begin.value(2), code],
        ["DTM", ["137", f"{at:%Y%m%d%H%M}", "203"]],
        *(["FTX", "AAI", "", "", texts] for texts in _texts(note, syntax)),
        ["RFF", ["ON", _referred(meant)]],
    ]
    for party in heading(meant.message):
        if party.tag == "NAD" and party.value(1) in PARTIES and party.value(2):
            segments.append(["NAD", party.value(1), [party.value(2, part) for part in (1, 2, 3)]])
    return [*segments, ["UNS", "S"]]


def _referred(meant: Meant) -> str:
    """The number of the order, as its buyer writes it."""
    found = (each.value(1, 2) for each in heading(meant.message) if each.tag == "RFF" and each.value(1) == "ON")
    own = document(meant.message).value(2)
    return own if meant.change.kind == "placed" else next(filter(None, found), own)


def _texts(note: str, syntax: str) -> list[list[str]]:
    """A note in the widths of C108, and in capitals where there is nothing else."""
    plain = "".join(each if each.isprintable() else " " for each in note)
    charset = charset_of(syntax)
    written = plain.encode(charset, "replace").decode(charset)
    lines = textwrap.wrap(written.upper() if syntax == "UNOA" else written, WIDTH)[: LINES * TEXTS]
    return [lines[at : at + LINES] for at in range(0, len(lines), LINES)]


def _message(number: int, kind: Sequence[str], segments: Sequence[Elements]) -> list[Elements]:
    return [["UNH", str(number), kind], *segments, ["UNT", str(len(segments) + 2), str(number)]]


def _interchange(to: Segment, messages: Sequence[Sequence[Elements]], at: datetime) -> str:
    """An interchange, whose reference is made of what it says and of when that was."""
    body = "".join(_written(segment) for message in messages for segment in message)
    reference = hashlib.sha256(f"{to.elements}{at}{body}".encode()).hexdigest()[:14].upper()
    day = f"{at:%Y%m%d}" if to.value(1, 2) == "4" else f"{at:%y%m%d}"
    header: list[str | Sequence[str]] = ["UNB", to.elements[1], _part(to, 3), _part(to, 2), [day, f"{at:%H%M}"]]
    header.append(reference)
    if test := to.value(11):
        header += ["", "", "", "", "", test]
    return f"UNA:+.? '{_written(header)}{body}{_written(['UNZ', str(len(messages)), reference])}"


def _part(segment: Segment, element: int) -> Sequence[str]:
    return segment.elements[element] if element < len(segment.elements) else ("",)


def _written(segment: Elements) -> str:
    """A segment with the service characters of level A, without what is empty at the ends."""
    elements = [[each] if isinstance(each, str) else each for each in segment]
    texts = [":".join(map(_released, each)).rstrip(":") for each in elements]
    return "+".join(texts).rstrip("+") + "'"


def _released(text: str) -> str:
    return "".join(f"?{mark}" if mark in "?:+'" else mark for mark in text)
