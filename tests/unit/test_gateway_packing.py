"""Which answers are packed, for whom, and which never."""

from __future__ import annotations

import gzip

import pytest
from starlette.types import Message, Scope

from licentia.contract import OPERATIONS
from licentia_gateways.answer import send_body
from licentia_gateways.packing import LONGEST, SHORTEST, may_be_packed, packed

LONG = b"many words " * 1000


def scope(*accepted: str, method: str = "GET") -> Scope:
    """A request with these Accept-Encoding headers."""
    headers = [(b"accept-encoding", value.encode()) for value in accepted]
    return {"type": "http", "method": method, "headers": headers}


async def answer(scope: Scope, body: bytes, **more: bool) -> tuple[dict[bytes, bytes], bytes]:
    """The headers and the body that are sent."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await send_body(scope, send, 200, "text/plain", body, **more)
    return dict(sent[0]["headers"]), sent[1]["body"]


@pytest.mark.parametrize(
    "accepted",
    [["gzip"], ["GZIP"], ["x-gzip"], ["deflate, gzip"], ["gzip;q=0.5, br"], ["br", "gzip"], [" gzip ; q=1 "]],
    ids=", ".join,
)
def test_who_asks_gets_it_packed(accepted: list[str]) -> None:
    """A client that names gzip gets gzip (RFC 9110, section 12.5.3), and the same bytes each time."""
    content = packed(scope(*accepted), LONG)
    assert content is not None
    assert gzip.decompress(content) == LONG
    assert content == packed(scope(*accepted), LONG)


@pytest.mark.parametrize("accepted", [[], [""], ["identity"], ["gzip;q=0"], ["gzip; q=0.000"], ["bgzip"], ["br"]])
def test_who_does_not_ask_does_not(accepted: list[str]) -> None:
    """Without gzip among the codings, or with gzip refused, the answer stays as it is."""
    assert packed(scope(*accepted), LONG) is None


def test_short_and_huge_answers_stay_as_they_are() -> None:
    """Packing is bounded: not worth it below, too slow for all others above."""
    assert packed(scope("gzip"), b"x" * (SHORTEST - 1)) is None
    assert packed(scope("gzip"), b"x" * SHORTEST) is not None
    assert packed(scope("gzip"), b"x" * LONGEST) is not None
    assert packed(scope("gzip"), b"x" * (LONGEST + 1)) is None


async def test_an_answer_says_how_it_is_sent() -> None:
    """A packed answer names its coding and its length, also to a HEAD; what may vary says so to caches."""
    headers, body = await answer(scope("gzip"), LONG, may_be_packed=True)
    assert (headers[b"content-encoding"], headers[b"vary"]) == (b"gzip", b"accept-encoding")
    assert int(headers[b"content-length"]) == len(body) < len(LONG)
    assert await answer(scope("gzip", method="HEAD"), LONG, may_be_packed=True) == (headers, b"")
    headers, body = await answer(scope(), LONG, may_be_packed=True)
    assert (b"content-encoding" not in headers, headers[b"vary"], body) == (True, b"accept-encoding", LONG)
    headers, body = await answer(scope("gzip"), LONG)
    assert (b"vary" not in headers, body) == (True, LONG)


def test_no_secret_is_packed() -> None:
    """Replies with a ticket, a token, a delivery or a webhook's address are never packed: the length would tell."""
    assert {operation.name for operation in OPERATIONS if may_be_packed(operation)} == {
        "GetKeyManifest",
        "GetProduct",
        "GetUsage",
        "ListConnectors",
        "ListContainers",
        "ListEvents",
        "ListLeases",
        "ListLicenses",
        "ListMappings",
        "ListPlugins",
        "ListProducts",
        "ListPublicKeys",
        "ListWebhookDeliveries",
    }
