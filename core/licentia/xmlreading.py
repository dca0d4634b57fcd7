"""Reads XML that a stranger sent: no document type, no entities, no network, and bounds on everything.

A document without a document type can declare no entity, so it cannot grow while it is read
(XML 1.0, section 4.1). What is left to bound is its size, how deep it is and of how many nodes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lxml import etree

from licentia.errors import DocumentInvalid

ENCODINGS = frozenset({"utf-8", "utf-16", "utf-16le", "utf-16be", "us-ascii", "ascii", "iso-8859-1", "iso-8859-15",
                       "windows-1252"})  # fmt: skip
"""Those that business systems send; encodings with a state, as UTF-7 and ISO-2022, hide text from filters."""

MAX_ATTRIBUTES = 256
"""On one element; lxml takes time by their square to list them."""

MAX_ATTRIBUTE = 16_384
"""Characters of one attribute's value."""

_CHUNK = 16_384
_REPEATED = 200


def read_xml(
    body: bytes,
    *,
    max_bytes: int = 4_194_304,
    max_depth: int = 64,
    max_nodes: int = 200_000,
    encoding: str | None = None,
) -> etree._Element:
    """The root element of a document, without comments and processing instructions.

    Args:
        body: the document as it came.
        max_bytes: how long it may be.
        max_depth: how many elements may be open at once.
        max_nodes: how many elements, attributes and namespace declarations it may have in all.
        encoding: the `charset` of its media type, which overrules the XML declaration (RFC 7303, section 3).

    Raises:
        DocumentInvalid: it is not well-formed, has a document type, or goes beyond a bound.
    """
    if len(body) > max_bytes:
        raise _refused(f"it is longer than {max_bytes} bytes")
    if encoding is not None:
        _check_encoding(encoding)
    parser = etree.XMLPullParser(
        ("start", "end", "start-ns"),
        encoding=encoding,
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    bounds = _Bounds(max_depth, max_nodes)
    try:
        for start in range(0, len(body), _CHUNK):
            parser.feed(body[start : start + _CHUNK])
            bounds.check(parser.read_events())
        root: etree._Element = parser.close()
    except etree.XMLSyntaxError as error:
        raise _refused(str(error.msg)) from None
    bounds.check(parser.read_events())
    _check_encoding(root.getroottree().docinfo.encoding or "utf-8")
    for flaw in parser.feed_error_log:
        if flaw.level > etree.ErrorLevels.WARNING:  # where a warning came last, lxml lets errors pass
            raise _refused(flaw.message)
    return root


class _Bounds:
    def __init__(self, max_depth: int, max_nodes: int) -> None:
        self.max_depth = max_depth
        self.max_nodes = max_nodes
        self.depth = 0
        self.nodes = 0

    def check(self, events: Iterable[tuple[str, Any]]) -> None:
        """Count what was read since the last time."""
        for event, what in events:
            if event == "end":
                self.depth -= 1
                continue
            self.nodes += 1
            if event == "start":
                self._check_element(what)
            if self.nodes > self.max_nodes:
                raise _refused(f"it has more than {self.max_nodes} elements and attributes")

    def _check_element(self, element: etree._Element) -> None:
        attributes = len(element.attrib)
        self.depth += 1
        self.nodes += attributes
        if self.depth == 1 and element.getroottree().docinfo.internalDTD is not None:
            raise _refused("it has a document type, which is not allowed")
        if self.depth > self.max_depth:
            raise _refused(f"its elements are nested deeper than {self.max_depth}")
        if attributes > MAX_ATTRIBUTES:
            raise _refused(f"an element has more than {MAX_ATTRIBUTES} attributes")
        if attributes and any(len(value) > MAX_ATTRIBUTE for value in element.attrib.values()):
            raise _refused(f"an attribute is longer than {MAX_ATTRIBUTE} characters")


def _check_encoding(name: str) -> None:
    if name.lower() not in ENCODINGS:
        raise _refused(f"it is encoded as {name[:_REPEATED]!r}, which is not read here")


def _refused(why: str) -> DocumentInvalid:
    return DocumentInvalid(f"The XML document is refused: {' '.join(why[:_REPEATED].split())}.")
