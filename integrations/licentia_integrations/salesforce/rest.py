"""The REST API of Salesforce: queries with all their pages, and the change of a record.

"REST API Developer Guide", resources Query, QueryAll and sObject Rows. QueryAll also finds what is in the
recycle bin, so that a deleted order is seen to be deleted. An answer has as many records as Salesforce likes
and `nextRecordsUrl` for the rest, and so have the lines inside of a record.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec

from licentia.errors import Unavailable
from licentia_integrations.calls import Caller, Reply
from licentia_integrations.changed import system_now
from licentia_integrations.remote import Api

MOST_PAGES = 20
"""Pages of one query, and of the lines of one order."""

NEXT = re.compile(r"/services/data/v\d{2,3}\.0/query(All)?/[A-Za-z0-9_-]{1,200}")

Record = dict[str, Any]


class Answer(msgspec.Struct):
    """One page of records."""

    records: list[Record]
    done: bool = True
    next_url: str | None = msgspec.field(name="nextRecordsUrl", default=None)


class Problem(msgspec.Struct):
    """Why Salesforce refuses."""

    message: str = ""
    code: str = msgspec.field(name="errorCode", default="")


class Rest:
    """The interface of one organization."""

    def __init__(self, caller: Caller, api: Api, version: str) -> None:
        self._caller, self._api = caller, api
        self._root = f"/services/data/v{version}"
        self.now = 0

    def address(self, object: str, id: str) -> str:
        """Where a record is."""
        return self._api.address(f"{self._root}/sobjects/{object}/{id}")

    async def query(self, soql: str) -> list[Record]:
        """The records that a query finds, each with all its lines; `now` is the time of the system then.

        Raises:
            Unavailable: Salesforce does not answer, refuses, or has more than 20 pages.
        """
        first, self.now = await self._page(f"{self._root}/queryAll?{urlencode({'q': soql})}")
        records = first.records + await self._rest(first)
        for record in records:
            for name, lines in record.items():
                if isinstance(lines, dict) and lines.get("done") is False:
                    part = self._convert(lines)
                    record[name] = {"done": True, "records": part.records + await self._rest(part)}
        return records

    async def change(self, object: str, id: str, fields: Mapping[str, str | None]) -> None:
        """Set fields of a record; errors as in `query`."""
        reply = await self._caller.call("PATCH", self.address(object, id), body=msgspec.json.encode(fields))
        if not reply.ok:
            raise reply.refusal(said(reply))

    async def _rest(self, page: Answer) -> list[Record]:
        found: list[Record] = []
        for _ in range(MOST_PAGES):
            if page.done:
                return found
            if not NEXT.fullmatch(page.next_url or ""):
                raise Unavailable("Salesforce does not say where the rest of its answer is.")
            page, _now = await self._page(page.next_url or "")
            found += page.records
        raise Unavailable(f"Salesforce has more than {MOST_PAGES} pages for one question.")

    async def _page(self, path: str) -> tuple[Answer, int]:
        reply = await self._caller.call("GET", self._api.address(path))
        if not reply.ok:
            raise reply.refusal(said(reply))
        try:
            return msgspec.json.decode(reply.body, type=Answer), system_now(reply.headers)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Unavailable(f"{reply.host} sent no records.", help="Check `api.url`.") from None

    def _convert(self, lines: Record) -> Answer:
        try:
            return msgspec.convert(lines, Answer)
        except msgspec.ValidationError:
            raise Unavailable("Salesforce sent lines that are none.") from None


def quoted(text: str) -> str:
    """A text in a query (SOQL and SOSL Reference, "Quoted String Escape Sequences")."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def said(reply: Reply) -> str:
    """What an answer says of its failure; nothing if it says nothing."""
    try:
        problems = msgspec.json.decode(reply.body, type=list[Problem])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return "; ".join(f"{each.code} {each.message}" for each in problems[:3])
