"""What a use case is given besides its request."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from licentia.crypto.issuingkey import IssuingKey
from licentia.crypto.leases import LeaseSigner
from licentia.directories import Subject
from licentia.domain.seats import Happened
from licentia.plugins import Registry
from licentia.services.desk import Desk
from licentia.services.identity import Caller
from licentia.services.limits import Limiter
from licentia.services.posting import Post
from licentia.settings import Settings
from licentia.storage.database import Connection, Transaction

if TYPE_CHECKING:
    from licentia.services.chain import Chain


@dataclass
class Context:
    """One call: who asks, the database to read or the transaction to write in, and the server's parts.

    A use case that raises is rolled back; then `after_refusal` is done in a transaction of its own, and
    what was audited is written.
    """

    caller: Caller
    db: Connection
    settings: Settings
    plugins: Registry
    signer: LeaseSigner
    issuing: IssuingKey
    desk: Desk
    misses: Limiter
    post: Post
    chain: Chain
    subject: Subject | None = None
    recorded: list[Happened] = field(default_factory=list)
    audited: list[Happened] = field(default_factory=list)
    after_refusal: list[Callable[[], Awaitable[None]]] = field(default_factory=list)

    @property
    def tx(self) -> Transaction:
        """The transaction of an operation that changes something."""
        assert isinstance(self.db, Transaction), "the operation must be declared with mutates=True"
        return self.db

    @property
    def user(self) -> Subject:
        """The user of an operation that is declared with one."""
        assert self.subject is not None, "the operation must be declared with user=..."
        return self.subject

    def record(self, kind: str, /, **data: Any) -> None:
        """Note a change as `noun.verb`; it is written to the audit trail in the same transaction."""
        self.recorded.append(Happened(kind=kind, actor=self.caller.actor, data=data))

    def audit(self, kind: str, /, **data: Any) -> None:
        """Note an attempt; it is written to the audit trail whatever becomes of the call."""
        self.audited.append(Happened(kind=kind, actor=self.caller.actor, data=data))


_running: ContextVar[Context] = ContextVar("running")


def running() -> Context:
    """The call that runs in this task: for plugins, which are not handed it."""
    return _running.get()


@contextmanager
def run(context: Context) -> Iterator[None]:
    """Make this the call that runs."""
    token = _running.set(context)
    try:
        yield
    finally:
        _running.reset(token)


def new_id(prefix: str) -> str:
    """A fresh identifier with 100 random bits; the prefix tells people what it names."""
    return f"{prefix}_{secrets.token_hex(13)[:25]}"
