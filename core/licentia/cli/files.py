"""Files that a person names: read whole, but never without a bound."""

from __future__ import annotations

from pathlib import Path

from licentia.cli.command import Failure
from licentia.errors import InvalidRequest


def read(file: Path, limit: int) -> bytes:
    """The bytes of a file.

    Raises:
        Failure: it cannot be read.
        InvalidRequest: it has more bytes than `limit`.
    """
    try:
        with file.open("rb") as opened:
            content = opened.read(limit + 1)
    except OSError as error:
        raise Failure(f"{file} cannot be read: {error.strerror}.") from None
    if len(content) > limit:
        raise InvalidRequest(f"{file.name} has more than {limit} bytes.", help="Check that it is the file you meant.")
    return content


def write(file: Path, content: bytes) -> None:
    """Write a file anew.

    Raises:
        Failure: it cannot be written.
    """
    try:
        file.write_bytes(content)
    except OSError as error:
        raise Failure(f"{file} cannot be written: {error.strerror}. Repeating the command is safe.") from None
