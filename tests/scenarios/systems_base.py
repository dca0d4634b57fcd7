"""What business systems have in common that connectors are for, as far as one order goes.

A system makes what it sends of plain facts: the number of an order, how many of which line, and when. Systems
whose deliveries only point to a document also answer for it, at `url`, which stands on loopback.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import time
from abc import ABC
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import urlsplit

import loopback_shop as loopback
import msgspec

from licentia.crypto.webhooks import signature_text

SECRET = "a-secret-of-a-system"
WHSEC = "whsec_" + base64.b64encode(SECRET.encode() * 2).decode()
BEGIN = datetime(2026, 1, 1, 12, tzinfo=UTC)
GUID = "11111111-1111-4111-8111-{:012d}"
Lines = Mapping[str, int]
"""So many of each line; the article has the name of the line."""


class Sent(msgspec.Struct):
    """A call of the system."""

    body: bytes
    headers: dict[str, str] = {}
    query: str = ""


def moment(at: int) -> datetime:
    """So many hours after the beginning."""
    return BEGIN + timedelta(hours=at)


def text(at: int) -> str:
    """The same, as ISO 8601."""
    return moment(at).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def ms(at: int) -> int:
    """The same, in milliseconds since 1970."""
    return int(moment(at).timestamp() * 1000)


class System(ABC):
    """A business system. What it does not tell has a method that is not there.

    Attributes:
        plugin: its connector.
        versions: whether it tells which state is newer.
        counts: whether it tells quantities; without, all is one.
        several: whether an order has several lines.
    """

    plugin: ClassVar[str]
    versions: ClassVar[bool] = True
    counts: ClassVar[bool] = True
    several: ClassVar[bool] = True
    test: bool = False

    def __init__(self) -> None:
        self.url = ""
        self.sent = 0
        self.documents: dict[str, Any] = {}
        self.requests: list[Any] = []

    @property
    def settings(self) -> dict[str, Any]:
        """The table of its connection."""
        return {"secret": SECRET}

    def placed(self, number: str, lines: Lines, at: int) -> Sent:
        """An order is paid, or is so as it is told now."""
        raise NotImplementedError

    def json(self, body: Any, **headers: str) -> Sent:
        """A call with JSON, signed."""
        raw = json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return Sent(raw, named | self.sign(raw))

    def sign(self, body: bytes) -> dict[str, str]:
        """The headers that show who sends it."""
        return {"authorization": f"Bearer {SECRET}"}

    def fresh(self) -> str:
        """The id of a new delivery."""
        self.sent += 1
        return f"{self.sent:06d}"

    def answer(self, request: Any) -> Any:
        """What the system answers when it is asked for a document."""
        for pattern, value in self.documents.items():
            if re.fullmatch(pattern, urlsplit(request.path).path.lstrip("/")):
                return loopback.Response(value)
        return loopback.Response({}, 404)

    @contextlib.contextmanager
    def running(self) -> Iterator[System]:
        """The system, which can be asked."""
        with loopback.listening(self) as url:
            self.url = url
            yield self


class StandardWebhooks(System):
    """What signs by Standard Webhooks."""

    @property
    def settings(self) -> dict[str, Any]:
        return {"secret": WHSEC}

    def sign(self, body: bytes) -> dict[str, str]:
        id, stamp = f"msg_{self.fresh()}", str(int(time.time()))
        signed = signature_text(SECRET.encode() * 2, f"{id}.{stamp}.".encode() + body, "base64")
        return {"webhook-id": id, "webhook-timestamp": stamp, "webhook-signature": f"v1,{signed}"}


class Pointing(System):
    """A system whose deliveries only point to a document."""

    @property
    def settings(self) -> dict[str, Any]:
        return {"secret": SECRET, "poll_seconds": 0, "api": {"url": self.url, "user": "u", "password": "p"}}
