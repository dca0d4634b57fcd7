"""The one file of a container on its machine: it is there whole, old or new, whatever happens while it is written."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from licentia.errors import DocumentInvalid

LIMIT = 4 * 2**20
"""The longest file that is read, in bytes."""


class Store:
    """The file at `path`. It is its owner's only, and one process changes it at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> bytes | None:
        """The whole file; None if there is none.

        Raises:
            DocumentInvalid: it is too long to be a container.
        """
        try:
            with self.path.open("rb") as file:
                data = file.read(LIMIT + 1)
        except FileNotFoundError:
            return None
        if len(data) > LIMIT:
            raise DocumentInvalid(f"{self.path} is too long to be a container.")
        return data

    def write(self, data: bytes) -> None:
        """Replace the file, durably: when this returns, a power cut takes nothing back. Only while `alone`."""
        draft = self.draft(data)
        try:
            self.publish(draft)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise

    def draft(self, data: bytes) -> Path:
        """The new content in a file beside the old one, in place of what a process that died left there."""
        draft = self.path.with_name(f".{self.path.name}.draft")
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        return draft

    def publish(self, draft: Path) -> None:
        """Put the draft in the place of the old file."""
        draft.replace(self.path)
        if sys.platform != "win32":
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from changing the file meanwhile; they wait."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self.path.with_name(f".{self.path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(descriptor)
            yield
        finally:
            with suppress(OSError):
                os.close(descriptor)


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
