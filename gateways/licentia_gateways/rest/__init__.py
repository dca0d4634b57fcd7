"""The REST gateway: JSON over HTTP, each route made from one operation of `licentia.contract`."""

from __future__ import annotations

from starlette.routing import Route

from licentia.contract import OPERATIONS, Operation
from licentia_gateways.page import Page
from licentia_gateways.rest.endpoint import Endpoint
from licentia_gateways.rest.pages import PAGES


def routes() -> list[Route]:
    """The routes of all operations and of their documentation.

    Operations that share a path share a route, so that a 405 names all methods.
    """
    paths: dict[str, list[Operation]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, []).append(operation)
    return [
        *(Route(path, Endpoint(operations)) for path, operations in paths.items()),
        *(Route(path, Page(name, show)) for path, name, show in PAGES),
    ]
