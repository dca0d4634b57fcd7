"""How connectors call the interface of a business system: one client for each, short times, bounded answers."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import TypeVar

import httpx
import msgspec

from licentia.connectors import Delivery
from licentia.errors import Unavailable
from licentia_integrations.incoming import label
from licentia_integrations.shops import MAX_BODY_BYTES

SECONDS = 10.0
"""How long the system may take with each step of an answer."""

ALL_SECONDS = 60.0
"""How long it may take with the whole."""

LONGEST_PAUSE = 600
"""Seconds that a system may ask for until its next request."""

T = TypeVar("T")

GONE = (httpx.codes.NOT_FOUND, httpx.codes.GONE)
REFUSED = (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)
BUSY = (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE)


class Reply(msgspec.Struct, frozen=True):
    """What the system answered; `headers` ignore the case of their names."""

    host: str
    status: int
    headers: httpx.Headers
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether it did what it was asked for."""
        return 200 <= self.status < 300

    @property
    def gone(self) -> bool:
        """Whether there is no such thing."""
        return self.status in GONE

    @property
    def pause(self) -> int:
        """The seconds until the system wants to be asked again (RFC 9110, section 10.2.3); 0 if it does not say."""
        told = self.headers.get("retry-after", "")
        known = self.status in BUSY and told.isascii() and told.isdigit()
        return min(int(told[:9]), LONGEST_PAUSE) if known else 0

    def refusal(self, reason: str = "") -> Unavailable:
        """The refusal of this answer; `reason` is what the system says of it, in its own words."""
        said = f": {label(reason)}" if reason else ""
        if self.status in REFUSED:
            advice = "Check the user and what it may do there; it is tried again."
        elif 300 <= self.status < 400:
            advice = "Enter the address that it sends to in `api.url`, as nothing is followed."
        else:
            advice = "It is tried again later; look there if it stays so."
        text = f"{self.host} answered with status {self.status}{said}."
        return Unavailable(text, help=advice, retry_after_seconds=self.pause or None)


class TooLong(Unavailable):
    """The system sent more than is read."""


def answered(body: bytes, kind: type[T], api: str, setting: str) -> T:
    """What an interface answered, as the struct that it should be.

    Args:
        body: a body of JSON, or a part of one.
        kind: the struct.
        api: what that interface is called.
        setting: where its address is set.

    Raises:
        Unavailable: it is none; perhaps somebody else answers at that address.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Unavailable(f"What was answered is none of {api}.", help=f"Check `{setting}`.") from None


async def shrinking(ask: Callable[[int], Awaitable[T]], most: int) -> T:
    """What is answered to a question for so many documents, or for fewer where they are too long together.

    Raises:
        TooLong: a single one is.
    """
    while True:
        try:
            return await ask(most)
        except TooLong:
            if most == 1:
                raise
            most //= 2


class Caller:
    """The client of one connection. It keeps its connections and cookies until it is closed.

    Args:
        auth: what puts the credentials into requests.
        headers: what every request has.
    """

    def __init__(self, auth: httpx.Auth | None, headers: Mapping[str, str] | None = None) -> None:
        self._auth = auth
        self._headers = headers
        self._client: httpx.AsyncClient | None = None
        self._quiet_until = 0.0

    async def call(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Reply:
        """What the system answers, whatever its status is.

        Raises:
            Unavailable: it does not answer in time, or asked for a pause that is not over.
            TooLong: its answer is longer than 8 MiB.
        """
        if self._client is None:
            self._client = httpx.AsyncClient(
                timeout=SECONDS, auth=self._auth, headers=self._headers, follow_redirects=False
            )
        host, told = httpx.URL(url).host, bytearray()
        if (quiet := math.ceil(self._quiet_until - time.monotonic())) > 0:
            raise Unavailable(f"{host} was asked too much.", help="It is tried again later.", retry_after_seconds=quiet)
        shown = {"accept": "application/json", **(headers or {})}
        if body is not None:
            shown.setdefault("content-type", "application/json")
        try:
            async with (
                asyncio.timeout(ALL_SECONDS),
                self._client.stream(method, url, headers=shown, content=body) as reply,
            ):
                async for chunk in reply.aiter_bytes():
                    told += chunk
                    if len(told) > MAX_BODY_BYTES:
                        raise TooLong(f"{host} sent more than {MAX_BODY_BYTES} bytes.")
                answer = Reply(host, reply.status_code, reply.headers, bytes(told))
                self._quiet_until = max(self._quiet_until, time.monotonic() + answer.pause)
                return answer
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise Unavailable(
                f"{host} cannot be reached: {type(error).__name__}.", help="It is tried again later."
            ) from None

    async def close(self) -> None:
        """Give up the connections; another call makes new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


def delivered(body: bytes, url: str, pointer: str = "") -> Delivery:
    """What was found at an address, as a delivery for `_normalise`."""
    return Delivery(body=body, pointer=pointer, method="GET", url=url, received_at=datetime.now(UTC))
