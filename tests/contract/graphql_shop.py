"""What stand-ins of shops that speak GraphQL share: each query is checked against a schema before it is answered."""

from __future__ import annotations

from functools import cache
from typing import Any

from graphql import GraphQLSchema, build_schema, graphql_sync
from loopback_shop import Request, Response


def answered(sdl: str, root: dict[str, Any], request: Request) -> Response:
    """The answer to a request; the resolvers of `root` get the arguments of their fields by name."""
    assert request.method == "POST"
    asked = request.json()
    assert asked.keys() == {"query", "variables"}
    result = graphql_sync(_schema(sdl), asked["query"], root_value=root, variable_values=asked["variables"])
    for error in result.errors or ():
        if error.original_error is not None:
            raise error.original_error
    return Response(result.formatted)


def connection(nodes: list[Any]) -> Any:
    """The resolver of a connection, whose cursors are places in the list."""

    def page(info: Any, first: int, after: str | None = None, **arguments: Any) -> dict[str, Any]:
        start = int(after) if after else 0
        end = min(start + first, len(nodes))
        info_of_page = {"hasNextPage": end < len(nodes), "endCursor": str(end) if nodes else None}
        return {"nodes": nodes[start:end], "pageInfo": info_of_page}

    return page


@cache
def _schema(sdl: str) -> GraphQLSchema:
    return build_schema(sdl)
