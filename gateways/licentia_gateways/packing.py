"""Long answers, packed with gzip for who asks for it (RFC 9110, sections 8.4.1.3 and 12.5.3).

What holds a secret is never packed. The length of a packed answer tells how much two parts of it are
alike; who can place words next to a ticket and see the lengths go by, could find the ticket out letter
by letter, TLS or not (the attack BREACH).
"""

from __future__ import annotations

import gzip
import re
from functools import cache

from msgspec import inspect
from starlette.types import Scope

from licentia.contract import Operation

SHORTEST = 1400
"""Bytes; what fits into one packet is not faster when it is shorter."""
LONGEST = 2 * 2**20
"""Bytes; packing more would keep all other requests waiting for too long."""

_LEVEL = 4
_SECRETS = frozenset({"ticket", "token", "delivery", "endpoint_url"})
_REFUSED = re.compile(r"\s*(?:x-)?gzip\s*;\s*q\s*=\s*0(?:\.0*)?\s*", re.IGNORECASE)
_ASKED = re.compile(r"\s*(?:x-)?gzip\s*(?:;.*)?", re.IGNORECASE)


@cache
def may_be_packed(operation: Operation) -> bool:
    """Whether the replies of an operation hold no secret, nor words of a caller beside one."""
    return operation.reply is not None and not operation.mutates and not _names(operation.reply) & _SECRETS


def packed(scope: Scope, body: bytes) -> bytes | None:
    """The body packed; None where it is to be sent as it is."""
    if not SHORTEST <= len(body) <= LONGEST or not _is_asked(scope):
        return None
    return gzip.compress(body, _LEVEL, mtime=0)


def _is_asked(scope: Scope) -> bool:
    lines = [value.decode("latin-1") for name, value in scope["headers"] if name == b"accept-encoding"]
    codings = ",".join(lines).split(",")
    return any(_ASKED.fullmatch(coding) and not _REFUSED.fullmatch(coding) for coding in codings)


def _names(struct: type) -> set[str]:
    """The names of all fields in a struct."""
    found: set[str] = set()
    waiting: list[inspect.Type] = [inspect.type_info(struct)]
    while waiting:
        match waiting.pop():
            case inspect.StructType(fields=fields):
                found.update(field.name for field in fields)
                waiting += [field.type for field in fields]
            case inspect.ListType(item_type=inner) | inspect.Metadata(type=inner):
                waiting.append(inner)
            case inspect.UnionType(types=types):
                waiting += types
    return found
