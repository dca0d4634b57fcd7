"""Which route an address leads to."""

from __future__ import annotations

import httpx
import pytest
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from licentia.contract import OPERATIONS
from licentia_gateways import rest
from licentia_gateways.answer import send_body
from licentia_gateways.page import nothing_here
from licentia_gateways.routing import Addresses

PATHS = ("/", "/a", "/a/b", "/a/b/{x}", "/a/b/{x}/c", "/a/b/{x}/{y}")


async def _told(scope: Scope, receive: Receive, send: Send) -> None:
    route = scope["route"].path if "route" in scope else "none"
    fields = "".join(f" {name}={value}" for name, value in scope.get("path_params", {}).items())
    await send_body(scope, send, 200, "text/plain", f"{route}{fields}".encode())


class _Told:
    """Tells which route was found, and what its fields are."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _told(scope, receive, send)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/", "/"),
        ("/a", "/a"),
        ("/a/", "none"),
        ("/b", "none"),
        ("/a/b", "/a/b"),
        ("/a/b/1", "/a/b/{x} x=1"),
        ("/a/b/%C3%A4", "/a/b/{x} x=ä"),
        ("/a/b/", "none"),
        ("/a/b/1/c", "/a/b/{x}/c x=1"),
        ("/a/b/1/2", "/a/b/{x}/{y} x=1 y=2"),
        ("/a/b/1/c%0A", "/a/b/{x}/{y} x=1 y=c\n"),
        ("/a%0A", "none"),
        ("/a/b/1/2/3", "none"),
        ("//a/b", "none"),
    ],
)
async def test_an_address_leads_to_the_first_route_that_fits(path: str, found: str) -> None:
    """The whole path has to fit; a field is one segment that is not empty."""
    addresses = Addresses([Route(path, _Told()) for path in PATHS], _told)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(addresses), base_url="http://test") as http:
        assert (await http.get(path)).text == found


async def test_a_prefix_of_the_server_is_left_out() -> None:
    """Behind a proxy that serves us below a path, the routes are the same."""
    addresses = Addresses([Route("/a/b/{x}", _Told())], _told)
    transport = httpx.ASGITransport(addresses, root_path="/licenses")
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        assert (await http.get("/licenses/a/b/1")).text == "/a/b/{x} x=1"


def test_a_route_does_not_begin_with_a_field() -> None:
    """Such a route would be found by nobody."""
    with pytest.raises(AssertionError, match="begins with a field"):
        Addresses([Route("/{x}/a", _Told())], nothing_here)


async def test_the_second_segment_may_be_a_field() -> None:
    """Where nothing else begins with the first one."""
    addresses = Addresses([Route("/c/{x}", _Told()), Route("/a/b", _Told())], _told)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(addresses), base_url="http://test") as http:
        assert [(await http.get(path)).text for path in ("/c/1", "/c", "/c/1/2")] == ["/c/{x} x=1", "none", "none"]


def test_every_operation_has_a_route() -> None:
    """No operation of the contract is without an address."""
    assert {route.path for route in rest.routes()} >= {operation.path for operation in OPERATIONS}
