"""The encoding of a message is known by its name, never guessed."""

from __future__ import annotations

import pytest

from licentia.errors import UnsupportedMediaType
from licentia_gateways.soap import charsets


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("utf8", "utf-8"),
        ("UTF-8", "utf-8"),
        ("US-ASCII", "utf-8"),
        ("ISO_8859-1", "iso-8859-1"),
        ("latin1", "iso-8859-1"),
        ("Windows-1252", "windows-1252"),
        ("utf-16LE", "utf-16le"),
    ],
)
def test_an_encoding_is_known_by_its_usual_names(name: str, known: str) -> None:
    """Case and signs of an encoding's name do not matter."""
    assert charsets.check(name) == known


@pytest.mark.parametrize("name", ["ebcdic-cp-us", "utf-7", "utf-32", "-", "ü"])
def test_an_unknown_encoding_is_refused(name: str) -> None:
    """An encoding that is not read is refused with the ones that are."""
    with pytest.raises(UnsupportedMediaType, match="UTF-8"):
        charsets.check(name)


def test_two_names_for_one_message_are_refused_where_no_byte_could_tell() -> None:
    """ISO-8859-1 in the header and UTF-8 in the declaration would be two readings of the same bytes."""
    body = b'<?xml version="1.0" encoding="utf-8"?><a/>'
    with pytest.raises(UnsupportedMediaType):
        charsets.overruling("iso-8859-1", body)
    assert charsets.overruling("", body) is None
    assert charsets.overruling("utf-8", body) == "utf-8"
    assert charsets.overruling("iso-8859-1", b"\xef\xbb\xbf" + body) is None
