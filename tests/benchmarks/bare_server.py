"""A bare Starlette route that answers a checkout without doing anything, on uvicorn as we run it.

python bare_server.py PORT
"""

from __future__ import annotations

import sys

import uvicorn
from gateways import bare
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from licentia.cli.serving import listen, server_config
from licentia.settings import Settings


async def ready(request: Request) -> PlainTextResponse:
    """The server is there."""
    return PlainTextResponse("ok")


if __name__ == "__main__":
    routes = [Route("/v1/leases/{lease_id}", bare, methods=["PUT"]), Route("/readyz", ready)]
    config = server_config(Starlette(routes=routes), Settings())
    uvicorn.Server(config).run(sockets=[listen("127.0.0.1", int(sys.argv[1]))])
