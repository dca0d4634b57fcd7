"""Looking up rows by their key for many callers at once.

Whoever asks while a query runs shares the next one: each sees what was committed before it asked, at
a fraction of the cost.
"""

from __future__ import annotations

import asyncio
from typing import Any

from licentia.storage.database import Database
from licentia.storage.retrying import persist

Found = dict[str, Any] | None


class Lookup:
    """Rows of one table by its column `id`."""

    def __init__(self, database: Database, table: str) -> None:
        self._database = database
        self._query = f"SELECT * FROM {table} WHERE id = ANY($1::text[])"
        self._wanted: dict[str, asyncio.Future[Found]] = {}
        self._looking: asyncio.Task[None] | None = None

    async def row(self, id: str) -> Found:
        """The row of this id, or None.

        Raises:
            an error of the database, after it was tried again where that makes sense.
        """
        found = self._wanted.get(id)
        if found is None:
            found = self._wanted[id] = asyncio.get_running_loop().create_future()
            if self._looking is None:
                self._looking = asyncio.create_task(self._look())
        return await asyncio.shield(found)

    async def _look(self) -> None:
        try:
            while self._wanted:
                await asyncio.sleep(0)  # whoever is ready to ask comes aboard
                wanted, self._wanted = self._wanted, {}
                try:
                    rows = await persist(lambda ids=[*wanted]: self._rows(ids))  # type: ignore[misc]
                except Exception as error:
                    for answer in wanted.values():
                        answer.set_exception(error)
                        answer.exception()  # whoever asked may have gone away
                else:
                    found = {row["id"]: row for row in rows}
                    for id, answer in wanted.items():
                        answer.set_result(found.get(id))
        finally:
            self._looking = None

    async def _rows(self, ids: list[str]) -> list[dict[str, Any]]:
        async with self._database.read() as connection:
            return await connection.rows(self._query, ids)
