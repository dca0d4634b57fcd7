"""The OpenAPI 3.1 document, written from the contract."""

from __future__ import annotations

from functools import cache
from inspect import cleandoc
from itertools import groupby
from typing import Any

import msgspec

from licentia.contract import OPERATIONS, Operation
from licentia.errors import Forbidden, LicensingError, PayloadTooLarge, Unauthenticated, UnsupportedMediaType
from licentia.settings import Settings
from licentia_gateways.problems import MEDIA_TYPE, Problem
from licentia_gateways.rest import schemas
from licentia_gateways.rest.links import followers, sources

SERVICES = {
    "admin": "What the vendor's own people and tools do: products, withdrawals, the audit trail.",
    "sales": "What a business system does: it places orders and gets tickets.",
    "depot": "What a customer does with a ticket: activate, return and move licenses.",
    "licensing": "What a licensed application does: it claims seats, renews them and gives them back.",
}

_INFO = """Licenses from the order to the running application.

Times are RFC 3339 in UTC. A reply has all its fields; what it cannot say is `null`. An unknown field in a
request is an error. Every change can be sent again safely: by its natural key, or by `Idempotency-Key`.
Bodies are taken uncompressed. An error is `application/problem+json` (RFC 9457) with a `code` out of a
closed set."""


def document(settings: Settings) -> dict[str, Any]:
    """The document; of the settings only `public_url` shows in it."""
    return _document(settings.public_url)


def published(settings: Settings) -> bytes:
    """The document as it is served and kept as a file: indented, so that a change of it can be read."""
    return msgspec.json.format(msgspec.json.encode(document(settings)), indent=2) + b"\n"


@cache
def _document(public_url: str) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "Licentia",
            "version": "1",
            "description": _INFO,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": public_url.rstrip("/") or "/"}],
        "externalDocs": {"url": "/docs", "description": "The reference of this server"},
        "tags": [{"name": name, "description": description} for name, description in SERVICES.items()],
        "paths": paths,
        "components": {
            "schemas": schemas.components(),
            "responses": {_response_name(errors): _refusals(errors) for errors in _refusal_groups()},
            "headers": _HEADERS,
            "securitySchemes": _SECURITY,
        },
    }


def successes(operation: Operation) -> tuple[int, ...]:
    """The statuses of a success, as `Operation.status` can give them."""
    if operation.reply is None:
        return (204,)
    if operation.mutates and "created" in operation.reply.__struct_fields__:
        return (200, 201)
    return (201,) if operation.mutates and operation.creates else (200,)


def _operation(operation: Operation) -> dict[str, Any]:
    fields = schemas.fields(operation)
    described: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.service],
        "summary": operation.summary.rstrip("."),
        "description": _description(operation),
        "parameters": [_parameter(field) for field in fields if field.place != "body"],
        "responses": {str(status): _success(operation, status) for status in successes(operation)},
        "security": [] if operation.open else [{name: []} for name in _SECURITY],
    }
    if not operation.open:
        described["x-scope"] = operation.service
    if operation.mutates:
        described["parameters"].append(_IDEMPOTENCY_KEY)
    if schemas.has_body(operation):
        described["requestBody"] = {
            "required": any(field.required for field in fields if field.place == "body"),
            "content": {"application/json": {"schema": schemas.reference(operation.request)}},
        }
    for errors in _by_status(operation):
        described["responses"][str(errors[0].status)] = {"$ref": f"#/components/responses/{_response_name(errors)}"}
    return described


def _description(operation: Operation) -> str:
    needed = "No key is needed." if operation.open else f"The key needs the scope `{operation.service}`."
    return f"{cleandoc(operation.request.__doc__ or '')}\n\n{needed}"


def _parameter(field: schemas.Field) -> dict[str, Any]:
    """An absent query parameter is simply not there, so that it is never null."""
    schema = {name: value for name, value in field.schema.items() if name != "default" or value is not None}
    if "anyOf" in schema:
        (schema,) = [choice for choice in schema["anyOf"] if choice != {"type": "null"}]
    parameter = {"name": field.name, "in": field.place, "required": field.required, "schema": schema}
    return {**parameter, "description": field.description} if field.description else parameter


def _success(operation: Operation, status: int) -> dict[str, Any]:
    words = {200: "Done.", 201: "Created.", 204: "Done; there is nothing to say."}
    headers = {"X-Request-Id": _header("X-Request-Id")}
    response: dict[str, Any] = {"description": words[status], "headers": headers}
    if operation.reply is not None:
        response["content"] = {"application/json": {"schema": schemas.reference(operation.reply)}}
    if links := {other.name: _link(operation, other) for other in followers(operation)}:
        response["links"] = links
    return response


def _link(operation: Operation, other: Operation) -> dict[str, Any]:
    found = sources(operation, other)
    assert found is not None
    values = {f"path.{name}": f"$response.body#/{source}" for name, source in found.items()}
    return {"operationId": other.name, "parameters": values, "description": other.summary}


def _refusals_of(operation: Operation) -> list[type[LicensingError]]:
    """The errors that a caller may see over REST.

    The key of an open operation and a body that is not read cannot be wrong.
    """
    never: set[type[LicensingError]] = {Unauthenticated, Forbidden} if operation.open else set()
    if not schemas.has_body(operation):
        never |= {PayloadTooLarge, UnsupportedMediaType}
    possible = [error for error in operation.all_errors if error not in never]
    return sorted(possible, key=lambda error: error.status)


def _by_status(operation: Operation) -> list[tuple[type[LicensingError], ...]]:
    return [tuple(group) for _, group in groupby(_refusals_of(operation), key=lambda error: error.status)]


def _refusal_groups() -> list[tuple[type[LicensingError], ...]]:
    groups = {group for operation in OPERATIONS for group in _by_status(operation)}
    return sorted(groups, key=lambda group: (group[0].status, _response_name(group)))


def _response_name(errors: tuple[type[LicensingError], ...]) -> str:
    return ".".join(error.code for error in errors)


def _refusals(errors: tuple[type[LicensingError], ...]) -> dict[str, Any]:
    status = errors[0].status
    names = ["X-Request-Id", *{401: ["WWW-Authenticate"], 429: ["Retry-After"], 503: ["Retry-After"]}.get(status, [])]
    narrowed = {
        "properties": {"code": {"enum": [error.code for error in errors]}, "status": {"const": status}},
    }
    return {
        "description": " ".join(f"`{error.code}`: {error.title()}." for error in errors),
        "headers": {name: _header(name) for name in names},
        "content": {MEDIA_TYPE: {"schema": {"allOf": [schemas.reference(Problem), narrowed]}}},
    }


def _header(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/headers/{name}"}


_HEADERS = {
    "X-Request-Id": {
        "description": "The request's id: the caller's own, or a new one.",
        "schema": {"type": "string", "maxLength": 64},
    },
    "WWW-Authenticate": {"description": "The schemes that are understood.", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 0}},
}

_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The caller's own word for this request: sent again, it gets the first answer.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
}

_SECURITY = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A key made by `licentia key create`, or a token of the vendor's identity provider.",
    },
    "basic": {"type": "http", "scheme": "basic", "description": "The key's id as user name, its secret as password."},
}
