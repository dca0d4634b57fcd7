"""Files that hold keys: each appears whole or not at all, survives a power cut, and is its owner's only."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path


class KeyFolderError(Exception):
    """A key file cannot be used; the message names the file and what to do."""


def read(path: Path) -> str:
    """The text of a file.

    Raises:
        FileNotFoundError: there is none.
        KeyFolderError: it cannot be read, or is not text.
    """
    try:
        return path.read_text("ascii")
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise KeyFolderError(f"{path} cannot be read: {error}") from None


def create(path: Path, text: str) -> bool:
    """Write a file that is not there yet; False if it is, which then stays as it is."""
    draft = _draft(path, text)
    try:
        # A link fails where a rename would overwrite: the process that came first has the file.
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    sync(path.parent)
    return True


def replace(path: Path, text: str) -> None:
    """Write a file, in place of the one that may be there."""
    _draft(path, text).replace(path)
    sync(path.parent)


def _draft(path: Path, text: str) -> Path:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        draft.unlink()
        raise
    return draft


def sync(folder: Path) -> None:
    """Make names that were added, changed or removed survive a power cut."""
    if sys.platform != "win32":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
