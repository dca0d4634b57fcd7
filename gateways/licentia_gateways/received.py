"""Reading what a caller sent, with a bound on everything."""

from __future__ import annotations

import re

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from licentia.errors import InvalidRequest, PayloadTooLarge, UnsupportedMediaType

_IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,200}")


def header(scope: Scope, name: bytes) -> str | None:
    """The value of a header that may come once; None without it.

    Raises:
        InvalidRequest: it came twice, so that two readers could take it for different things.
    """
    found: bytes | None = None
    for given, value in scope["headers"]:
        if given == name:
            if found is not None:
                raise InvalidRequest(f"The header {name.decode()} was sent twice.", help="Send the header once.")
            found = value
    return None if found is None else found.decode("latin-1").strip()


def idempotency_key(scope: Scope, in_message: str | None = None) -> str | None:
    """The caller's own word for this request (draft-ietf-httpapi-idempotency-key-header); None without one.

    A message may carry it itself, else it is the HTTP header `Idempotency-Key`.

    Raises:
        InvalidRequest: it is not of 1 to 200 visible ASCII characters.
    """
    key = header(scope, b"idempotency-key") if in_message is None else in_message
    if key is not None and not _IDEMPOTENCY_KEY.fullmatch(key):
        raise InvalidRequest(
            "The header Idempotency-Key has to be of 1 to 200 visible ASCII characters.", help="Send another key."
        )
    return key


async def body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The whole body, at most `limit` bytes of it, as it came: a compressed one is refused.

    Raises:
        PayloadTooLarge: it is longer, or says that it will be.
        UnsupportedMediaType: it has a content coding (RFC 9110, section 8.4).
        ClientDisconnect: the caller went away; nobody is left to answer.
    """
    coding = header(scope, b"content-encoding")
    if coding and coding.lower() != "identity":
        raise UnsupportedMediaType("Compressed bodies are not taken; send the body as it is, without Content-Encoding.")
    return await coded_body(scope, receive, limit)


async def coded_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The whole body, at most `limit` bytes of it, in whatever content coding it has.

    Raises:
        PayloadTooLarge, ClientDisconnect: as `body` does.
    """
    declared = header(scope, b"content-length") or "0"
    if len(declared) > 15 or int(declared) > limit:
        raise _too_large(limit)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        if not message.get("more_body", False):
            return b"".join((*chunks, chunk)) if chunks else chunk
        chunks.append(chunk)


def _too_large(limit: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The body is longer than {limit} bytes.")
