"""Public documents are fetched from the hosts allowed, and from nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from licentia import fetching
from licentia.fetching import FetchError, fetch

LIMIT = 1000


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        with contextlib.suppress(ConnectionError):
            self._answer()

    def _answer(self) -> None:
        target = self.path.partition("?to=")[2]
        self.send_response(302 if target else 404 if self.path == "/missing" else 200)
        if target:
            self.send_header("Location", target)
        self.end_headers()
        if self.path == "/slow":
            for _ in range(100):
                self.wfile.write(b"x")
                time.sleep(0.05)
        self.wfile.write(b"x" * 2000 if self.path == "/large" else b"found" + self.headers["Host"].encode())

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture(scope="module")
def place() -> Iterator[str]:
    """A server on the loopback interface, as `host:port`."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


async def get(url: str, *hosts: str, seconds: float = 5) -> bytes:
    """What is found there."""
    return await fetch(url, hosts=hosts, seconds=seconds, max_bytes=LIMIT)


async def test_an_allowed_host_is_asked(place: str) -> None:
    """By its own name."""
    assert await get(f"http://{place}/x", place) == b"found" + place.encode()


@pytest.mark.parametrize(
    "url",
    [
        "http://other.example/x",
        "http://127.0.0.1/x",
        "http://user@{place}/x",
        "http://{place}@other.example/x",
        "https://{place}.example/x",
        "ftp://{place}/x",
        "file:///etc/passwd",
        "http://[/x",
        "",
    ],
)
async def test_another_host_is_not_asked(place: str, url: str) -> None:
    """Neither by name, port, credentials nor scheme."""
    with pytest.raises(FetchError, match="address"):
        await get(url.format(place=place), place)


async def test_a_name_must_lead_to_public_addresses(place: str) -> None:
    """An allowed name that leads into the own network is refused; else a document could reach in there."""
    port = place.partition(":")[2]
    with pytest.raises(FetchError, match="not public"):
        await get(f"http://localhost:{port}/x", f"localhost:{port}")


@pytest.mark.parametrize(
    ("addresses", "public"),
    [
        (["93.184.215.14"], True),
        (["2606:2800:21f:cb07:6820:80da:af6b:8b2c"], True),
        (["93.184.215.14", "10.0.0.1"], False),
        (["169.254.169.254"], False),
        (["::ffff:169.254.169.254"], False),
        (["100.64.0.1"], False),
        (["fe80::1%eth0"], False),
        (["fd00:ec2::254"], False),
        (["0.0.0.0"], False),
        ([], False),
    ],
)
async def test_every_address_of_a_name_is_judged(
    addresses: list[str], public: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is not public is enough to refuse the name; what was judged is what is connected to."""
    connected = []

    async def resolve(*_: Any, **__: Any) -> list[Any]:
        return [(0, 0, 0, "", (address, 0)) for address in addresses]

    async def answer(parts: Any, address: str, max_bytes: int) -> bytes:
        connected.append(address)
        return b"found"

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve, raising=False)
    monkeypatch.setattr(fetching, "_get", answer)
    if public:
        assert await get("http://ca.example/x", "ca.example") == b"found"
        assert connected == addresses[:1]
    else:
        with pytest.raises(FetchError, match="not public"):
            await get("http://ca.example/x", "ca.example")
        assert connected == []


async def test_a_redirect_stays_on_the_list(place: str) -> None:
    """It is followed to an allowed host, and to no other."""
    assert await get(f"http://{place}/go?to=/x", place) == b"found" + place.encode()
    for target in ("http://other.example/x", "http://127.0.0.1:1/x", "//other.example/x", "file:///etc/passwd"):
        with pytest.raises(FetchError, match="address"):
            await get(f"http://{place}/go?to={target}", place)


async def test_redirects_end(place: str) -> None:
    """A circle is left."""
    with pytest.raises(FetchError, match="too often"):
        await get(f"http://{place}/go?to=?to=/go?to=/go?to=/go?to=/x", place)


async def test_size_and_time_are_limited(place: str) -> None:
    """More is not read, and longer not waited."""
    with pytest.raises(FetchError, match="more than"):
        await get(f"http://{place}/large", place)
    begun = time.monotonic()
    with pytest.raises(FetchError, match=r"within 0.2 s"):
        await get(f"http://{place}/slow", place, seconds=0.2)
    assert time.monotonic() - begun < 2


async def test_an_error_is_no_document(place: str) -> None:
    """A page that is missing, a port that is closed."""
    with pytest.raises(FetchError, match="status 404"):
        await get(f"http://{place}/missing", place)
    with pytest.raises(FetchError, match="cannot be reached"):
        await get("http://127.0.0.1:1/x", "127.0.0.1:1")


async def test_no_proxy_is_asked(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address was judged here; a proxy would resolve it again."""
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert await get(f"http://{place}/x", place)
