"""Numbers and names of other systems as ids of ours."""

from __future__ import annotations

import hashlib
import re

LONGEST = 64
_OTHER = re.compile(r"[^A-Za-z0-9._\-]")
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")


def natural(number: str) -> str:
    """The id for a number of another system, which may have any characters; different numbers have different ids.

    What an id cannot have is written as `~` and its UTF-8 in hexadecimal; what is too long ends in a hash.
    """
    id = _OTHER.sub(lambda match: "".join(f"~{octet:02x}" for octet in match[0].encode("utf-8", "replace")), number)
    if len(id) <= LONGEST:
        return id
    digest = hashlib.sha256(number.encode("utf-8", "replace")).hexdigest()[:24]
    return f"{id[: LONGEST - 26]}~~{digest}"


def as_id(number: str) -> str:
    """The id for what a person wrote: an id as it is, else that of another system's number."""
    return number if re.fullmatch(r"[A-Za-z0-9._~\-]{1,64}", number) else natural(number)


def printable(text: str | None, longest: int) -> str | None:
    """A text for people, without what XML 1.0 cannot carry; None if nothing is left."""
    return _UNPRINTABLE.sub("", text or "")[:longest] or None
