"""What connectors of shops that send JSON have in common: bounded reading, versions from times, and a fetch."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, TypeVar

import httpx
import msgspec
from msgspec import Meta

from licentia.connectors import Delivery, Line
from licentia.errors import InvalidRequest, Unavailable
from licentia_integrations.incoming import LONGEST_ID, label

MAX_BODY_BYTES = 8 * 1024 * 1024
"""The longest order that is read; shops send far less than 1 MiB."""

FETCH_SECONDS = 20.0
"""How long the shop may take with each step of an answer."""

MAX_OPTIONS = 50
MOST, DECIMALS = 10**12, 9
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Id = Annotated[int, Meta(ge=0, le=2**63 - 1)] | Annotated[str, Meta(max_length=200)]
"""An id as shops write it: a number, or a text."""

Sku = Annotated[str, Meta(max_length=200)]
Key = Annotated[str, Meta(min_length=1, max_length=200)]
"""An id that has to be there."""

T = TypeVar("T")


def read(body: bytes, kind: type[T], what: str) -> T:
    """A body of JSON as the struct that it should be; what the struct does not name is left out.

    Raises:
        InvalidRequest: it is too long, too deep, no JSON, or has something essential missing or wrong.
    """
    if len(body) > MAX_BODY_BYTES:
        raise InvalidRequest(f"This is longer than {MAX_BODY_BYTES} bytes, and so no {what}.")
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"This is no {what}: {error}") from None


def id_text(value: Id | None) -> str:
    """An id as text; empty if there is none, which some shops write as 0."""
    return str(value) if value else ""


def plain_id(value: object) -> str:
    """A value of any kind as an id; empty if it can be none."""
    known = value if isinstance(value, int | str) and not isinstance(value, bool) else None
    text = id_text(known)
    return text if len(text) <= LONGEST_ID else ""


def required(value: Id | None, what: str) -> str:
    """An id as text.

    Raises:
        InvalidRequest: there is none.
    """
    text = id_text(value)
    if not text:
        raise InvalidRequest(f"{what} is missing.")
    return text


def since_1970(moment: datetime) -> int:
    """A time in milliseconds since 1970."""
    return max(0, (moment - EPOCH) // timedelta(milliseconds=1))


def milliseconds(moment: str | None) -> int:
    """A time of RFC 3339 in milliseconds since 1970, without an offset in UTC; 0 if there is none."""
    try:
        parsed = datetime.fromisoformat(moment or "")
        aware = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
        return since_1970(aware)
    except (ValueError, OverflowError):
        return 0


def counted(value: Decimal | None, what: str) -> Decimal:
    """A quantity as it is.

    Raises:
        InvalidRequest: it is missing, negative, infinite, or beyond 12 digits and 9 decimals.
    """
    if value is None or not value.is_finite() or not 0 <= value <= MOST or value != round(value, DECIMALS):
        raise InvalidRequest(f"The quantity of {what} is missing or none.")
    return value


def options_of(pairs: Mapping[str, object]) -> dict[str, str]:
    """What a buyer chose, as far as it is text or a number; long texts are cut."""
    chosen: dict[str, str] = {}
    for name, value in pairs.items():
        told = label(str(value)) if isinstance(value, str | int | float) and not isinstance(value, bool) else None
        known = label(name)
        if known and told and len(chosen) < MAX_OPTIONS:
            chosen[known] = told
    return chosen


def numbers(*ids: Id | None) -> tuple[str, ...]:
    """The ids that there are, each once."""
    return tuple(dict.fromkeys(text for text in map(id_text, ids) if text))


def merged(lines: list[Line]) -> tuple[Line, ...]:
    """The lines, those of one id as one with the sum of their quantities; for systems that name lines by article."""
    found: dict[str, Line] = {}
    for line in lines:
        known = found.get(line.line_id)
        total = line.quantity + (known.quantity if known else 0)
        found[line.line_id] = msgspec.structs.replace(known or line, quantity=total)
    return tuple(found.values())


async def fetched(
    url: str, pointer: str, headers: Mapping[str, str], auth: httpx.Auth | None = None
) -> Delivery | None:
    """What is at an address of the shop's API, as a delivery for `_normalise`; None if it is gone.

    Raises:
        Unavailable: the shop does not answer, refuses, or sends too much.
    """
    host = httpx.URL(url).host
    body = bytearray()
    try:
        async with (
            httpx.AsyncClient(timeout=FETCH_SECONDS, auth=auth) as client,
            client.stream("GET", url, headers={"accept": "application/json", **headers}) as reply,
        ):
            if reply.status_code in (httpx.codes.NOT_FOUND, httpx.codes.GONE):
                return None
            if reply.status_code != httpx.codes.OK:
                raise Unavailable(f"{host} answered with status {reply.status_code}.")
            async for chunk in reply.aiter_bytes():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise Unavailable(f"{host} sent more than {MAX_BODY_BYTES} bytes.")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unavailable(f"{host} cannot be reached: {type(error).__name__}.") from None
    return Delivery(body=bytes(body), pointer=pointer, method="GET", url=url, received_at=datetime.now(UTC))
