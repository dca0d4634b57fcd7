"""dynamics: webhooks of Business Central and of Dataverse, and the sales documents that they point to."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from licentia.connectors import Answer, Change, Connector, Delivery, Fetching, Handshake
from licentia.errors import InvalidRequest, Unauthenticated, Unavailable
from licentia_integrations.dynamics import dataverse
from licentia_integrations.dynamics.businesscentral import (
    LINES,
    MAX_NOTIFICATIONS,
    RESOURCE,
    Documents,
    Notification,
    Notifications,
)
from licentia_integrations.dynamics.settings import DynamicsSettings
from licentia_integrations.incoming import check_shown, query_of, secrets_of, settings_of
from licentia_integrations.remote import login_of, needed, odd
from licentia_integrations.shops import fetched, read

MAX_TOKEN = 2000
MAX_PAGES = 100


class Told(msgspec.Struct):
    """What tells the kinds of JSON apart."""

    PrimaryEntityName: str | None = None
    salesorderid: str | None = None
    value: list[dict[str, Any]] | None = None


class Dynamics(Connector, Handshake, Fetching):
    """A sales document earns licenses when it is released, an order of Dataverse when it is submitted."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(name, settings)
        self.known = settings_of(DynamicsSettings, name, settings)
        self._secrets = secrets_of(self.known.secret)
        self._login = login_of(self.known.api)

    def _handshake(self, delivery: Delivery) -> Answer | None:
        """Business Central sends a token when a subscription is made or renewed, and wants it back."""
        token = next((value for name, value in query_of(delivery.url) if name.lower() == "validationtoken"), None)
        if token is None or not 0 < len(token) <= MAX_TOKEN:
            return None
        return Answer(status=200, body=token.encode("utf-8", "replace"))

    async def _authenticate(self, delivery: Delivery) -> None:
        try:
            notifications = self._notifications(delivery.body)
        except InvalidRequest:
            notifications = None
        if notifications is not None:
            if {self._is_secret(each.clientState or "") for each in notifications} != {True}:
                raise Unauthenticated(
                    "A notification has no `clientState` that is known here.",
                    help="Make the subscription anew, with the secret as its `clientState`.",
                )
            return
        header = delivery.headers.get((self.known.secret_header or "").lower(), "")
        codes = [value for name, value in query_of(delivery.url) if name == "code"]
        if True not in {self._is_secret(each) for each in (header, *codes)}:
            check_shown(delivery, self._secrets)

    def _is_secret(self, given: str) -> bool:
        shown = given.encode("utf-8", "replace")
        return True in {hmac.compare_digest(each.encode(), shown) for each in self._secrets}

    def _notifications(self, body: bytes) -> list[Notification] | None:
        """The notifications of Business Central; None if it is something else."""
        told = read(body, Told, "document of Dynamics")
        if told.value is None or (told.value and "resource" not in told.value[0]):
            return None
        found = read(body, Notifications, "notification of Business Central").value
        if len(found) > MAX_NOTIFICATIONS:
            raise odd(f"it has more than {MAX_NOTIFICATIONS} notifications")
        return found

    def _delivery_id(self, delivery: Delivery) -> str:
        try:
            names = [each.identity() for each in self._notifications(delivery.body) or ()]
            if not names and read(delivery.body, Told, "context").PrimaryEntityName:
                operation = read(delivery.body, dataverse.Context, "context").OperationId or ""
                names = [operation] if operation.strip("0-") else []
        except InvalidRequest:
            names = []
        named = "\n\n".join(sorted(names)).encode("utf-8", "replace")
        return hashlib.sha256(named or delivery.body).hexdigest()

    def _normalise(self, delivery: Delivery) -> tuple[Change, ...]:
        told = read(delivery.body, Told, "document of Dynamics")
        if told.PrimaryEntityName is not None:
            change = read(delivery.body, dataverse.Context, "context of Dataverse").change()
            return (change,) if change and dataverse.ORDER in self.known.entities else ()
        if told.salesorderid is not None:
            return read(delivery.body, dataverse.Order, "order of Dataverse").changes(self.known)
        notifications = self._notifications(delivery.body)
        if notifications is not None:
            pointed = (each.change(self.known.entities) for each in notifications)
            return tuple({change.pointer: change for change in pointed if change}.values())
        documents = read(delivery.body, Documents, "document of Business Central").documents()
        return tuple(change for each in documents for change in each.changes(self.known))

    async def _fetch(self, pointer: str) -> tuple[Delivery, ...]:
        if dataverse.POINTER.fullmatch(pointer):
            api = needed(self.known.api)
            address = api.address(f"api/data/v9.2/{pointer}?{dataverse.QUERY}")
            order = await fetched(address, pointer, {}, self._login)
            return (order,) if order else ()
        found = RESOURCE.fullmatch(pointer)
        if found is None:
            return ()
        api = needed(self.known.api)
        mark = "&" if found["filter"] else "?"
        return await self._pages(api.address(f"{pointer}{mark}$expand={LINES[found['entity']]}"), pointer)

    async def _pages(self, address: str, pointer: str) -> tuple[Delivery, ...]:
        """All pages of an answer; the next one is asked for only where the first one was."""
        pages: list[Delivery] = []
        following: str | None = address
        while following:
            if urlsplit(following)[:2] != urlsplit(address)[:2] or len(pages) == MAX_PAGES:
                raise Unavailable("Business Central names a next page elsewhere, or too many of them.")
            page = await fetched(following, pointer, {}, self._login)
            if page is None:
                break
            pages.append(page)
            following = read(page.body, Documents, "document of Business Central").next
        return tuple(pages)
