"""What an operation is: one row of the public contract, from which every face derives."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property
from importlib import import_module
from typing import Any, ClassVar, Literal, dataclass_transform, get_args, get_type_hints

import msgspec

from licentia.errors import UNIVERSAL, IdempotencyMismatch, LicensingError

Service = Literal["admin", "sales", "depot", "licensing"]
Method = Literal["GET", "PUT", "POST", "DELETE"]


@dataclass_transform(frozen_default=True, field_specifiers=(msgspec.field,))
class _Frozen(msgspec.StructMeta):
    """Tells type checkers what msgspec does: a subclass of a frozen struct is frozen."""


class Request(msgspec.Struct, metaclass=_Frozen, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a caller sends. Path and query parameters of REST are fields like all others."""

    def __post_init__(self) -> None:
        """Bring every instant to UTC, as it is answered and stored."""
        for name in _instants(type(self)):
            value = getattr(self, name)
            if isinstance(value, datetime) and value.utcoffset():
                try:
                    msgspec.structs.force_setattr(self, name, value.astimezone(UTC))
                except OverflowError:
                    raise ValueError(f"`{name}` is outside the calendar in UTC") from None


class Reply(msgspec.Struct, metaclass=_Frozen, frozen=True, kw_only=True):
    """What a caller gets back. The fields `told_once` are optional, and left out of an answer that is repeated."""

    told_once: ClassVar[tuple[str, ...]] = ()


@cache
def _instants(request: type[Request]) -> tuple[str, ...]:
    """The names of the fields that hold an instant."""
    hints = get_type_hints(request)
    return tuple(name for name, hint in hints.items() if hint is datetime or datetime in get_args(hint))


@dataclass(frozen=True, eq=False)
class Operation:
    """One public operation. There is one of each, compared by identity, so that tables by operation are fast.

    `name` is the SOAP operation; `method` and `path` are its REST address, whose `{braces}` name
    fields of `request`. For a GET and a DELETE the other fields are query parameters, for a PUT and
    a POST they are the JSON body. `handler` names the use case as `module:function` below
    `licentia.services`; it is imported at the first call, so that a remote client stays light.

    `mutates` runs the use case in a write transaction, and lets the caller repeat it safely under an
    `Idempotency-Key`; a `batched` one has no transaction of its own, but asks the desk, which settles
    many in one. `keyed` operations have no natural key, so only that makes a repeat safe. `user` gives the user that a request speaks for, which the
    directories resolve before the use case runs. `waits` lets a request wait for its turn as long as its field
    `wait_seconds` says: a gateway then notices when the caller hangs up, and gives up the call.
    """

    name: str
    service: Service
    method: Method
    path: str
    handler: str
    request: type[Request]
    reply: type[Reply] | None
    summary: str
    errors: tuple[type[LicensingError], ...] = ()
    open: bool = False
    mutates: bool = False
    batched: bool = False
    keyed: bool = False
    creates: bool = False
    waits: bool = False
    user: Callable[[Any], str | None] | None = None

    @cached_property
    def path_fields(self) -> tuple[str, ...]:
        """The request fields that stand in the path, in order."""
        return tuple(re.findall(r"\{(\w+)\}", self.path))

    @cached_property
    def all_errors(self) -> tuple[type[LicensingError], ...]:
        """Every error a caller may see, the universal ones included."""
        return (*UNIVERSAL, *self.errors, *((IdempotencyMismatch,) if self.mutates else ()))

    @cached_property
    def run(self) -> Callable[..., Any]:
        """The use case: `async def (request, context) -> reply`."""
        module, _, function = self.handler.partition(":")
        return getattr(import_module(f"licentia.services.{module}"), function)  # type: ignore[no-any-return]

    def status(self, reply: Reply | None) -> int:
        """The HTTP status of a success: 204 without a reply, 201 when something was created."""
        if reply is None:
            return 204
        created = getattr(reply, "created", self.creates)
        return 201 if created and self.mutates else 200
