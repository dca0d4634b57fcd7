"""UN/EDIFACT as characters: an interchange, its messages and their segments (ISO 9735, syntax versions 1 to 4).

Only the envelope is known here: UNA, UNB, UNG, UNH, UNT, UNE, UNZ, with their references and counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from licentia.errors import InvalidRequest

MAX_BYTES = 4 * 1024 * 1024
MAX_PARTS = 150_000
"""Segments, elements and components in all, some 5000 lines; the server waits while they are read."""

MAX_MESSAGES = 1000

CHARSETS = {
    "UNOC": "iso-8859-1", "UNOD": "iso-8859-2", "UNOE": "iso-8859-5", "UNOF": "iso-8859-7", "UNOG": "iso-8859-3",
    "UNOH": "iso-8859-4", "UNOI": "iso-8859-6", "UNOJ": "iso-8859-8", "UNOK": "iso-8859-9", "UNOL": "iso-8859-15",
    "UNOW": "utf-8", "UNOY": "utf-8",
}  # fmt: skip
"""The repertoires of data element 0001 that go beyond ASCII."""

CHECKED = frozenset({"ORDERS", "ORDCHG"})
"""The messages that are read; what others say, and how long they are, is nobody's affair here."""

UNB = re.compile(rb"UNB.([A-Z]{4})")
TAG = re.compile(r"[A-Z][A-Z0-9]{2}")
COUNT = re.compile(r"[0-9]{1,9}")
HIDDEN = "\x00\x01\x02\x03"
"""What released service characters stand as while the text is split; none of these may be in an interchange."""


class Marks(msgspec.Struct, frozen=True):
    """The service characters; a `release` that is a blank is none."""

    component: str = ":"
    element: str = "+"
    decimal: str = "."
    release: str = "?"
    terminator: str = "'"


class Segment(msgspec.Struct, frozen=True):
    """A segment; `number` is its place in the interchange, where UNB is 1. The tag is element 0."""

    number: int
    elements: tuple[tuple[str, ...], ...]

    @property
    def tag(self) -> str:
        """What it is, as `LIN`."""
        return self.elements[0][0]

    def value(self, element: int, component: int = 1) -> str:
        """The text of a component, both counted from 1; empty if it is not there."""
        parts = self.elements[element] if element < len(self.elements) else ()
        return parts[component - 1].strip() if component <= len(parts) else ""

    def odd(self, what: str) -> InvalidRequest:
        """The refusal of this segment; `what` is a clause that says what is wrong or wanted."""
        return InvalidRequest(
            f"Segment {self.number} ({self.tag}): {what}.", help="Correct it, and send the whole interchange again."
        )


class Message(msgspec.Struct, frozen=True):
    """A message: its UNH, and the segments between that and its UNT."""

    header: Segment
    segments: tuple[Segment, ...]

    @property
    def type(self) -> str:
        """As `ORDERS`."""
        return self.header.value(2)


class Interchange(msgspec.Struct, frozen=True):
    """What one UNB holds. It is `closed` if its end, UNZ, was there and tells the same count."""

    header: Segment
    messages: tuple[Message, ...]
    marks: Marks
    closed: bool


def read_interchange(body: bytes) -> Interchange:
    """The interchange that a body is.

    Raises:
        InvalidRequest: it is none, breaks off, is too long, or its references and counts do not fit.
    """
    if len(body) > MAX_BYTES:
        raise InvalidRequest(f"This is longer than {MAX_BYTES} bytes.", help="Send several interchanges.")
    text = _text(body.removeprefix(b"\xef\xbb\xbf").lstrip())
    marks = _marks(text)
    segments = _segments(text[9:] if text.startswith("UNA") else text, marks)
    header = next(segments, None)
    if header is None or header.tag != "UNB":
        raise InvalidRequest("An interchange begins with UNB, after a UNA at most; this does not.")
    messages, closed = _messages(header, segments)
    return Interchange(header, messages, marks, closed)


def charset_of(syntax: str) -> str:
    """The Python codec of a syntax identifier, as `UNOC`."""
    return CHARSETS.get(syntax, "ascii")


def _text(body: bytes) -> str:
    found = UNB.search(body[:64])
    charset = charset_of(found[1].decode()) if found else "ascii"
    try:
        text = body.decode(charset)
    except UnicodeDecodeError as error:
        if charset != "ascii":
            raise InvalidRequest(f"Byte {error.start} is no {charset}, which UNB says that this is.") from None
        text = _beyond_ascii(body)
    if any(mark in text for mark in HIDDEN):
        raise InvalidRequest("An interchange has no control characters in its data.")
    return text


