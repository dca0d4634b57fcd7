"""The wiring of the server, and only that: what stands at which address, and when it opens and closes."""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import FrameType

from starlette.applications import Starlette
from starlette.datastructures import State
from starlette.routing import Route

from licentia import settings as configuration
from licentia.services.application import Application
from licentia_gateways import health, incoming, logging, metrics, rest, soap
from licentia_gateways.middleware import Observed
from licentia_gateways.page import Page, nothing_here
from licentia_gateways.routing import Addresses


def create_app(application: Application | None = None) -> Starlette:
    """The server as an ASGI application.

    A given `application` stays its owner's to close. Without one, as a uvicorn worker calls it, the
    settings come from the file that `LICENTIA_CONFIG` names and the environment; the application
    opens when the server starts and closes when its last request is done.
    """
    settings = application.settings if application else _settings()
    pages = [
        Route("/livez", Page("livez", health.alive)),
        Route("/readyz", Page("readyz", health.ready)),
        Route("/metrics", Page("metrics", metrics.show)),
    ]

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        logging.configure(settings)
        if application is None:
            app.state.application = await Application.open(settings)
            # What is there by now stays: looking through it for garbage held up requests for 30 ms at a time.
            gc.collect()
            gc.freeze()
            gc.set_threshold(10_000)  # a request leaves next to nothing, yet was looked through every few requests
        app.state.application.chain.start()
        with _noticing_the_end(app.state):
            try:
                yield
            finally:
                app.state.stopping = True
                if application is None:
                    await app.state.application.close()

    app = Starlette(lifespan=lifespan)
    app.router.redirect_slashes = False
    app.router.default = Addresses([*rest.routes(), *soap.routes(), *incoming.routes(), *pages], nothing_here)
    app.middleware_stack = Observed(app.router)  # in place of Starlette's own, which answers in plain text
    app.state.settings = settings
    app.state.stopping = False
    app.state.application = application
    return app


def _settings() -> configuration.Settings:
    file = os.environ.get("LICENTIA_CONFIG")
    return configuration.load(Path(file) if file else None)


@contextmanager
def _noticing_the_end(state: State) -> Iterator[None]:
    """On SIGTERM `/readyz` turns 503 at once, and nobody waits for a seat any more.

    Then the server's own handler lets the accepted requests finish.
    """
    servers_own = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread() or not callable(servers_own):
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        state.stopping = True
        state.application.stop_waiting()
        servers_own(number, frame)

    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, servers_own)
