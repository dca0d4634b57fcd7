"""The character encodings of a message: which are read, under which names, and which of two names counts.

XML asks for UTF-8 and UTF-16. Older senders write ISO-8859-1 or Windows-1252: these are read too,
when they are named, as no byte tells them apart. An answer is always in UTF-8.
"""

from __future__ import annotations

import re
from functools import lru_cache

from licentia.errors import UnsupportedMediaType

_READ = {
    "utf8": "utf-8",
    "usascii": "utf-8",  # a part of it
    "ascii": "utf-8",
    "utf16": "utf-16",
    "utf16le": "utf-16le",
    "utf16be": "utf-16be",
    "iso88591": "iso-8859-1",
    "latin1": "iso-8859-1",
    "windows1252": "windows-1252",
    "cp1252": "windows-1252",
}
"""By the name without signs and case, as senders write `utf8`, `UTF-8` and `ISO_8859-1`."""

_ANY_BYTES_FIT = frozenset({"iso-8859-1", "windows-1252"})
_BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_DECLARATION = re.compile(rb"""<\?xml[^>]{0,100}?\sencoding\s*=\s*["']([\w.:-]{1,40})["']""")


@lru_cache(maxsize=64)
def check(name: str) -> str:
    """The encoding of this name, as libxml2 knows it.

    Raises:
        UnsupportedMediaType: it is not one of those that are read.
    """
    found = _READ.get(re.sub(r"[^a-z0-9]", "", name.lower()))
    if found is None:
        raise UnsupportedMediaType("Send UTF-8, UTF-16, ISO-8859-1 or Windows-1252, and name it in the Content-Type.")
    return found


def overruling(charset: str, body: bytes) -> str | None:
    """The encoding that overrules the XML declaration: the charset, unless a byte order mark says more (RFC 7303).

    Raises:
        UnsupportedMediaType: the charset is not read, or the declaration says otherwise and no byte could tell.
    """
    if not charset:
        return None
    encoding = check(charset)
    if body.startswith(_BYTE_ORDER_MARKS):
        return None
    if encoding in _ANY_BYTES_FIT and (declared := _DECLARATION.match(body)):
        other = check(declared[1].decode("ascii"))
        if other != encoding:
            raise UnsupportedMediaType(f"The Content-Type says {encoding}, the XML declaration {other}: name one.")
    return encoding
