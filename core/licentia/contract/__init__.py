"""The one declaration: every public operation with its request, reply, bounds and errors.

REST routes, the OpenAPI document, the SOAP services and their WSDL, the command line's remote client
and the reference pages all derive from `OPERATIONS`. Nothing else names a field again.
"""

from licentia.contract import (
    activations,
    connectors,
    containers,
    events,
    keys,
    leases,
    licenses,
    orders,
    plugins,
    products,
    tickets,
    usage,
    webhooks,
)
from licentia.contract.operation import Operation, Reply, Request, Service
from licentia.contract.validation import parse

OPERATIONS: tuple[Operation, ...] = (
    *products.OPERATIONS,
    *licenses.OPERATIONS,
    *events.OPERATIONS,
    *plugins.OPERATIONS,
    *orders.OPERATIONS,
    *connectors.OPERATIONS,
    *tickets.OPERATIONS,
    *activations.OPERATIONS,
    *containers.OPERATIONS,
    *leases.OPERATIONS,
    *usage.OPERATIONS,
    *keys.OPERATIONS,
    *webhooks.OPERATIONS,
)

BY_NAME: dict[str, Operation] = {operation.name: operation for operation in OPERATIONS}

__all__ = ["BY_NAME", "OPERATIONS", "Operation", "Reply", "Request", "Service", "parse"]
