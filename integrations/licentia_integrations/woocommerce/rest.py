"""The REST API of WooCommerce (wc/v3): what has changed, refunds, and what is written into an order.

Requests are those of developer.woocommerce.com/docs/apis/rest-api/v3: orders, order refunds, order notes. Times
that it takes have no offset; with `dates_are_gmt` they are UTC. They are whole seconds, and bounds are exclusive.
"""

from __future__ import annotations

import hashlib
import html
import re
from typing import Any, TypeVar
from urllib.parse import urlencode

import httpx
import msgspec

from licentia.connectors import Delivery, Outcome
from licentia.errors import Unavailable
from licentia_integrations.calls import Caller, Reply, answered, delivered, shrinking
from licentia_integrations.changed import Asked, Row, moment, system_now
from licentia_integrations.offsets import Counted
from licentia_integrations.outcomes import PROBLEM, TICKET, differing
from licentia_integrations.shops import milliseconds
from licentia_integrations.woocommerce.documents import Meta, noted
from licentia_integrations.woocommerce.settings import WooCommerceSettings

API = "WooCommerce's API"
MOST_PROBLEM = 1000
SECOND = 1000
T = TypeVar("T")


class _Head(msgspec.Struct):
    id: int
    date_modified_gmt: str


class _Order(msgspec.Struct):
    meta_data: list[Meta] = []


class _Subscription(msgspec.Struct):
    parent_id: int = 0


class _Note(msgspec.Struct):
    note: str
    customer_note: bool


class _Failed(msgspec.Struct):
    code: str = ""
    message: str = ""


class Rest:
    """The API of one shop, by a key of it."""

    def __init__(self, shop: WooCommerceSettings) -> None:
        assert shop.url is not None
        assert shop.consumer_key is not None
        assert shop.consumer_secret is not None
        self._base = f"{shop.url.rstrip('/')}/wp-json/wc/v3/"
        self._caller = Caller(httpx.BasicAuth(shop.consumer_key, shop.consumer_secret))
        self._note = shop.customer_note

    async def close(self) -> None:
        """Give up the connections."""
        await self._caller.close()

    async def document(self, path: str) -> Delivery | None:
        """What is at a path; None if it is gone."""
        reply = await self._asked("GET", path)
        return delivered(reply.body, self._base + path, path) if reply else None

    async def renewal(self, pointer: str, order: str, subscription: str) -> Delivery | None:
        """An order and the number of the order that its subscription began with; None if the order is gone."""
        renewing, begun = await self._asked("GET", order), await self._asked("GET", f"{subscription}?_fields=parent_id")
        if renewing is None:
            return None
        parent = answered(begun.body, _Subscription, API, "url").parent_id if begun else 0
        body = msgspec.json.encode({"order": msgspec.Raw(renewing.body), "parent_id": parent})
        return delivered(body, self._base + order, pointer)

    async def changed(self, status: str, asked: Asked, skip: int) -> Counted:
        """Orders of a status that have changed; see `licentia_integrations.offsets`."""
        begin = -(-asked.since // SECOND) * SECOND
        query = {
            "status": status,
            "dates_are_gmt": "true",
            "modified_after": _time(begin - SECOND),
            "orderby": "modified" if asked.after is None else "id",
            "order": "asc",
            "offset": str(skip),
        }
        if asked.after is not None:
            query["modified_before"] = _time(begin + SECOND)

        async def ask(most: int) -> Counted:
            return self._counted(await self._asked("GET", f"orders?{urlencode(query | {'per_page': str(most)})}"))

        return await shrinking(ask, asked.most)

    async def write(self, outcome: Outcome) -> None:
        """Write into an order what came of it, if it does not stand there, and tell the buyer of a ticket once."""
        path = f"orders/{outcome.order_number}"
        found = await self._asked("GET", f"{path}?_fields=id,meta_data")
        if found is None:
            return
        fields = answered(found.body, _Order, API, "url").meta_data
        known = {name: noted(fields, name) for name in (TICKET, PROBLEM)}
        if wanted := differing(known, outcome, MOST_PROBLEM):
            await self._asked("PUT", path, {"meta_data": [{"key": key, "value": wanted[key]} for key in wanted]})
        if outcome.ticket and self._note:
            note = self._note.replace("{ticket}", outcome.ticket)
            await self._tell(path, note, outcome.ticket, to_customer=True)
        if outcome.problem:
            note = f"Licentia: {outcome.problem[:MOST_PROBLEM]}"
            await self._tell(path, note, note, to_customer=False)

    async def _tell(self, path: str, note: str, mark: str, *, to_customer: bool) -> None:
        """Add a note, unless there is one with the mark in it; WooCommerce mails those that the customer sees."""
        reply = await self._asked("GET", f"{path}/notes?type={'customer' if to_customer else 'internal'}")
        notes = answered(reply.body, list[_Note], API, "url") if reply else []
        if not any(_bare(mark) in _bare(each.note) for each in notes if each.customer_note is to_customer):
            await self._asked("POST", f"{path}/notes", {"note": note, "customer_note": to_customer})

    def _counted(self, reply: Reply | None) -> Counted:
        total = reply.headers.get("x-wp-total", "") if reply else ""
        if reply is None or not (total.isascii() and total.isdigit()):
            raise Unavailable("The shop sent no list of orders.", help="Check `url`.")
        rows = [self._row(bytes(each)) for each in answered(reply.body, list[msgspec.Raw], API, "url")]
        return Counted(rows, int(total), system_now(reply.headers))

    def _row(self, document: bytes) -> Row:
        try:
            head = msgspec.json.decode(document, type=_Head)
        except msgspec.DecodeError:
            raise Unavailable("An order of the shop has no id, or no time of its last change.") from None
        path = f"orders/{head.id}"
        delivery = delivered(document, self._base + path, path)
        return Row("", milliseconds(head.date_modified_gmt), delivery, hashlib.sha256(document).hexdigest())

    async def _asked(self, method: str, path: str, body: dict[str, Any] | None = None) -> Reply | None:
        sent = None if body is None else msgspec.json.encode(body)
        reply = await self._caller.call(method, self._base + path, body=sent)
        if reply.ok:
            return reply
        failed = _failure(reply.body)
        if reply.gone and (failed.code.endswith("_invalid_id") or path.startswith("subscriptions/")):
            return None
        raise reply.refusal(failed.message)


def _time(milliseconds: int) -> str:
    return moment(milliseconds).partition(".")[0]


def _bare(text: str) -> str:
    """The letters and digits of a note, in which the shop may have put HTML."""
    return re.sub(r"\W+", "", html.unescape(text))


def _failure(body: bytes) -> _Failed:
    try:
        return msgspec.json.decode(body, type=_Failed)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Failed()
