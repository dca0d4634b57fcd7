"""What a running demo tells other programs: its address, keys and tickets, in a file of this user's own."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

import msgspec


class DemoProduct(msgspec.Struct, frozen=True, kw_only=True):
    """A seeded product; `quantity` is its seats per unit sold."""

    sku: str
    product_code: str
    quantity: int


class DemoInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A demo that is ready. `keys` has one key per scope, `tickets` one for each of `products`."""

    base_url: str
    keys: dict[str, str]
    tickets: list[str]
    products: list[DemoProduct]


def well_known() -> Path:
    """Where the demo of this user leaves its info."""
    user = os.getuid() if hasattr(os, "getuid") else "me"
    folder = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    return (folder if folder.is_dir() else Path(tempfile.gettempdir())) / f"licentia-demo-{user}.json"


def write(file: Path, info: DemoInfo) -> None:
    """Write it in one step, readable by the owner only, so that who sees the file sees all of it.

    Raises:
        OSError: the folder cannot be written.
    """
    draft = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(msgspec.json.format(msgspec.json.encode(info)) + b"\n")
        draft.replace(file)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def read(file: Path) -> DemoInfo | None:
    """The info in this file, if it is there, whole, and nobody else's."""
    try:
        with file.open("rb") as stream:
            if hasattr(os, "getuid") and os.fstat(stream.fileno()).st_uid != os.getuid():
                return None
            return msgspec.json.decode(stream.read(), type=DemoInfo)
    except (OSError, msgspec.DecodeError):
        return None


def remove(file: Path, info: DemoInfo) -> None:
    """Remove the file if it still tells of this demo, not of one that was started later."""
    if read(file) == info:
        file.unlink(missing_ok=True)
