"""vendure: orders of a Vendure shop, told by Licentia's plugin for it, and asked for by the Admin API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from licentia.connectors import Change, Delivery, Outcome, Page, Polling, WriteBack
from licentia_integrations.changed import cursor_of, positions
from licentia_integrations.incoming import settings_of
from licentia_integrations.offsets import ByOffset
from licentia_integrations.shops import read
from licentia_integrations.standard import Event, StandardConnector
from licentia_integrations.vendure.admin import Admin
from licentia_integrations.vendure.documents import Order
from licentia_integrations.vendure.orders import Orders
from licentia_integrations.vendure.settings import VendureSettings

PAGE = 100
"""Orders of one poll; a shop answers 100 at most, by its `adminListQueryLimit` perhaps more."""


class Vendure(StandardConnector, Polling, WriteBack):
    """An order earns licenses when its payments are settled."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        self._given = settings_of(VendureSettings, name, settings)
        super().__init__(name, settings, self._given)
        api = self._given.api
        self.connected = api is not None
        self._admin = Admin(api) if api else None
        self._orders = Orders(self._admin, api) if self._admin and api else None

    async def close(self) -> None:
        """Give up the connections to the shop."""
        if self._admin is not None:
            await self._admin.close()

    def _normalise(self, delivery: Delivery) -> tuple[Change, ...]:
        if delivery.pointer:
            return read(delivery.body, Order, "order of Vendure").changes(self._given)
        event = read(delivery.body, Event, "event of Vendure")
        if not event.type.startswith("order."):
            return ()
        order = read(bytes(event.data), Order, "order of Vendure")
        return order.changes(self._given, event.type, event.timestamp)

    async def _poll(self, cursor: str) -> Page:
        if self._orders is None:
            return Page(deliveries=(), cursor=cursor)
        known = positions(cursor, ("orders",), self._given.poll_from)
        found = await known["orders"].walk(ByOffset(self._orders.changed), PAGE, PAGE)
        return Page(deliveries=tuple(found), cursor=cursor_of(known))

    async def _write_back(self, outcome: Outcome) -> None:
        if self._orders is not None:
            await self._orders.write(outcome)
