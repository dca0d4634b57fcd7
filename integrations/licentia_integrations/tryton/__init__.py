"""Sales and subscriptions of Tryton 8 (https://www.tryton.org), as its REST interface tells them.

Tryton itself sends nothing: it is asked for what has changed. A small module of it may ring the doorbell besides,
by Standard Webhooks, so that it is asked at once. Its message is only a doorbell: what a sale is, is fetched.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import msgspec

from licentia.connectors import Change, Delivery, Fetching, Outcome, Page, Polling, WriteBack
from licentia.errors import InvalidRequest, Unavailable
from licentia_integrations.incoming import identifier, settings_of
from licentia_integrations.remote import Api
from licentia_integrations.shops import Id, id_text, milliseconds, read
from licentia_integrations.standard import Event, StandardConnector, StandardSettings
from licentia_integrations.tryton import notes
from licentia_integrations.tryton.documents import (
    FIELDS,
    MODELS,
    ORIGINS,
    SALE,
    SUBSCRIPTION,
    Document,
    changes_of,
    document_of,
)
from licentia_integrations.tryton.polling import PAGE, Sweep, delivery, page, with_origins
from licentia_integrations.tryton.rest import Rest

MOST = 100
"""Documents of one poll."""


class TrytonSettings(StandardSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where Tryton is, and what is asked of it; docs/plugins/tryton.md explains each."""

    api: Api | None = None
    revisions: bool = False
    subscriptions: bool = False
    since: date | None = None


class Rung(msgspec.Struct):
    """What the doorbell tells; the number is enough."""

    number: Id
    model: str = SALE


class Tryton(StandardConnector, Fetching, Polling, WriteBack):
    """One database of Tryton; the settings are those of `TrytonSettings`."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        given = settings_of(TrytonSettings, name, settings)
        super().__init__(name, settings, given)
        self._rest = Rest(given.api) if given.api else None
        self.connected = self._rest is not None
        self._revisions = ("revision",) if given.revisions else ()
        self._models = (SALE, SUBSCRIPTION) if given.subscriptions else (SALE,)
        self._since = given.since

    def _normalise(self, delivery: Delivery) -> tuple[Change, ...]:
        if delivery.body.lstrip()[:1] == b"[":
            return changes_of(read(delivery.body, list[Document], "list of documents of Tryton"), self._since)
        told = read(delivery.body, dict[str, msgspec.Raw], "document of Tryton")
        if "data" not in told:
            return changes_of([document_of(delivery.body)], self._since)
        event = read(delivery.body, Event, "doorbell of Tryton")
        if not event.type.startswith(("order.", "subscription.")):
            return ()
        rung = read(bytes(event.data), Rung, "doorbell of Tryton")
        if rung.model not in MODELS:
            return ()
        number = identifier(id_text(rung.number), "The number")
        return (
            Change(
                kind="pointer",
                order_number=MODELS[rung.model].prefix + number,
                version=milliseconds(event.timestamp),
                pointer=f"{rung.model}/{number}",
            ),
        )

    async def _fetch(self, pointer: str) -> tuple[Delivery, ...]:
        model, _, number = pointer.partition("/")
        if model not in MODELS:
            raise InvalidRequest(f"{pointer[:100]!r} points to nothing in Tryton.")
        found = await self._asked(model, [["number", "=", number]])
        return tuple(delivery(each, pointer) for each in await with_origins(self._asked, found))

    async def _poll(self, cursor: str) -> Page:
        sweeps, found = _sweeps(cursor), list[Delivery]()
        for model in self._models:
            sweep, ended = sweeps.setdefault(model, Sweep()), False
            while not ended and len(found) + PAGE <= MOST:
                fresh, ended = await page(self._needed(), sweep, model, self._fields(model), self._since)
                found += [delivery(each) for each in await with_origins(self._asked, fresh)]
        return Page(deliveries=tuple(found), cursor=msgspec.json.encode(sweeps).decode())

    async def _write_back(self, outcome: Outcome) -> None:
        await notes.write(self._needed(), self.name, outcome)

    async def close(self) -> None:
        """Give up the connections to Tryton."""
        if self._rest is not None:
            await self._rest.close()

    async def _asked(self, model: str, domain: list[Any]) -> list[msgspec.Raw]:
        return (await self._needed().search(model, domain, self._fields(model))).records

    def _fields(self, model: str) -> tuple[str, ...]:
        if model not in MODELS:
            return ORIGINS[model]
        return (*FIELDS, *MODELS[model].fields, *(self._revisions if model == SALE else ()))

    def _needed(self) -> Rest:
        if self._rest is None:
            raise Unavailable(
                f"connector({self.name}): the interface of Tryton is not set.", help="Set `api`, and try again."
            )
        return self._rest


def _sweeps(cursor: str) -> dict[str, Sweep]:
    """How far each model is told. A cursor of another version begins anew, as what comes again is harmless."""
    try:
        return msgspec.json.decode(cursor, type=dict[str, Sweep]) if cursor else {}
    except msgspec.DecodeError:
        return {}
