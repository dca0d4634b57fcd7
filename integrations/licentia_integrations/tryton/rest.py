"""Asks Tryton's REST interface, which it has since 8.0, and writes by it."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import msgspec

from licentia.errors import Unavailable
from licentia_integrations.calls import Caller, Reply
from licentia_integrations.incoming import label
from licentia_integrations.remote import Api

KEY_HELP = "Ask Tryton for a user application key for `rest`, let an administrator validate it, and set `password`."
ADDRESS_HELP = "Set `url` to the address of a Tryton 8 with its database, as https://tryton.example.com/acme."
MODULE_HELP = "See Tryton's log. It answers so where a module is missing that `revisions` or `subscriptions` are of."
RIGHTS_HELP = "Give the user of the key the group Sales, or those rights that the page of this connector names."


class Found(msgspec.Struct, frozen=True):
    """What a search found; `at` is when, by Tryton's own clock, in seconds since 1970; 0 if it does not tell."""

    records: list[msgspec.Raw]
    at: int


class Refusal(msgspec.Struct):
    """How Tryton words a refusal."""

    message: str = ""


class Rest:
    """The models of one database, through one client for all requests."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._caller = Caller(api.login())

    async def search(
        self,
        model: str,
        domain: list[Any],
        fields: Iterable[str],
        *,
        order: Iterable[tuple[str, str]] = (),
        limit: int = 0,
    ) -> Found:
        """The records of a model that fulfil a domain, in Tryton's words; all of them if there is no `limit`.

        Raises:
            Unavailable: Tryton does not answer, or refuses; nothing is half read.
            TooLong: what it answers is too long; ask for less.
        """
        query = [("d", _packed(domain)), *(("f", field) for field in fields)]
        if order:
            query.append(("o", _packed([*order])))
        if limit:
            query.append(("s", str(limit)))
        reply = await self._sent("GET", model, query=urlencode(query))
        try:
            return Found(msgspec.json.decode(reply.body, type=list[msgspec.Raw]), _date(reply))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Unavailable(
                f"What answers at {reply.host} is not Tryton's REST interface.", help=ADDRESS_HELP
            ) from None

    async def create(self, model: str, values: Mapping[str, Any]) -> None:
        """Make a record. Errors as in `search`."""
        await self._sent("POST", model, values=values)

    async def close(self) -> None:
        """Give up the connections."""
        await self._caller.close()

    async def _sent(self, method: str, path: str, *, query: str = "", values: Any = None) -> Reply:
        body = None if values is None else msgspec.json.encode(values)
        reply = await self._caller.call(method, self._api.address(f"rest/model/{quote(path)}?{query}"), body=body)
        if not reply.ok:
            raise _refused(reply)
        return reply


def _refused(reply: Reply) -> Unavailable:
    """What a status means; Tryton itself tells the reason of a 400, as a right that is missing."""
    if reply.status == httpx.codes.UNAUTHORIZED:
        return Unavailable(f"Tryton at {reply.host} does not accept the key.", help=KEY_HELP)
    if reply.gone:
        return Unavailable(
            f"Tryton at {reply.host} has no such database or record, or no REST interface.", help=ADDRESS_HELP
        )
    if reply.status >= httpx.codes.INTERNAL_SERVER_ERROR:
        return Unavailable(f"Tryton at {reply.host} answered with status {reply.status}.", help=MODULE_HELP)
    try:
        reason = msgspec.json.decode(reply.body, type=Refusal).message
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return reply.refusal()
    return Unavailable(f"Tryton at {reply.host} refuses: {label(reason)}", help=RIGHTS_HELP)


def _packed(value: Any) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(value)).decode()


def _date(reply: Reply) -> int:
    try:
        return int(parsedate_to_datetime(reply.headers.get("date", "")).timestamp())
    except (ValueError, OverflowError):
        return 0
