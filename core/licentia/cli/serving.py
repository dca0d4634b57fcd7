"""What `serve` and `demo` share: the gateway, the socket and the server."""

from __future__ import annotations

import socket
import sys
from contextlib import AbstractContextManager, ExitStack, nullcontext
from importlib.metadata import entry_points
from typing import Any

import uvicorn

from licentia.cli.command import Failure
from licentia.settings import Settings

BACKLOG = 2048
"""Connections that wait to be accepted, also while the server is still starting."""


def gateway() -> str:
    """Where the factory of the ASGI application is, as `module:function`.

    Raises:
        Failure: no installed package offers one, or several do.
    """
    found = entry_points(group="licentia.gateways", name="http")
    if len(found) != 1:
        several = ", ".join(f"{entry.value} of {entry.dist.name}" for entry in found if entry.dist) or "none"
        raise Failure(f"One gateway `http` is needed in the entry points licentia.gateways, but there is: {several}.")
    return next(iter(found)).value


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 is any free one.

    Raises:
        Failure: the address is taken, not allowed, or not of this machine.
    """
    with ExitStack() as exits:
        try:
            family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
            listener = exits.enter_context(socket.socket(family, socket.SOCK_STREAM))
            if sys.platform != "win32":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(place)
            listener.listen(BACKLOG)
        except OSError as error:
            told = f"Cannot listen on {host}, port {port}: {error.strerror}. `--port` takes another one."
            raise Failure(told) from None
        exits.pop_all()
    return listener


def address(listener: socket.socket) -> str:
    """The URL of a socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class ServerWithoutSignals(uvicorn.Server):
    """A server whose owner decides when it ends, by `should_exit`."""

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        """Leave the signal handlers as they are."""
        return nullcontext()


def server_config(app: Any, settings: Settings, **options: Any) -> uvicorn.Config:
    """uvicorn as we run it. The application writes the access log, and clients need not know the server's name."""
    return uvicorn.Config(
        app,
        loop="uvloop" if sys.platform != "win32" else "asyncio",
        http="httptools",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=True,
        forwarded_allow_ips=list(settings.trusted_proxies),
        timeout_graceful_shutdown=settings.shutdown_seconds,
        **options,
    )
