"""tryton: sales and subscriptions of Tryton 8, by its REST interface.

Tryton sends no webhooks. A module that posts the number of a sale when it is confirmed is a doorbell: it is not
rung for an amendment, nor again if nobody answers. What a sale is, its document says, and that is fetched.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from licentia.connectors import Change, Delivery, Fetching
from licentia.errors import InvalidRequest, Unavailable
from licentia_integrations.incoming import identifier, settings_of
from licentia_integrations.remote import Api, login_of
from licentia_integrations.shops import Id, fetched, id_text, milliseconds, read
from licentia_integrations.standard import Event, StandardConnector, StandardSettings
from licentia_integrations.tryton.documents import FIELDS, MODELS, SALE, Document, changes_of, original_of


class TrytonSettings(StandardSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where Tryton is; docs/plugins/tryton.md explains each."""

    api: Api | None = None
    revisions: bool = False


class Rung(msgspec.Struct):
    """What the doorbell tells; the number is enough."""

    number: Id
    model: str = SALE


class Tryton(StandardConnector, Fetching):
    """Settings: `secret` of the doorbell; `api`, where documents are fetched; `revisions`, if sales have them."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        given = settings_of(TrytonSettings, name, settings)
        super().__init__(name, settings, given)
        self._api = given.api
        self._login = login_of(given.api)
        self._revisions = ("revision",) if given.revisions else ()

    def _normalise(self, delivery: Delivery) -> tuple[Change, ...]:
        if delivery.body.lstrip()[:1] == b"[":
            return changes_of(read(delivery.body, list[Document], "list of documents of Tryton"))
        told = read(delivery.body, dict[str, msgspec.Raw], "document of Tryton")
        if "data" not in told:
            return changes_of([read(delivery.body, Document, "document of Tryton")])
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
        found = await self._asked(model, ["number", "=", number], pointer)
        originals = sorted({key for each in found if (key := original_of(each)) is not None})
        if originals:  # a return tells only the key of the original sale, and not its number
            found += await self._asked(SALE, ["id", "in", originals], pointer)
        if not found:
            return ()
        return (Delivery(body=msgspec.json.encode(found), pointer=pointer, received_at=datetime.now(UTC)),)

    async def _asked(self, model: str, condition: list[Any], pointer: str) -> list[msgspec.Raw]:
        """The documents of a model that are so, as they came; none if there is no such model."""
        if self._api is None:
            raise Unavailable(
                f"connector({self.name}): the interface of Tryton is not set.", help="Set `api`, and try again."
            )
        domain = base64.urlsafe_b64encode(msgspec.json.encode([condition])).decode()
        fields = (*FIELDS, *MODELS[model].fields, *(self._revisions if model == SALE else ()))
        query = [("d", domain), *(("f", field) for field in fields)]
        url = self._api.address(f"rest/model/{quote(model)}?{urlencode(query)}")
        answer = await fetched(url, pointer, {}, self._login)
        return [] if answer is None else read(answer.body, list[msgspec.Raw], "list of documents of Tryton")
