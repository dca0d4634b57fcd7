"""Sending one answer over ASGI, with the few headers it needs."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.types import Scope, Send

from licentia_gateways.packing import packed

Headers = Iterable[tuple[bytes, bytes]]


async def send_body(
    scope: Scope,
    send: Send,
    status: int,
    media_type: str | bytes,
    body: bytes,
    headers: Headers = (),
    *,
    may_be_packed: bool = False,
) -> None:
    """Answer with a body; to a HEAD only with the headers that it would have (RFC 9110, section 9.3.2).

    A long body that `may_be_packed` is packed for a client that asks for it.
    """
    kind = media_type.encode("ascii") if isinstance(media_type, str) else media_type
    if may_be_packed:
        headers = [*headers, (b"vary", b"accept-encoding")]
        if smaller := packed(scope, body):
            body = smaller
            headers.append((b"content-encoding", b"gzip"))
    length = str(len(body)).encode("ascii")
    everything = [(b"content-type", kind), (b"content-length", length), *headers]
    await send({"type": "http.response.start", "status": status, "headers": everything})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


async def send_empty(send: Send, status: int, headers: Headers = ()) -> None:
    """Answer without a body, as a 204 must (RFC 9110, section 15.3.5)."""
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": b""})