def _beyond_ascii(body: bytes) -> str:
    """Senders write umlauts under UNOA, which has none; as UTF-8 they are hardly mistaken."""
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body.decode("iso-8859-1")


def _marks(text: str) -> Marks:
    """What UNA says; without one the marks of level A, or the control characters of level B in ISO 9735:1988."""
    if not text.startswith("UNA"):
        return Marks("\x1f", "\x1d", ".", " ", "\x1c") if text[3:4] == "\x1d" else Marks()
    component, element, decimal, release, _, terminator = tuple(text[3:9].ljust(6))
    known = [component, element, terminator, *release.strip(" ")]
    if len({*known}) != len(known) or any(mark.isalnum() or mark == " " for mark in known):
        raise InvalidRequest("UNA names 6 service characters, none of them twice, a letter or a digit; this does not.")
    return Marks(component, element, decimal, release, terminator)


def _segments(text: str, marks: Marks) -> Iterator[Segment]:
    for line_end in "\r\n":
        if line_end not in (marks.component, marks.element, marks.terminator):
            text = text.replace(line_end, "")
    service = (marks.component, marks.element, marks.terminator)
    if marks.release != " ":
        text = text.replace(marks.release * 2, HIDDEN[3])
        for mark, hidden in zip(service, HIDDEN, strict=False):
            text = text.replace(marks.release + mark, hidden)
        text = text.replace(marks.release, "")
    if sum(map(text.count, service)) > MAX_PARTS:
        raise InvalidRequest(f"This has more than {MAX_PARTS} data elements.", help="Send several interchanges.")
    shown = str.maketrans(dict(zip(HIDDEN, (*service, marks.release), strict=True)))
    *whole, rest = text.split(marks.terminator)
    if marks.terminator in "\r\n":
        whole = [written for written in whole if written.strip()]
    for number, written in enumerate(whole, 1):
        elements = tuple(
            tuple(part.translate(shown) for part in element.split(marks.component))
            for element in written.strip().split(marks.element)
        )
        segment = Segment(number, elements)
        if not TAG.fullmatch(segment.tag):
            raise InvalidRequest(f"Segment {number} begins with {segment.tag[:10]!r}, where a tag as LIN is wanted.")
        yield segment
    if rest.strip():
        raise InvalidRequest(f"Segment {len(whole) + 1} has no end: the interchange breaks off.")


def _messages(header: Segment, segments: Iterator[Segment]) -> tuple[tuple[Message, ...], bool]:
    """The messages, and whether the interchange is closed."""
    messages: list[Message] = []
    groups = before = 0
    group: Segment | None = None
    for segment in segments:
        match segment.tag:
            case "UNH":
                messages.append(_message(segment, segments))
                if len(messages) > MAX_MESSAGES:
                    raise segment.odd(f"there are more than {MAX_MESSAGES} messages; send several interchanges")
            case "UNG" if group is None:
                group, groups, before = segment, groups + 1, len(messages)
            case "UNE" if group is not None:
                _check(segment, len(messages) - before, "messages", group.value(5))
                group = None
            case "UNZ" if group is None:
                _check(segment, groups or len(messages), "groups" if groups else "messages", header.value(5))
                if (more := next(segments, None)) is not None:
                    raise more.odd("nothing is wanted after UNZ; send one interchange at a time")
                return tuple(messages), True
            case _:
                raise segment.odd("it stands outside of a message")
    if group is not None:
        raise group.odd("this group has no UNE: the interchange breaks off")
    return tuple(messages), False


def _message(header: Segment, segments: Iterator[Segment]) -> Message:
    found: list[Segment] = []
    for segment in segments:
        if segment.tag == "UNT":
            message = Message(header, tuple(found))
            if message.type in CHECKED:
                _check(segment, len(found) + 2, "segments", header.value(1))
            return message
        if segment.tag in ("UNB", "UNG", "UNH", "UNE", "UNZ"):
            raise segment.odd(f"the message that begins with segment {header.number} has no UNT before")
        found.append(segment)
    raise header.odd("this message has no UNT: the interchange breaks off")


def _check(trailer: Segment, count: int, of: str, reference: str) -> None:
    told = trailer.value(1)
    if not COUNT.fullmatch(told) or int(told) != count:
        raise trailer.odd(f"it counts {told[:20] or 'no'} {of}, but there are {count}")
    if trailer.value(2) != reference:
        raise trailer.odd(
            f"its reference is {trailer.value(2)[:40]!r}, but that of the beginning is {reference[:40]!r}"
        )
