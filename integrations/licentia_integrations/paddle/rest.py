"""The API of Paddle Billing: its events, and what is written into subscriptions and customers.

Rules are those of developer.paddle.com/api-reference. A transaction that is paid cannot be changed any more, nor can a
subscription that is canceled. `custom_data` is replaced as a whole, so that what others wrote there is sent again.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

import msgspec
from msgspec import Meta

from licentia.connectors import Outcome
from licentia.errors import Unavailable
from licentia_integrations.calls import Caller, Reply, answered, delivered, shrinking
from licentia_integrations.changed import system_now
from licentia_integrations.outcomes import differing
from licentia_integrations.paddle.stream import Found, Listed
from licentia_integrations.remote import BearerToken
from licentia_integrations.shops import Key, milliseconds

API = "Paddle's API"
PAGE = 100
"""Events of one answer; Paddle gives up to 200."""

MOST_PROBLEM = 500
ORDER = re.compile(r"(txn|sub)_[A-Za-z0-9]{1,100}")
Id = Annotated[str, Meta(pattern=r"^[a-z]{2,9}_[A-Za-z0-9]{1,100}\Z")]
T = TypeVar("T")


class _Event(msgspec.Struct):
    event_id: Key
    occurred_at: str


class _Pagination(msgspec.Struct):
    has_more: bool


class _About(msgspec.Struct):
    pagination: _Pagination


class _Events(msgspec.Struct):
    data: list[msgspec.Raw]
    meta: _About


class _Entity(msgspec.Struct):
    """A transaction, a subscription or a customer, as far as it tells where something is written."""

    custom_data: dict[str, Any] | None = None
    customer_id: Id | None = None
    subscription_id: Id | None = None
    origin: str | None = None
    status: str | None = None


class _One(msgspec.Struct):
    data: _Entity


class _Reason(msgspec.Struct):
    code: str = ""
    detail: str = ""


class _Failed(msgspec.Struct):
    error: _Reason


class Rest:
    """The API of one account, by a key of it."""

    def __init__(self, address: str, key: str) -> None:
        self._base = f"{address}/"
        self._caller = Caller(BearerToken(key), {"paddle-version": "1"})

    async def close(self) -> None:
        """Give up the connections."""
        await self._caller.close()

    async def events(self, behind: str, newest_first: bool) -> Listed:
        """Events behind one; see `licentia_integrations.paddle.stream`."""
        query = {"order_by": "id[DESC]" if newest_first else "id[ASC]"} | ({"after": behind} if behind else {})

        async def ask(most: int) -> Reply | None:
            return await self._asked("GET", f"events?{urlencode(query | {'per_page': str(most)})}")

        reply = await shrinking(ask, PAGE)
        if reply is None:
            raise Unavailable("There is no list of events.", help="Check `api_url`.")
        page = answered(reply.body, _Events, API, "api_url")
        return Listed([self._found(bytes(each)) for each in page.data], page.meta.pagination.has_more,
                      system_now(reply.headers))  # fmt: skip

    async def write(self, outcome: Outcome) -> None:
        """Write what came of an order where Paddle lets it be written, if it does not stand there."""
        if not ORDER.fullmatch(outcome.order_number):
            return
        path, suffix, holder = await self._place(outcome.order_number)
        if holder is None:
            return
        known = holder.custom_data or {}
        if wanted := differing(known, outcome, MOST_PROBLEM, suffix):
            await self._asked("PATCH", path, {"custom_data": known | wanted})

    async def _place(self, number: str) -> tuple[str, str, _Entity | None]:
        """Where it is written, what the names end with there, and what stands there; None if it can be nowhere."""
        bought = number.startswith("txn_")
        path = f"{'transactions' if bought else 'subscriptions'}/{number}"
        order = holder = await self._entity(path)
        if order is None:
            return path, "", None
        if bought:
            begun = order.subscription_id if order.origin != "subscription_charge" else None
            path = f"subscriptions/{begun}"
            holder = await self._entity(path) if begun else None
        if holder is not None and holder.status != "canceled":
            return path, "", holder
        path = f"customers/{order.customer_id}"
        return path, f"_{number}", await self._entity(path) if order.customer_id else None

    async def _entity(self, path: str) -> _Entity | None:
        """What is at a path; None if it is gone."""
        reply = await self._asked("GET", path)
        return answered(reply.body, _One, API, "api_url").data if reply else None

    def _found(self, document: bytes) -> Found:
        try:
            head = msgspec.json.decode(document, type=_Event)
        except msgspec.DecodeError:
            raise Unavailable("An event of Paddle has no id, or no time.") from None
        return Found(head.event_id, milliseconds(head.occurred_at), delivered(document, f"{self._base}events"))

    async def _asked(self, method: str, path: str, body: dict[str, Any] | None = None) -> Reply | None:
        sent = None if body is None else msgspec.json.encode(body)
        reply = await self._caller.call(method, self._base + path, body=sent)
        if reply.ok:
            return reply
        reason = _reason(reply.body)
        if reply.gone and reason.code:
            return None
        raise reply.refusal(reason.detail)


def _reason(body: bytes) -> _Reason:
    """Why Paddle refuses; nothing if it is not Paddle who says so."""
    try:
        return msgspec.json.decode(body, type=_Failed).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Reason()
