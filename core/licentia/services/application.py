"""The server without its gateways: opened from settings, it authenticates callers and runs operations.

This is the one place where a use case meets a transaction. A mutation runs to its end in a task of
its own, so that a caller who hangs up interrupts nothing, and commits together with the events that
record it and, under an idempotency key, the answer to repeat.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, TypeVar

import msgspec
import structlog

from licentia.connectors import Answer, Delivery
from licentia.contract.operation import Operation, Reply, Request
from licentia.crypto.apikeys import is_key_id, new_key_id, split_key
from licentia.crypto.issuingkey import IssuingKey
from licentia.crypto.keyfolder import KeyFolder, KeyFolderError
from licentia.crypto.leases import LeaseSigner
from licentia.directories import Subject, UserClaim
from licentia.domain.seats import Happened
from licentia.errors import (
    Forbidden,
    IdempotencyMismatch,
    InternalError,
    LicensingError,
    NotFound,
    Unauthenticated,
    Unavailable,
)
from licentia.plugins import Bindings, Plugins, Registry
from licentia.services import trail
from licentia.services.chain import Chain
from licentia.services.connections import Connections
from licentia.services.context import Context, run
from licentia.services.courier import Courier
from licentia.services.desk import Desk
from licentia.services.hosting import CoreHost
from licentia.services.identity import BearerToken, Caller, Credentials, KeyDigest, KeyPair
from licentia.services.keys import ApiKeyInfo, KeyRing
from licentia.services.limits import Limiter
from licentia.services.posting import Post
from licentia.services.rollup import Rollup
from licentia.settings import Settings
from licentia.storage import eventlog, models
from licentia.storage.database import Connection, Database, Transaction, is_database_error
from licentia.storage.eventlog import Mark
from licentia.storage.leasestore import lease_store
from licentia.storage.retrying import persist

T = TypeVar("T")
log = structlog.get_logger(__name__)

ANSWERS_KEPT = timedelta(days=1)
USER_SCOPES = frozenset({"depot", "licensing"})
"""What a user with a token of the vendor's own may do, for that user only."""


