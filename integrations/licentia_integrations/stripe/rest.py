"""The API of Stripe: documents with their lists, pages of lists, and metadata.

Requests are those of docs.stripe.com/api: pagination, errors, metadata, idempotent requests. None names a version:
events stay in the version that the account had when they were made, whatever a request names ("List all events"), so
that one is understood anyway, and it is the one that what is fetched comes in.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec
import structlog

from licentia.connectors import Delivery, Outcome
from licentia.errors import Unavailable
from licentia_integrations.calls import Caller, Reply, answered, delivered, shrinking
from licentia_integrations.changed import system_now
from licentia_integrations.outcomes import differing
from licentia_integrations.remote import BearerToken
from licentia_integrations.stripe.settings import StripeSettings, Written

API = "Stripe's API"
MOST_KEYS, LONGEST_VALUE = 50, 500
"""docs.stripe.com/metadata, "Data"."""

NUMBER = re.compile(r"(sub|in|pi|cs|ch|py)_[A-Za-z0-9_]{1,190}")
PLACES: Mapping[str, Written] = {
    "sub": "subscriptions",
    "in": "invoices",
    "pi": "payment_intents",
    "cs": "checkout_sessions",
    "ch": "charges",
    "py": "charges",
}
"""What an order's number names, by its beginning."""

PATHS: Mapping[str, str] = {"checkout_sessions": "checkout/sessions"}
"""Where that is, if its name does not say it."""

LISTS: Mapping[str, tuple[str, str]] = {
    "checkout/sessions": ("line_items", "checkout/sessions/{}/line_items?limit=100"),
    "invoices": ("lines", "invoices/{}/lines?limit=100"),
    "subscriptions": ("items", "subscription_items?subscription={}&limit=100"),
}
"""What a document calls its list, and where the whole list is."""

FOR_GOOD, TRY_AGAIN = (400, 404), ("api_error", "idempotency_error")
"""A change that is refused with such a status is never possible, unless it is of such a type."""

T = TypeVar("T")
log = structlog.get_logger(__name__)


class Listed(msgspec.Struct):
    """A page of a list, the newest first."""

    data: list[msgspec.Raw]
    has_more: bool = False


class _Metadata(msgspec.Struct):
    metadata: dict[str, str] | None = None


class _Error(msgspec.Struct):
    type: str = ""
    code: str | None = None
    message: str | None = None


class _Failed(msgspec.Struct):
    error: _Error = msgspec.field(default_factory=_Error)


class NoSuchStart(Unavailable):
    """The document that a page was to begin behind is gone."""


class Rest:
    """The API of one account, by a key of it; `now` is the time of Stripe in milliseconds when it last answered."""

    def __init__(self, name: str, key: str, account: StripeSettings) -> None:
        self._name, self._key, self._write_to = name, key, account.write_to
        self._base = f"{account.api_url.rstrip('/')}/v1/"
        self._caller = Caller(BearerToken(key))
        self.now = 0

    async def close(self) -> None:
        """Give up the connections."""
        await self._caller.close()

    async def document(self, place: str, id: str) -> Delivery | None:
        """What a pointer leads to, with its whole list; None if it is gone."""
        pointer, (name, address) = f"{place}/{id}", LISTS[place]
        found = await self._asked(pointer)
        listed = await self._asked(address.format(id)) if found else None
        if found is None or listed is None:
            return None
        document = answered(found.body, dict[str, Any], API, "api_url")
        document[name] = answered(listed.body, dict[str, Any], API, "api_url")
        return delivered(msgspec.json.encode(document), self._base + pointer, pointer)

    async def listed(self, place: str, query: Sequence[tuple[str, str]], most: int, after: str = "") -> Listed | None:
        """A page of a list, of fewer documents where they are long; None if this account has no such list.

        Args:
            place: the list.
            query: what it has to have.
            most: so many documents.
            after: the document that it begins behind.

        Raises:
            NoSuchStart: that is gone.
            Unavailable: Stripe does not answer, or refuses.
        """
        begin = [("starting_after", after)] if after else []

        async def ask(limit: int) -> Reply | None:
            return await self._asked(f"{place}?{urlencode([*query, *begin, ('limit', str(limit))])}", sure=True)

        reply = await shrinking(ask, most)
        return answered(reply.body, Listed, API, "api_url") if reply else None

    def alone(self, document: bytes, place: str) -> Delivery:
        """A document of a list, as a delivery."""
        return delivered(document, self._base + place)

    async def write(self, outcome: Outcome) -> None:
        """Write into the metadata of what an order's number names what came of it, if it does not stand there."""
        number = NUMBER.fullmatch(outcome.order_number)
        place = PLACES[number[1]] if number else None
        if place is None or place not in self._write_to:
            return
        path = f"{PATHS.get(place, place)}/{outcome.order_number}"
        found = await self._asked(path, sure=True)
        if found is None:
            self._unwritten(path, "it is gone")
            return
        known = answered(found.body, _Metadata, API, "api_url").metadata or {}
        wanted = differing(known, outcome, LONGEST_VALUE)
        if not wanted:
            return
        if len({key for key, value in (known | wanted).items() if value}) > MOST_KEYS:
            raise Unavailable(
                f"{path} has {MOST_KEYS} entries of metadata, and more are not allowed.",
                help="Remove one there; it is tried again.",
            )
        form = {f"metadata[{key}]": value for key, value in wanted.items()}
        if refused := await self._posted(path, form):
            self._unwritten(path, refused)

    async def _posted(self, path: str, form: Mapping[str, str]) -> str | None:
        """Change a document; why Stripe never will, if it says so.

        The key is a new one each time: the answer to an old one comes again as it was, also a failure.
        """
        headers = {"content-type": "application/x-www-form-urlencoded", "idempotency-key": str(uuid.uuid4())}
        body = urlencode(form).encode()
        reply = await self._caller.call("POST", self._base + path, headers=headers, body=body)
        if reply.ok:
            return None
        error = _error(reply)
        if reply.status in FOR_GOOD and error.type and error.type not in TRY_AGAIN:
            return self._masked(error.message) or f"status {reply.status}"
        raise reply.refusal(self._masked(error.message))

    def _unwritten(self, path: str, reason: str) -> None:
        log.warning("write_back_impossible", connection=self._name, document=path, reason=reason)

    async def _asked(self, path: str, *, sure: bool = False) -> Reply | None:
        """What is at a path; None if there is nothing. `sure`: only if Stripe itself says that."""
        reply = await self._caller.call("GET", self._base + path)
        self.now = system_now(reply.headers)
        if reply.ok:
            return reply
        error = _error(reply)
        if "starting_after=" in path and error.code == "resource_missing":
            raise NoSuchStart(f"{path.partition('?')[0]} has lost the place of the last poll.")
        if reply.gone and (error.type or not sure):
            return None
        raise reply.refusal(self._masked(error.message))

    def _masked(self, message: str | None) -> str:
        return (message or "").replace(self._key, "***")


def _error(reply: Reply) -> _Error:
    try:
        return msgspec.json.decode(reply.body, type=_Failed).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Error()
