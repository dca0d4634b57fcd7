"""The Admin API of Shopify by GraphQL: its login, its limits, and its errors.

Rules are those of shopify.dev/docs/api/admin-graphql: a query that costs more than is left is answered with status
200 and the code `THROTTLED`; one query may cost 1000 points.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, TypeVar

import httpx
import msgspec

from licentia.errors import Unavailable
from licentia_integrations.calls import Caller, answered
from licentia_integrations.changed import system_now
from licentia_integrations.incoming import label
from licentia_integrations.remote import Api

T = TypeVar("T")


class _Extensions(msgspec.Struct, frozen=True):
    code: str = ""


class _Error(msgspec.Struct):
    message: str = ""
    extensions: _Extensions = _Extensions()


class _Answer(msgspec.Struct):
    data: msgspec.Raw = msgspec.Raw(b"null")
    errors: list[_Error] | str | None = None


class AccessToken(httpx.Auth):
    """Shows the token of another login in the header that Shopify looks at."""

    def __init__(self, login: httpx.Auth) -> None:
        self._login = login

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """The steps of the other login; the request itself with its token in the other header."""
        flow = self._login.async_auth_flow(request)
        asked = await anext(flow)
        while True:
            if asked is request:
                shown = request.headers.pop("Authorization").removeprefix("Bearer ")
                request.headers["X-Shopify-Access-Token"] = shown
            reply = yield asked
            try:
                asked = await flow.asend(reply)
            except StopAsyncIteration:
                return


class Admin:
    """The API of one shop; `now` is the shop's time of the last answer."""

    def __init__(self, api: Api, version: str) -> None:
        self.url = api.address(f"admin/api/{version}/graphql.json")
        self._caller = Caller(AccessToken(api.login()))
        self.now = 0

    async def ask(self, text: str, kind: type[T], **variables: Any) -> T:
        """The data that the shop answers.

        Raises:
            Unavailable: it does not answer, refuses, is asked too much, or answers something else.
        """
        body = msgspec.json.encode({"query": text, "variables": variables})
        reply = await self._caller.call("POST", self.url, body=body)
        if not reply.ok:
            raise reply.refusal()
        self.now = system_now(reply.headers)
        answer = read(reply.body, _Answer)
        if isinstance(answer.errors, str):
            raise Unavailable(f"The shop refuses: {label(answer.errors)}", help="Check `api`.")
        for error in answer.errors or ():
            if error.extensions.code == "THROTTLED":
                raise Unavailable("The shop was asked too much.", help="It is tried again.", retry_after_seconds=5)
            raise Unavailable(
                f"The shop refuses: {label(error.message)}",
                help="Look whether the app has the scopes read_orders and write_orders.",
            )
        return read(bytes(answer.data), kind)

    async def close(self) -> None:
        """Give up the connections."""
        await self._caller.close()


def read(body: bytes, kind: type[T]) -> T:
    """What the shop answered, as the struct that it should be; Unavailable if it is none."""
    return answered(body, kind, "Shopify's Admin API", "api.url")
