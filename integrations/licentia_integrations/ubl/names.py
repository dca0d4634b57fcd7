"""The names of UBL 2 (OASIS, UBL-2.1 section 3): its namespaces, and the texts at a path."""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree

SCHEMA = "urn:oasis:names:specification:ubl:schema:xsd:"
"""What the namespace of every document and component begins with."""

NS = {"cac": f"{SCHEMA}CommonAggregateComponents-2", "cbc": f"{SCHEMA}CommonBasicComponents-2"}


def texts(element: etree._Element, *paths: str) -> Iterator[str]:
    """The texts at these paths that are not empty, in the order of the paths."""
    for path in paths:
        for found in element.iterfind(path, NS):
            if text := (found.text or "").strip():
                yield text
