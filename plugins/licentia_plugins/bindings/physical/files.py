"""Small files of the system, read as text with a bound."""

from __future__ import annotations

from pathlib import Path

from licentia_plugins.bindings.physical.features import Absent

LONGEST = 2**20
"""Bytes that are read of a file; `/proc/cpuinfo` has some 1,500 for each processor."""


def content(path: Path) -> bytes:
    """What is in the file.

    Raises:
        Absent: it is not there, or may not be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(LONGEST)
    except FileNotFoundError:
        raise Absent("this machine shows none") from None
    except PermissionError:
        raise Absent("only root may read it") from None
    except OSError as error:
        raise Absent(f"it cannot be read: {error.strerror}") from None


def text(path: Path) -> str:
    """The file as text; bytes that are not UTF-8 are taken for Latin-1. Errors as in `content`."""
    read = content(path)
    try:
        return read.decode("utf-8")
    except UnicodeDecodeError:
        return read.decode("latin-1")
