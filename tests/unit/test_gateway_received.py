"""Reading a request: once, whole, bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect
from starlette.types import Message, Scope

from licentia.errors import InvalidRequest, PayloadTooLarge, UnsupportedMediaType
from licentia_gateways.received import body, header


def scope(*headers: tuple[bytes, bytes]) -> Scope:
    """An HTTP request with these headers."""
    return {"type": "http", "headers": list(headers)}


class Chunks:
    """A body that arrives in pieces; counts how many were asked for."""

    def __init__(self, *chunks: bytes, ends: bool = True) -> None:
        self.messages: list[Message] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
        if ends:
            self.messages.append({"type": "http.request", "body": b"", "more_body": False})
        self.asked = 0

    async def __call__(self) -> Message:
        self.asked += 1
        return self.messages.pop(0) if self.messages else {"type": "http.disconnect"}


@given(chunks=st.lists(st.binary(max_size=40), max_size=6), limit=st.integers(0, 120))
async def test_a_body_comes_whole_or_not_at_all(chunks: list[bytes], limit: int) -> None:
    """However it is cut, a body within the limit is put together again, and one above it is refused."""
    whole = b"".join(chunks)
    if len(whole) <= limit:
        assert await body(scope(), Chunks(*chunks), limit) == whole
    else:
        with pytest.raises(PayloadTooLarge, match=f"longer than {limit} bytes"):
            await body(scope(), Chunks(*chunks), limit)


@pytest.mark.parametrize("declared", [b"11", b"9" * 5000])
async def test_a_declared_length_above_the_limit_is_refused_unread(declared: bytes) -> None:
    """Who says that too much will come gets the refusal before sending it."""
    chunks = Chunks(b"x")
    with pytest.raises(PayloadTooLarge):
        await body(scope((b"content-length", declared)), chunks, 10)
    assert chunks.asked == 0


async def test_reading_stops_at_the_limit() -> None:
    """An endless body is not read to its end."""
    chunks = Chunks(*[b"x" * 10] * 1000)
    with pytest.raises(PayloadTooLarge):
        await body(scope(), chunks, 25)
    assert chunks.asked == 3


async def test_a_compressed_body_is_refused() -> None:
    """Nothing is inflated here, so that a small body cannot grow into a large one."""
    with pytest.raises(UnsupportedMediaType, match="without Content-Encoding"):
        await body(scope((b"content-encoding", b"gzip")), Chunks(b"x"), 10)
    assert await body(scope((b"content-encoding", b"identity")), Chunks(b"x"), 10) == b"x"


async def test_half_a_body_is_none() -> None:
    """A caller that goes away in the middle has not sent anything."""
    with pytest.raises(ClientDisconnect):
        await body(scope(), Chunks(b"half", ends=False), 100)


def test_a_header_comes_once() -> None:
    """A header that was sent twice is refused, as a proxy may have read the other one."""
    assert header(scope((b"a", b" x "), (b"b", b"y")), b"a") == "x"
    assert header(scope(), b"a") is None
    with pytest.raises(InvalidRequest, match="sent twice"):
        header(scope((b"a", b"x"), (b"a", b"x")), b"a")
