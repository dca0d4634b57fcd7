"""The address in a WSDL: where the client may reach the service, never what a stranger wrote into a header."""

from __future__ import annotations

from typing import Any

import pytest

from licentia.settings import Settings
from licentia_gateways.soap.addresses import address

OWN = "http://127.0.0.1:8400/soap/sales"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", "https://localhost/soap/sales"),
        ("LOCALHOST:99", "https://LOCALHOST:99/soap/sales"),
        ("127.0.0.1:8400", "https://127.0.0.1:8400/soap/sales"),
        ("[::1]:8400", "https://[::1]:8400/soap/sales"),
        ("example.com", OWN),
        ("localhost.example.com", OWN),
        ("localhost:99@example.com", OWN),
        ("localhost:", OWN),
        ('localhost"><x', OWN),
        ("", OWN),
        (None, OWN),
    ],
)
def test_an_allowed_host_is_named(host: str | None, expected: str) -> None:
    """A Host of `allowed_hosts` stands in the address with its port; any other gives the server's own."""
    assert address(scope(host), Settings()) == expected


def test_the_public_url_decides() -> None:
    """`public_url` is what clients see, whatever they asked."""
    for url in ("https://licenses.example.com/base", "https://licenses.example.com/base/"):
        assert address(scope("localhost"), Settings(public_url=url)) == "https://licenses.example.com/base/soap/sales"


def scope(host: str | None) -> dict[str, Any]:
    """An ASGI scope with this Host header."""
    headers = [] if host is None else [(b"host", host.encode())]
    return {"type": "http", "scheme": "https", "path": "/soap/sales", "headers": headers}
