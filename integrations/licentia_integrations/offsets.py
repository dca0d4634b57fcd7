"""How connectors walk along changes in a system that counts rows, but takes no condition on their numbers.

Rows that changed at one time are asked for by how many to skip. While that goes on a row may change and leave
them, and the rest moves up; the total tells, and then it is begun again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

import msgspec
from msgspec import Meta

from licentia_integrations.changed import Asked, Row, Told


class Counted(msgspec.Struct, frozen=True):
    """The rows, how many there are in all, and the time of the system in milliseconds."""

    rows: list[Row]
    total: int
    now: int


AskPage = Callable[[Asked, int], Awaitable[Counted]]
"""Asks the system for the rows behind so many others."""


class _Place(msgspec.Struct, frozen=True, array_like=True):
    """So many rows of a total are known."""

    skip: Annotated[int, Meta(ge=0)] = 0
    total: int = -1


class ByOffset:
    """`licentia_integrations.changed.Ask` for such a system.

    Args:
        ask: for one page; if `Asked.after` is not None, the rows have to be in an order that does not change.
    """

    def __init__(self, ask: AskPage) -> None:
        self._ask = ask

    async def __call__(self, asked: Asked) -> Told:
        """The rows; their numbers say where they stand."""
        place = _place(asked.after)
        found = await self._ask(asked, place.skip)
        if place.skip and found.total != place.total:
            place = _Place()
            found = await self._ask(asked, 0)
        number = msgspec.json.encode(_Place(place.skip + len(found.rows), found.total)).decode()
        rows = [msgspec.structs.replace(row, number=number) for row in found.rows]
        return Told(rows, place.skip + len(rows) < found.total, found.now)


def _place(after: str | None) -> _Place:
    try:
        return msgspec.json.decode(after or "[]", type=_Place)
    except msgspec.DecodeError:
        return _Place()
