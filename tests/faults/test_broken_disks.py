"""SQLite files that cannot be written for a while."""

from __future__ import annotations

import resource
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from licentia.errors import Unavailable


@contextmanager
def no_space_after(size: int) -> Iterator[None]:
    """No file of this process can grow beyond so many bytes, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_full_disk_is_survived(data: Path, open_shop: Any) -> None:
    """While the disk is full nothing is half done, and when there is space again the server works."""
    async with open_shop(f"sqlite:///{data / 'licentia.db'}") as shop:
        await shop.license("cad", "anna", 5)
        for turn in range(3):
            claim = {"lease_id": f"lease-{turn}", "product_code": "cad", "user": "anna"}
            with no_space_after((data / "licentia.db-wal").stat().st_size), pytest.raises(Unavailable):
                await shop.call("CheckoutLicense", **claim)
            assert (await shop.call("CheckoutLicense", **claim)).seats_in_use == turn + 1
        assert await shop.faults() == []


async def test_a_locked_file_is_survived(data: Path, open_shop: Any) -> None:
    """While a stranger (a backup tool, say) locks the file callers are told so; afterwards the server works."""
    async with open_shop(f"sqlite:///{data / 'licentia.db'}") as shop:
        async with shop.application.database.read() as connection:
            await connection.rows("PRAGMA busy_timeout = 50")
        stranger = sqlite3.connect(data / "licentia.db", isolation_level=None)
        stranger.execute("BEGIN IMMEDIATE")
        for _ in range(3):
            with pytest.raises(Unavailable):
                await shop.offer("cad")
        stranger.rollback()
        stranger.close()
        await shop.offer("cad")
        assert await shop.faults() == []
