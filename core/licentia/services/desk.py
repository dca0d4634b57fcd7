"""The desk where leases are asked for: whatever waits is settled together, in one transaction.

There is no timer: while one batch commits, the next one gathers, so that a lone call waits for nobody
and a thousand at once share a few commits. An answer leaves only after its commit.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from licentia.crypto.leases import LeaseSigner
from licentia.domain.instants import SECOND
from licentia.domain.seats import Again, Claim, Granted, Outcome, Release, Waiting, Wish
from licentia.errors import LicensingError, Unavailable
from licentia.storage.database import is_database_error
from licentia.storage.leasestore import LeaseStore

MOST = 256
"""How many calls share a transaction at most."""
PATIENCE = 20
"""How often a call is settled again that met another one in between."""
LOOK_AGAIN = 0.5
"""Seconds after which who waits for a seat looks again: another process may have freed one."""

Settled = tuple[Outcome, str]


class Desk:
    """The calls of one process. `close` ends the waiting, and settles what was accepted."""

    def __init__(self, store: LeaseStore, signer: LeaseSigner) -> None:
        self._store = store
        self._signer = signer
        self._calls: deque[tuple[Wish, asyncio.Future[Settled]]] = deque()
        self._settling: asyncio.Task[None] | None = None
        self._signing: set[asyncio.Task[None]] = set()
        self._queues: dict[str, dict[str, asyncio.Event]] = defaultdict(dict)
        self._waiting: set[asyncio.Future[None]] = set()
        self._closing = False

    async def ask(self, wish: Wish) -> Settled:
        """What became of a wish, once that is durable, with the signed token of a lease.

        Raises:
            LicensingError: the wish was refused.
        """
        for attempt in range(PATIENCE):
            outcome, token = await self._ask(wish)
            if isinstance(outcome, LicensingError):
                raise outcome
            if not isinstance(outcome, Again):
                return outcome, token
            await asyncio.sleep(0.005 * attempt)
        raise Unavailable("Too many others change the same licenses now.", retry_after_seconds=1)

    async def ask_in_turn(self, claim: Claim, seconds: int) -> Settled:
        """As `ask`, but wait so long for a seat if all are taken, first come first served.

        No connection is held meanwhile. A caller who is cancelled has left the queue within seconds.
        """
        loop = asyncio.get_running_loop()
        ends = loop.time() + seconds
        queue = self._queues[claim.product_code]
        woken = queue[claim.lease_id] = asyncio.Event()
        self._waiting.add(done := loop.create_future())
        try:
            while True:
                woken.clear()
                left = 0.0 if self._closing else ends - loop.time()
                outcome, token = await self.ask(msgspec.structs.replace(claim, may_wait=left > 0))
                if not isinstance(outcome, Waiting):
                    return outcome, token
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(max(0.0, min(left, LOOK_AGAIN))):
                        await woken.wait()
        finally:
            queue.pop(claim.lease_id, None)
            self._waiting.discard(done)
            done.set_result(None)

    async def close(self) -> None:
        """Let nobody wait any more, finish what was accepted, and give up the connection."""
        self.stop_waiting()
        if self._waiting:
            await asyncio.wait(self._waiting)
        while self._settling is not None:
            await asyncio.wait([self._settling])
        if self._signing:
            await asyncio.wait(self._signing)
        await self._store.close()

    def stop_waiting(self) -> None:
        """Whoever waits for a seat is told now that there is none."""
        self._closing = True
        for queue in self._queues.values():
            for woken in queue.values():
                woken.set()

    async def _ask(self, wish: Wish) -> Settled:
        answer: asyncio.Future[Settled] = asyncio.get_running_loop().create_future()
        self._calls.append((wish, answer))
        if self._settling is None:
            self._settling = asyncio.create_task(self._settle_all())
        return await answer

    async def _settle_all(self) -> None:
        try:
            while self._calls:
                await asyncio.sleep(0)  # whoever is ready to ask comes aboard
                batch = [self._calls.popleft() for _ in range(min(MOST, len(self._calls)))]
                batch = [(wish, answer) for wish, answer in batch if not answer.done()]
                if batch:
                    await self._settle(batch)
        finally:
            self._settling = None

    async def _settle(self, batch: Sequence[tuple[Wish, asyncio.Future[Settled]]]) -> None:
        try:
            outcomes = await self._store.apply([wish for wish, _ in batch])
        except Exception as error:
            if len(batch) > 1 and not is_database_error(error):
                # One of them is at fault: the others must not suffer from it.
                for call in batch:
                    await self._settle([call])
            else:
                for _, answer in batch:
                    if not answer.done():
                        answer.set_exception(error)
            return
        self._wake(batch)
        answers = [answer for _, answer in batch]
        self._signing.add(task := asyncio.create_task(self._answer(answers, outcomes)))
        task.add_done_callback(self._signing.discard)

    async def _answer(self, answers: Sequence[asyncio.Future[Settled]], outcomes: Sequence[Outcome]) -> None:
        granted = [outcome for outcome in outcomes if isinstance(outcome, Granted)]
        try:
            tokens = iter(await self._signer.sign_many([_claims(grant) for grant in granted]))
        except Exception as error:
            for answer in answers:
                if not answer.done():
                    answer.set_exception(error)
            return
        for answer, outcome in zip(answers, outcomes, strict=True):
            token = next(tokens) if isinstance(outcome, Granted) else ""
            if not answer.done():
                answer.set_result((outcome, token))

    def _wake(self, batch: Sequence[tuple[Wish, asyncio.Future[Settled]]]) -> None:
        """Wake as many of those who came first as seats may have become free."""
        if not any(self._queues.values()):
            return
        released = Counter(type(wish) for wish, _ in batch)[Release]
        for queue in self._queues.values():
            for woken in [*queue.values()][: released + 1 if released else 0]:
                woken.set()


def _claims(granted: Granted) -> Mapping[str, Any]:
    """What the token of a lease says; see docs/formats.md."""
    first, several = granted.parts[0], len(granted.parts) > 1
    return {
        "jti": first.lease_id,
        "sub": first.user_id,
        "iat": granted.now // SECOND,
        "exp": first.expires_at // SECOND,
        "license_id": granted.licenses[0],
        "product_code": granted.product_code,
        "seats": sum(part.seats for part in granted.parts),
        "licenses": [
            {"license_id": license_id, "seats": part.seats}
            for license_id, part in zip(granted.licenses, granted.parts, strict=True)
        ]
        if several
        else None,
        "borrowed": True if first.state == "borrowed" else None,
        "feature": first.feature,
        "station": first.station,
    }
