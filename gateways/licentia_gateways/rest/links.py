"""What leads from a reply to the next request: the place of a new thing, and what else takes its id."""

from __future__ import annotations

from urllib.parse import quote

import msgspec

from licentia.contract import OPERATIONS, Operation, Reply

SYNONYMS = {"code": "ticket"}
"""A field of a path whose value stands under another name in a reply."""


def sources(operation: Operation, target: Operation) -> dict[str, str] | None:
    """For each path field of `target`, the field of this operation's reply that gives its value; None if one lacks."""
    if operation.reply is None or not target.path_fields:
        return None
    given = {field.encode_name for field in msgspec.structs.fields(operation.reply)}
    found = {name: name if name in given else SYNONYMS.get(name, name) for name in target.path_fields}
    return found if given.issuperset(found.values()) else None


def followers(operation: Operation) -> list[Operation]:
    """The operations that can be called with what this one made."""
    return [other for other in OPERATIONS if operation.mutates and other is not operation and sources(operation, other)]


def location(operation: Operation, reply: Reply) -> bytes | None:
    """The path of what was made (RFC 9110, section 10.2.2); None where nothing reads a single one of its kind."""
    reader = _READERS.get(operation.name)
    if reader is None:
        return None
    path = reader.path
    for name in reader.path_fields:
        path = path.replace("{" + name + "}", quote(getattr(reply, name), safe=""))
    return path.encode("ascii")


def _reader(operation: Operation) -> Operation | None:
    """What reads a thing gives the same kind of reply as what makes it."""
    for other in OPERATIONS:
        alike = other.reply and operation.reply and issubclass(operation.reply, other.reply)
        if alike and other.method == "GET" and sources(operation, other):
            return other
    return None


_READERS = {operation.name: _reader(operation) for operation in OPERATIONS if operation.mutates}
