"""From BER to DER, with bounds: what foreign ASN.1 goes through before anything else looks at it.

Clouds write CMS in BER with indefinite lengths (X.690, section 8.1.3.6). A hostile sender can nest
those without end. Here every element is counted and every depth is limited, so what comes out is
small, definite in length, and can be given to a parser that knows no bounds of its own.
"""

from __future__ import annotations

MAX_BYTES = 64 * 1024
MAX_DEPTH = 24
"""A certificate in a signed document reaches 12."""

MAX_ELEMENTS = 4096
"""A document with three certificates has some 600."""

_CONSTRUCTED = 0x20
_OCTET_STRING = 0x04
_INDEFINITE = 0x80


class BerError(ValueError):
    """These bytes are not one element of BER within the bounds; the message is a clause that says why."""


def to_der(data: bytes) -> bytes:
    """The same element with definite, minimal lengths and octet strings in one piece.

    The order of sets is left as it is. Bytes that are DER already come out unchanged.

    Raises:
        BerError: it is cut off, followed by more, nested too deep, or too large.
    """
    if len(data) > MAX_BYTES:
        raise BerError(f"it has more than {MAX_BYTES} bytes")
    element, end = _Reader(data).element(0, len(data), 0)
    if end != len(data):
        raise BerError("something follows its end")
    return element


def element(tag: int, *parts: bytes) -> bytes:
    """One element in DER, made of parts that are DER, or of octets."""
    contents = b"".join(parts)
    return bytes([tag]) + _length(len(contents)) + contents


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._left = MAX_ELEMENTS

    def element(self, start: int, limit: int, depth: int) -> tuple[bytes, int]:
        """The element that begins at `start`, normalized, and where the next one begins."""
        self._left -= 1
        if depth > MAX_DEPTH or self._left < 0:
            raise BerError("it is nested too deep or has too many elements")
        if limit - start < 2:
            raise BerError("it is cut off")
        tag = self._data[start]
        if tag & 0x1F == 0x1F or tag == 0:
            raise BerError("it has a tag that no signed document uses")
        body, end = self._extent(start + 1, limit)
        if not tag & _CONSTRUCTED:
            if end is None:
                raise BerError("a primitive element has no length")
            return self._data[start:end], end
        parts, end = self._parts(body, end, limit, depth + 1)
        if tag == _OCTET_STRING | _CONSTRUCTED:
            tag, parts = _OCTET_STRING, [_octets(part) for part in parts]
        return element(tag, *parts), end

    def _extent(self, position: int, limit: int) -> tuple[int, int | None]:
        """Where the contents begin, and where they end; None for an indefinite length."""
        first = self._data[position]
        position += 1
        if first == _INDEFINITE:
            return position, None
        length = first
        if first > _INDEFINITE:
            digits = self._data[position : position + (first & 0x7F)]
            position += first & 0x7F
            length = int.from_bytes(digits, "big")
            if len(digits) > 4 or position > limit or _length(length)[1:] != digits:
                raise BerError("a length is cut off, huge, or not in its shortest form")
        if length > limit - position:
            raise BerError("an element is longer than what holds it")
        return position, position + length

    def _parts(self, position: int, end: int | None, limit: int, depth: int) -> tuple[list[bytes], int]:
        parts: list[bytes] = []
        while position != end:
            if end is None and self._data[position : position + 2] == b"\0\0" and limit - position >= 2:
                return parts, position + 2
            part, position = self.element(position, limit if end is None else end, depth)
            parts.append(part)
        return parts, position


def _octets(part: bytes) -> bytes:
    if part[0] != _OCTET_STRING:
        raise BerError("a divided octet string holds something else")
    return part[2 + (part[1] & 0x7F if part[1] > _INDEFINITE else 0) :]


def _length(length: int) -> bytes:
    if length < _INDEFINITE:
        return bytes([length])
    digits = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([_INDEFINITE | len(digits)]) + digits
