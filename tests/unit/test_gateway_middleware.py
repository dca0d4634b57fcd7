"""What surrounds each request: its id, the safe headers, the line in the log, the last net."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

import httpx
import pytest
import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.routing import Route
from starlette.types import Message, Scope, Send

from licentia.errors import Conflict
from licentia_gateways.answer import send_body
from licentia_gateways.exchange import Exchange
from licentia_gateways.middleware import Observed
from licentia_gateways.page import Page, nothing_here

Show = Callable[[Scope, Send], Awaitable[None]]


async def fine(scope: Scope, send: Send) -> None:
    """Answer well, and store for a while."""
    await send_body(scope, send, 200, "text/plain", b"fine", [(b"cache-control", b"max-age=60")])


async def refused(scope: Scope, send: Send) -> None:
    """Refuse."""
    raise Conflict("That does not fit.")


async def broken(scope: Scope, send: Send) -> None:
    """Fail before the answer."""
    raise RuntimeError("a wild failure")


async def torn(scope: Scope, send: Send) -> None:
    """Fail in the middle of the answer."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise RuntimeError("a wild failure")


async def left(scope: Scope, send: Send) -> None:
    """Notice that the caller is gone."""
    raise ClientDisconnect


def client(show: Show = fine) -> httpx.AsyncClient:
    """A client of an application with one page, `/things/{name}`."""
    app = Starlette(routes=[Route("/things/{name}", Page("thing", show))], middleware=[Middleware(Observed)])
    app.router.default = nothing_here
    transport = httpx.ASGITransport(app, client=("192.0.2.7", 4711))
    return httpx.AsyncClient(transport=transport, base_url="http://test")


@pytest.mark.parametrize("given", ["a", "A-1._~z", "x" * 64])
async def test_a_plain_request_id_is_kept(given: str) -> None:
    """A caller that names its request finds the name in the answer."""
    answer = await client().get("/things/a", headers={"X-Request-Id": given})
    assert answer.headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, 'a"b', "a\tb", "<a>"])
async def test_another_request_id_is_replaced(given: str) -> None:
    """What could break a log line or a page is not taken for an id."""
    answer = await client().get("/things/a", headers={"X-Request-Id": given})
    assert re.fullmatch("[0-9a-f]{24}", answer.headers["x-request-id"])


async def test_every_answer_has_the_safe_headers() -> None:
    """Answers are not sniffed, not stored and not told to other sites, refusals and 404 included."""
    for answer in (await client(refused).get("/things/a"), await client().get("/nowhere")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"


async def test_an_answer_may_say_itself_how_long_it_keeps() -> None:
    """A page that sets Cache-Control has its way."""
    answer = await client().get("/things/a")
    assert answer.headers.get_list("cache-control") == ["max-age=60"]


async def test_a_wild_failure_becomes_an_internal_error() -> None:
    """The caller gets a problem with the request id and no word of the failure; the log has both."""
    with structlog.testing.capture_logs() as lines:
        answer = await client(broken).get("/things/a", headers={"X-Request-Id": "r-1"})
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal_error"
    assert answer.json()["request_id"] == "r-1"
    assert "wild" not in answer.text
    assert [line["event"] for line in lines] == ["request_failed", "request"]
    assert lines[1]["status"] == 500
    assert lines[1]["code"] == "internal_error"


async def test_a_torn_answer_is_not_completed() -> None:
    """Once an answer has begun, a failure ends the connection instead of pretending a whole answer."""
    with structlog.testing.capture_logs() as lines, pytest.raises(RuntimeError, match="wild"):
        await client(torn).get("/things/a")
    assert [line["event"] for line in lines] == ["request_failed", "request"]


async def test_a_caller_that_left_is_logged_as_such() -> None:
    """Nobody is answered and nothing is called a failure."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def application(scope: Scope, receive: object, send: Send) -> None:
        await left(scope, send)

    with structlog.testing.capture_logs() as lines:
        scope: Scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "client": None}
        await Observed(application)(scope, application, send)  # type: ignore[arg-type]
    assert sent == []
    assert [(line["event"], line["status"]) for line in lines] == [("request", 499)]


async def test_a_websocket_is_declined() -> None:
    """Nothing here speaks WebSocket; the handshake is refused instead of left open."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def application(scope: Scope, receive: object, send: Send) -> None:
        raise AssertionError("not asked")

    await Observed(application)({"type": "websocket"}, application, send)  # type: ignore[arg-type]
    assert sent == [{"type": "websocket.close"}]


async def test_the_log_has_one_line_per_request_with_the_route() -> None:
    """The line names the template of the route, never the path or the query, where secrets may stand."""
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        await client(refused).get("/things/SECRET?also=SECRET", headers={"X-Request-Id": "r-2"})
        await client().get("/SECRET")
    assert "SECRET" not in str(lines)
    (first, second) = lines
    assert {**first, "ms": 0} == {
        "event": "request",
        "log_level": "info",
        "request_id": "r-2",
        "method": "GET",
        "route": "/things/{name}",
        "gateway": "page",
        "operation": "thing",
        "status": 409,
        "code": "conflict",
        "ms": 0,
        "actor": "",
        "address": "192.0.2.7",
    }
    assert first["ms"] >= 0
    assert (second["route"], second["operation"], second["status"]) == ("", "none", 404)


async def test_lines_of_others_carry_the_request_id() -> None:
    """What the core logs while it serves a request can be found by the request's id."""

    async def talking(scope: Scope, send: Send) -> None:
        structlog.get_logger().info("deep_inside")
        assert Exchange.of(scope).request_id == "r-3"
        await fine(scope, send)

    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        await client(talking).get("/things/a", headers={"X-Request-Id": "r-3"})
    assert [(line["event"], line["request_id"]) for line in lines] == [("deep_inside", "r-3"), ("request", "r-3")]


@pytest.mark.parametrize("method", ["POST", "DELETE", "BREW"])
async def test_a_page_answers_only_reading(method: str) -> None:
    """Other methods get 405 with the methods that do (RFC 9110, section 15.5.6)."""
    answer = await client().request(method, "/things/a")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
    assert answer.json()["code"] == "method_not_allowed"


async def test_head_and_options_of_a_page() -> None:
    """HEAD gives the headers of a GET alone, OPTIONS the methods."""
    head = await client().head("/things/a")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "4")
    options = await client().options("/things/a")
    assert (options.status_code, options.headers["allow"]) == (204, "GET, HEAD, OPTIONS")
