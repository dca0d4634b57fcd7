"""The documents that have changed, as the OData V2 services list them by the time of their last change.

A filter of version 2 compares with `datetimeoffset'...'` (OData 2.0, overview, section 6); conditions are only
joined by `and`, as not every service of SAP takes an `or` over several fields.
"""

from __future__ import annotations

import hashlib
from urllib.parse import quote

import msgspec

from licentia.errors import Unavailable
from licentia_integrations.calls import Caller, Reply, delivered, shrinking
from licentia_integrations.changed import Asked, Row, Told, moment, system_now
from licentia_integrations.remote import Api
from licentia_integrations.sap.odata import SETS, WITH_ITEMS, date

MOST, PAGE = 100, 20
"""Documents of one poll, and of one answer; with all its fields a line takes about 4 KiB."""


class Named(msgspec.Struct):
    """What a row tells of itself."""

    SalesOrder: str | None = None
    CustomerReturn: str | None = None
    LastChangeDateTime: str | None = None


class Page(msgspec.Struct):
    """The rows of an answer, as they came; `next` is there where the server makes smaller pages than wanted."""

    results: list[msgspec.Raw]
    next: str | None = msgspec.field(name="__next", default=None)


class Answered(msgspec.Struct):
    """What OData V2 wraps everything into."""

    d: Page


class Changed:
    """Asks for the changed documents of one kind."""

    def __init__(self, caller: Caller, api: Api, kind: str) -> None:
        self._caller, self._api, self._kind = caller, api, kind

    async def __call__(self, asked: Asked) -> Told:
        """The rows; of documents that are very long there are less in an answer."""

        async def ask(most: int) -> Told:
            return self._rows(await self._caller.call("GET", self._address(asked, most)), most)

        return await shrinking(ask, asked.most)

    def _address(self, asked: Asked, most: int) -> str:
        conditions = [f"LastChangeDateTime ge datetimeoffset'{moment(asked.since)}'"]
        order = f"LastChangeDateTime,{self._kind}"
        if asked.after is not None:
            conditions.append(f"LastChangeDateTime lt datetimeoffset'{moment(asked.since + 1)}'")
            conditions += [f"{self._kind} gt '{asked.after}'"] if asked.after else []
            order = self._kind
        filter = quote(" and ".join(conditions))
        path = f"{SETS[self._kind]}?$filter={filter}&$orderby={order}&$top={most}&{WITH_ITEMS}"
        return self._api.address(path)

    def _rows(self, reply: Reply, most: int) -> Told:
        if not reply.ok:
            raise reply.refusal(said(reply.body))
        try:
            page = msgspec.json.decode(reply.body, type=Answered).d
            rows = [self._row(bytes(each)) for each in page.results]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Unavailable(f"{reply.host} sent no list of documents.", help="Check `api.url`.") from None
        return Told(rows, len(rows) >= most or page.next is not None, system_now(reply.headers))

    def _row(self, document: bytes) -> Row:
        told = msgspec.json.decode(document, type=Named)
        number, changed = told.CustomerReturn or told.SalesOrder, date(told.LastChangeDateTime)
        if not number or not changed:
            raise msgspec.ValidationError("a document has no number, or no time of its last change")
        url = self._api.address(f"{SETS[self._kind]}('{number}')")
        body = b'{"d":' + document + b"}"
        return Row(number, changed, delivered(body, url), hashlib.sha256(body).hexdigest())


class _Message(msgspec.Struct):
    value: str = ""


class _Error(msgspec.Struct):
    message: _Message


class _Failed(msgspec.Struct):
    error: _Error


def said(body: bytes) -> str:
    """What an answer of OData V2 says of its failure; nothing if it says nothing."""
    try:
        return msgspec.json.decode(body, type=_Failed).error.message.value
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