class Application:
    """All parts of the server. Make it with `Application.open`, end it with `close`."""

    def __init__(self, settings: Settings, database: Database, keys: KeyFolder) -> None:
        self.settings = settings
        self.database = database
        master = keys.master()
        self.issuing = IssuingKey(keys.folder, vendor=settings.vendor)
        installed = Plugins()
        self._bindings = Bindings(settings, installed)
        self.plugins = Registry(settings, CoreHost(master, self.issuing, self._bindings), installed)
        self._signer = LeaseSigner(keys.lease_key())
        self._ring = KeyRing(database, master)
        self._rollup = Rollup(database, settings.usage_keep_days)
        self._post = Post(master, settings)
        self._courier = Courier(database, self._post, settings.webhooks.keep_days)
        connections = Connections(settings, installed, database, master)
        self.chain = Chain(self, connections, settings.deliveries_keep_days)
        self._desk = Desk(lease_store(settings.database_url), self._signer)
        self._misses = Limiter(settings.limits.ticket_misses_per_minute, "unknown tickets")
        self._failures = Limiter(settings.limits.failed_authentications_per_minute, "failed authentications")
        self._running: set[asyncio.Task[Any]] = set()

    @classmethod
    async def open(cls, settings: Settings) -> Application:
        """Open the data folder and the database, migrating it if need be, and start the configured plugins.

        Raises:
            DatabaseError, KeyFolderError, PluginError: one sentence that says what is wrong and what to do.
        """
        settings.data.mkdir(parents=True, exist_ok=True)
        keys = KeyFolder(settings.data / "keys")
        database = await Database.open(settings.database_url)
        try:
            await database.migrate()
            application = cls(settings, database, keys)
        except BaseException:
            await database.close()
            raise
        application._rollup.start()
        application._courier.start()
        return application

    def stop_waiting(self) -> None:
        """Tell all who wait for a seat that there is none: the server is about to end."""
        self._desk.stop_waiting()

    async def close(self) -> None:
        """Finish what was accepted, then close everything."""
        await self._rollup.close()
        await self._courier.close()
        await self.chain.close()
        await self._desk.close()
        while self._running:
            await asyncio.wait(self._running)
        await self.chain.connections.close()
        await self.plugins.close()
        await self._bindings.close()
        await self.database.close()

    async def authenticate(self, credentials: Credentials | None, address: str) -> Caller:
        """Who holds these credentials.

        A good key always passes. Bad ones are counted by address and recorded, until there are too
        many of them.

        Raises:
            Unauthenticated: there are none, or they are not good.
            TooManyRequests: they are not good, and too many from this address were not.
        """
        try:
            return await self._authenticate(credentials, address)
        except LicensingError:
            raise
        except Exception as error:
            answer = _as_answer(error)
            log.exception("authentication_broken", code=answer.code)
            raise answer from error

    async def call(
        self,
        operation: Operation,
        request: Request,
        caller: Caller,
        *,
        idempotency_key: str | None = None,
        request_id: str = "",
    ) -> Reply | None:
        """Run an operation for a caller.

        Raises:
            LicensingError: and nothing else; a failure of our own is logged and becomes InternalError.
        """
        try:
            if not operation.open and operation.service not in caller.scopes:
                raise Forbidden(f"{operation.name} needs the scope {operation.service!r}.")
            subject = await self._subject(operation, request, caller)
            if not operation.mutates:
                return await persist(lambda: self._query(operation, request, caller, subject))
            key = None if idempotency_key is None else _Repeat.of(caller, operation, request, idempotency_key)
            if operation.batched:
                return await self._ask(operation, request, caller, subject, key)
            return await self.finish(
                self.transact(lambda context: operation.run(request, context), caller, subject=subject, repeat=key)
            )
        except LicensingError:
            raise
        except Exception as error:
            answer = _as_answer(error)
            log.exception("operation_failed", operation=operation.name, request_id=request_id, code=answer.code)
            raise answer from error

    async def deliver(self, connection: str, delivery: Delivery, address: str) -> Answer:
        """Take what a business system has sent from an address, and answer it in its own way.

        Raises:
            NotFound: there is no such connection.
            Unauthenticated: it is not from that system.
            TooManyRequests: the same, and too much from this address was not.
            LicensingError: and nothing else; a failure of our own is logged and becomes InternalError.
        """
        try:
            found = await self.chain.connections.get(connection)
            try:
                return await self.chain.inbox.receive(found, delivery)
            except Unauthenticated as error:
                if await self._failures.failed(address):
                    data = {"connection": connection, "address": address, "problem": error.detail}
                    refused = Happened(kind="delivery.refused", actor="anyone", data=data)
                    await self.finish(self._record([refused]))
                else:
                    await self._failures.check(address)
                raise
        except LicensingError:
            raise
        except Exception as error:
            answer = _as_answer(error)
            log.exception("delivery_not_kept", connection=connection, code=answer.code)
            raise answer from error

    async def _record(self, happened: list[Happened]) -> None:
        async with self.database.write() as tx:
            await eventlog.append(tx, happened)

    async def checks(self) -> dict[str, str]:
        """Whether the server can work: each part with `ok` or what is wrong."""
        checks = {"keys": "ok", "plugins": "ok"}
        try:
            missing = await asyncio.wait_for(self.database.pending(), timeout=5)
            checks["database"] = f"migrations missing: {', '.join(missing)}" if missing else "ok"
        except Exception as error:
            checks["database"] = f"not reachable ({type(error).__name__})"
        if self.plugins.signs:
            try:
                self.issuing.current()
            except (LicensingError, KeyFolderError) as error:
                checks["keys"] = str(error)
        return checks

    async def create_key(self, scopes: frozenset[str], name: str = "") -> tuple[str, str]:
        """A new API key, as its id and the whole key; the key is shown this once and never stored."""
        key_id = new_key_id()
        key, secret_hash = self._ring.issue(key_id)

        async def create() -> None:
            async with self.database.write() as tx:
                now = await tx.now()
                await models.ApiKey.create(
                    id=key_id, name=name, scopes=" ".join(sorted(scopes)), secret_hash=secret_hash, created_at=now
                )
                data = {"key_id": key_id, "name": name, "scopes": sorted(scopes)}
                await eventlog.append(tx, [Happened(kind="key.created", actor="operator", data=data)])

        await self.finish(create())
        return key_id, key

    async def revoke_key(self, key_id: str) -> None:
        """Make a key useless at once; doing it again changes nothing.

        Raises:
            NotFound: there is no such key.
        """

        async def revoke() -> None:
            async with self.database.write() as tx:
                key = await models.ApiKey.get_or_none(id=key_id)
                if key is None:
                    raise NotFound(f"There is no key {key_id!r}.", help="`licentia key list` shows the keys.")
                if key.revoked_at is None:
                    key.revoked_at = await tx.now()
                    await key.save(update_fields=["revoked_at"])
                    revoked = Happened(kind="key.revoked", actor="operator", data={"key_id": key_id})
                    await eventlog.append(tx, [revoked])

        await self.finish(revoke())

    async def list_keys(self) -> list[ApiKeyInfo]:
        """All keys, the oldest first, without their secrets."""
        async with self.database.read():
            keys = await models.ApiKey.all().order_by("created_at")
        return [
            ApiKeyInfo(
                key_id=key.id,
                name=key.name,
                scopes=key.scopes.split(),
                created_at=key.created_at,
                revoked_at=key.revoked_at,
            )
            for key in keys
        ]

    async def _authenticate(self, credentials: Credentials | None, address: str) -> Caller:
        if credentials is None:
            raise Unauthenticated("No credentials were sent.")
        try:
            if isinstance(credentials, KeyDigest):
                # It writes down that the nonce was used.
                return await self.finish(persist(lambda: self._ring.caller(credentials, address)))
            return await self._caller(credentials, address)
        except Unauthenticated:
            if await self._failures.failed(address):
                await self.finish(self._record_failure(credentials, address))
            else:
                await self._failures.check(address)
            raise

    async def _caller(self, credentials: BearerToken | KeyPair, address: str) -> Caller:
        if isinstance(credentials, BearerToken):
            parts = split_key(credentials.token)
            if parts is None:
                subject = await self.plugins.identify(UserClaim(token=credentials.token))
                return Caller(actor=f"user:{subject.user}", scopes=USER_SCOPES, address=address, subject=subject)
            credentials = KeyPair(*parts)
        return await self._ring.caller(credentials, address)

    async def _record_failure(self, credentials: Credentials, address: str) -> None:
        said = credentials.key_id if isinstance(credentials, KeyPair | KeyDigest) else ""
        # What is no id may be a secret in the wrong field.
        data = {"address": address, "key_id": said if is_key_id(said) else None}
        await self._record([Happened(kind="authentication.failed", actor="anyone", data=data)])

    async def _subject(self, operation: Operation, request: Request, caller: Caller) -> Subject | None:
        """The user that the request speaks for; an end user speaks only for the own one."""
        user = operation.user(request) if operation.user is not None else None
        if user is None:
            return None
        if caller.subject is None:
            return await self.plugins.identify(UserClaim(user=user))
        if user != caller.subject.user:
            raise Forbidden(
                "The token belongs to another user.", help="Use the user's own token, or a key with the scope needed."
            )
        return caller.subject

    async def _query(
        self, operation: Operation, request: Request, caller: Caller, subject: Subject | None
    ) -> Reply | None:
        async with self.database.read() as connection:
            context = self._context(caller, connection, subject)
            try:
                with run(context):
                    reply: Reply | None = await operation.run(request, context)
            except LicensingError:
                if context.audited:
                    await self.finish(self._after_refusal(context))
                raise
        return reply

    async def _ask(
        self,
        operation: Operation,
        request: Request,
        caller: Caller,
        subject: Subject | None,
        repeat: _Repeat[Reply | None] | None,
    ) -> Reply | None:
        """Run what the desk settles. Its natural key makes a repeat safe; an idempotency key repeats the answer."""
        if repeat is not None and (kept := await self.finish(persist(lambda: self._kept(repeat)))):
            return repeat.decoded(kept)
        async with self.database.read() as connection:
            reply: Reply | None = await operation.run(request, self._context(caller, connection, subject))
        if repeat is not None:
            await self.finish(persist(lambda: self._keep(repeat, reply)))
        return reply

    async def _kept(self, repeat: _Repeat[Any]) -> str | None:
        async with self.database.write() as tx:
            return await repeat.answer(tx)

    async def _keep(self, repeat: _Repeat[Any], reply: Reply | None) -> None:
        async with self.database.write() as tx:
            if not await repeat.answer(tx):
                await repeat.keep(reply, tx)

    async def transact(
        self,
        work: Callable[[Context], Awaitable[T]],
        caller: Caller,
        *,
        subject: Subject | None = None,
        repeat: _Repeat[T] | None = None,
    ) -> T:
        """Do a piece of work in one transaction, with the events that it records; again if it lost a race."""
        done: _Run[T] = _Run()

        async def once() -> T:
            nonlocal done
            if not await self._is_committed(done):
                done = _Run()
                await self._in_transaction(work, caller, subject, repeat, done)
            return done.reply

        return await persist(once)

    async def _is_committed(self, done: _Run[T]) -> bool:
        """Whether a run took effect although its connection was lost."""
        if done.mark is None:
            return False
        async with self.database.write() as tx:
            return await tx.run(eventlog.is_committed(done.mark))

    async def _in_transaction(
        self,
        work: Callable[[Context], Awaitable[T]],
        caller: Caller,
        subject: Subject | None,
        repeat: _Repeat[T] | None,
        done: _Run[T],
    ) -> None:
        context: Context | None = None
        try:
            async with self.database.write() as tx:
                if repeat is not None and (answer := await repeat.answer(tx)):
                    done.reply = repeat.decoded(answer)
                    return
                context = self._context(caller, tx, subject)
                with run(context):
                    done.reply = await work(context)
                if repeat is not None:
                    await repeat.keep(done.reply, tx)
                happened = [*context.recorded, *context.audited]
                orders = await trail.orders_of(happened)
                done.mark = await eventlog.append(tx, happened)
                await trail.note(orders, done.mark)
        except LicensingError:
            if context is not None and (context.audited or context.after_refusal):
                await self._after_refusal(context)
            raise

    async def _after_refusal(self, context: Context) -> None:
        async with self.database.write() as tx:
            for write in context.after_refusal:
                await write()
            await eventlog.append(tx, context.audited)

    def _context(self, caller: Caller, connection: Connection, subject: Subject | None) -> Context:
        return Context(
            caller=caller,
            db=connection,
            settings=self.settings,
            plugins=self.plugins,
            signer=self._signer,
            issuing=self.issuing,
            desk=self._desk,
            misses=self._misses,
            post=self._post,
            chain=self.chain,
            subject=subject,
        )

    async def finish(self, work: Coroutine[Any, Any, T]) -> T:
        """Run to the end whatever happens to the caller; `close` waits for it."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)


@dataclass
class _Run(Generic[T]):
    """One run of a mutation: what it answers when it is committed, and the mark that tells whether it is."""

    reply: T = None  # type: ignore[assignment]
    mark: Mark | None = None


class _Repeat(msgspec.Struct, Generic[T], frozen=True):
    """An idempotency key: which call it stands for, what the request was, and how its answer is read."""

    id: str
    digest: str
    reply: type[Reply] | None

    def decoded(self, answer: str) -> T:
        """An answer that was kept."""
        return msgspec.json.decode(answer, type=self.reply) if self.reply else None  # type: ignore[return-value]

    @classmethod
    def of(cls, caller: Caller, operation: Operation, request: Request, key: str) -> _Repeat[Any]:
        name = msgspec.json.encode((caller.actor, operation.name, key))
        digest = hashlib.sha256(msgspec.json.encode(request)).hexdigest()
        return cls(hashlib.sha256(name).hexdigest(), digest, operation.reply)

    async def answer(self, tx: Transaction) -> str | None:
        """The answer that the first call got, if there was one; waits for that call if it still runs."""
        await tx.take_turns(int(self.id[:15], 16))
        kept = await models.Answer.get_or_none(id=self.id)
        if kept is None:
            return None
        if kept.digest != self.digest:
            raise IdempotencyMismatch("The idempotency key came with another request before.")
        return kept.reply

    async def keep(self, reply: T, tx: Connection) -> None:
        now = await tx.now()
        await models.Answer.filter(at__lt=now - ANSWERS_KEPT).delete()
        if isinstance(reply, Reply) and reply.told_once:
            reply = msgspec.structs.replace(reply, **dict.fromkeys(reply.told_once))
        text = msgspec.json.encode(reply).decode()
        await models.Answer.create(id=self.id, digest=self.digest, reply=text, at=now)


def _as_answer(error: Exception) -> LicensingError:
    """What the caller is told of an error that is not one of ours."""
    if is_database_error(error):
        return Unavailable("The database does not answer or cannot write now.", retry_after_seconds=5)
    return InternalError("Something failed inside the server.")
