"""The server's half of the exchange: it takes what containers say, and issues what they may hold."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from licentia.bindings import Challenge
from licentia.containers import Content, Host, Received
from licentia.crypto import envelope, sealing
from licentia.errors import (
    BindingEvidenceInvalid,
    BindingMismatch,
    Conflict,
    ContainerKindNotAllowed,
    ContainerUnknown,
    DocumentInvalid,
    ForkDetected,
)
from licentia.exchange import messages
from licentia.exchange.combination import Combination, lock
from licentia.exchange.messages import RECEIPT, REQUEST, START, UPDATE, Contents, Held, Statement, Update
from licentia.exchange.policy import Policy
from licentia.exchange.track import Track, advance, ask, deliver, issue, judge


class Keeper:
    """Keeps the tracks of all containers of one kind, in the state that the host remembers for the plugin."""

    def __init__(self, kind: str, host: Host, policy: Policy) -> None:
        self._kind = kind
        self._host = host
        self._policy = policy

    async def receive(self, message: bytes) -> Received:
        """Take a request or a receipt.

        Raises:
            DocumentInvalid: it is neither, or its signature is wrong.
            ContainerUnknown: it comes from a container, or from a state of one, that this server has never seen.
            UpdateOutOfOrder: it is older than what the container said before.
            ForkDetected: it comes from a copy, and the vendor refuses copies.
            BindingEvidenceInvalid, BindingMismatch: its evidence proves too little, or another machine.
        """
        said, is_request = read(message)
        track = await self._track(said)
        if not is_request:
            return await self._take_receipt(track, said)
        if track.invalid:
            raise ForkDetected("This container was copied, and is refused for good.")
        now = int((await self._host.now()).timestamp())
        verdict = judge(track, said)
        if verdict == "fork":
            track = await self._forked(track, said, now)
        track = advance(ask(track, said), said.sequence)
        track = msgspec.structs.replace(
            track, contacted_at=now, name=said.name, manifest=said.manifest, used=said.used, returned=said.returned
        )
        answered = bool(track.chain)
        if not answered and (said.evidence != track.evidence or track.lock is None):
            track = await self._bound(track, said)
        await self._keep(track)
        return self._told(track, asks=True, answered=answered)

    async def issue(self, container: str, change: int, contents: tuple[Content, ...]) -> bytes:
        """Bring a container to these contents: an update, signed and sealed.

        The updates that lead to them from the state that asked last are given. The container needs not
        take them: the answer to its next request makes up for them.

        Raises:
            ContainerUnknown: the container never sent a request.
            ContainerKindNotAllowed: a license must not be in a container that is bound like this one.
            Conflict: they are more than fits into an update.
        """
        track = await self._existing(container)
        self._check_fit(track, contents)
        if track.asking or not track.issued or track.issued[-1].change != change:
            track = await self._issued(track, container, change, contents)
        track, documents = deliver(track)
        await self._keep(track)
        return messages.join(documents)

    async def pending(self, container: str) -> bytes | None:
        """The answer to the last request once more, with what was issued since; None if there is none."""
        track, documents = deliver(await self._existing(container))
        await self._keep(track)
        return messages.join(documents) if documents else None

    async def reinstate(self, container: str) -> bool:
        """Forget that a container was found to be copied; whether it was."""
        track = await self._existing(container)
        await self._keep(msgspec.structs.replace(track, forks=0, forked_at=None, invalid=False))
        return bool(track.forks)

    async def _issued(self, track: Track, container: str, change: int, contents: tuple[Content, ...]) -> Track:
        now = int((await self._host.now()).timestamp())
        signer, manifests = self._host.issuer()
        assert track.lock is not None
        update = Update(
            container=container,
            sequence=track.last + 1,
            previous=track.head,
            request_id=track.request_id if track.asking else None,
            issued_at=now,
            manifests=tuple(each.to_bytes() for each in manifests if each.version > track.manifest),
            lock=track.lock,
        )
        header = messages.header(update)
        held = tuple(_held(each, now) for each in contents)
        plain = msgspec.json.encode(Contents(vendor=manifests[-1].vendor, held=held))
        box = sealing.seal_to(track.box, header, sealing.seal(track.secret, header, plain))
        document = envelope.sign(UPDATE, msgspec.json.encode(msgspec.structs.replace(update, box=box)), signer)
        if len(document) > messages.UPDATE_LIMIT:
            raise Conflict(
                f"The container would hold more than fits into an update ({len(document)} bytes).",
                help="Activate into another container, or ask the vendor for shorter `protected_data`.",
            )
        return issue(track, update.sequence, document, change)

    async def _take_receipt(self, track: Track, said: Statement) -> Received:
        head = track.head_after(said.sequence)
        if head != said.head and (head is not None or said.sequence > track.last):
            raise DocumentInvalid(
                f"The receipt is of an update {said.sequence} that this server has not issued.",
                help="Have the container make the receipt again; if it still fails, restore the license.",
            )
        if head is not None and said.sequence >= track.confirmed:
            track = msgspec.structs.replace(
                advance(track, said.sequence), manifest=said.manifest, used=said.used, returned=said.returned
            )
            await self._keep(track)
        return self._told(track)

    async def _forked(self, track: Track, said: Statement, now: int) -> Track:
        """A copy asks: as the vendor's policy says.

        From a state so old that it is not remembered nothing can be served. It may as well be an old file
        that somebody sends again, so it is refused and noted, and not held against the container.
        """
        head = track.head_after(said.sequence)
        known = head == said.head
        if head is not None:
            track = msgspec.structs.replace(
                track, forks=track.forks + 1, forked_at=now if track.forked_at is None else track.forked_at
            )
        over = timedelta(seconds=now - (track.forked_at or now)) >= timedelta(days=self._policy.grace_days)
        refused = self._policy.on_fork == "invalidate" or (self._policy.on_fork == "grace" and over)
        self._host.note(
            "container.forked",
            container=said.container,
            sequence=said.sequence,
            newest=track.last,
            policy=self._policy.on_fork,
            refused=refused or not known,
        )
        if refused and known:  # another past may be that of a server which was set back
            track = msgspec.structs.replace(track, invalid=True)
        if refused or not known:
            self._host.remember_refusal(self._kind, said.container, _encoded(track), _facts(track))
            raise ForkDetected(
                f"The container was copied or set back: it says that it is at update {said.sequence},"
                f" but one that says it is the same was answered since."
            )
        return track

    async def _bound(self, track: Track, said: Statement) -> Track:
        """Verify the evidence, and lock what follows to the machine that it speaks of."""
        evidence = {each.binding: each.data for each in said.evidence}
        combination = self._combination(track, set(evidence))
        challenge = Challenge(nonce=messages.nonce(said.container, said.request_id), at=await self._host.now())
        names = dict(track.identities)
        weak = False
        for name in combination.weights:
            identity = await self._host.half(name).verify(evidence[name], challenge)
            before = names.setdefault(name, identity.name)
            if before != identity.name:
                raise BindingMismatch(
                    f"The container is bound to {before!r} by {name}; its evidence is of {identity.name!r}.",
                    help="Move the license to the other machine, or restore it if this one is lost.",
                )
            weak = weak or identity.weak
            if identity.name:
                await self._host.claim(name, identity, said.container)
        secret, locked = await lock(
            combination, evidence, {name: self._host.half(name) for name in combination.weights}
        )
        return msgspec.structs.replace(
            track,
            evidence=said.evidence,
            combination=str(combination),
            identities=names,
            weak=weak,
            secret=secret,
            lock=locked,
        )

    def _combination(self, track: Track, given: set[str]) -> Combination:
        """The best that the evidence allows; a container never goes over to another one."""
        for combination in self._policy.combinations:
            if combination.is_met_by(given) and track.combination in ("", str(combination)):
                return combination
        wanted = track.combination or ", or ".join(map(str, self._policy.combinations))
        raise BindingEvidenceInvalid(
            f"Evidence of {wanted} is needed; the request has that of {', '.join(sorted(given)) or 'none'}."
        )

    def _check_fit(self, track: Track, contents: tuple[Content, ...]) -> None:
        """What proves nothing is for licenses that end; what belongs to no machine, not for node-locked ones."""
        bindings = [self._host.binding(name) for name in track.identities]
        for content in contents:
            if content.valid_until is None and all(binding.trials_only for binding in bindings):
                raise ContainerKindNotAllowed(
                    f"License {content.license_id!r} has no end, and the container is bound to nothing.",
                    help="Bind the container to its machine, or give the license an end.",
                )
            locked = content.terms.get("license_model") == "node_locked"
            if locked and not any(binding.device_bound for binding in bindings):
                raise ContainerKindNotAllowed(
                    f"License {content.license_id!r} is node-locked, and the container is bound to no machine."
                )

    async def _track(self, said: Statement) -> Track:
        state = await self._host.recall(self._kind, said.container)
        if state is not None:
            track = _decoded(state)
            if track.box != said.box:
                raise DocumentInvalid("The request names another key to seal to than the container has.")
            return track
        if said.sequence or said.head != START:
            raise ContainerUnknown("This server knows no such container.", help="Activate its ticket anew.")
        return Track(key=said.key, box=said.box, name=said.name)

    async def _existing(self, container: str) -> Track:
        state = await self._host.recall(self._kind, container)
        if state is None:
            raise ContainerUnknown(f"The container {container!r} has never sent a request.")
        return _decoded(state)

    async def _keep(self, track: Track) -> None:
        container = messages.container_id(track.key)
        await self._host.remember(self._kind, container, _encoded(track), _facts(track))

    def _told(self, track: Track, *, asks: bool = False, answered: bool = False) -> Received:
        return Received(
            change=track.change,
            asks=asks,
            answered=answered,
            returned=track.returned,
            used={
                (use.activation_id, use.license_id, meter): amount
                for use in track.used
                for meter, amount in use.units.items()
            },
            first_used={
                use.license_id: datetime.fromtimestamp(use.first_used_at, UTC)
                for use in track.used
                if use.first_used_at is not None
            },
        )


def read(message: bytes) -> tuple[Statement, bool]:
    """A request or a receipt, and whether it is a request.

    Raises:
        DocumentInvalid: it is neither, or its signature is wrong.
    """
    is_request = REQUEST.encode() in message[:200]
    return messages.read_statement(message, REQUEST if is_request else RECEIPT), is_request


def _held(content: Content, now: int) -> Held:
    checkpoint = content.terms.get("checkpoint_days")
    return Held(
        activation_id=content.activation_id,
        license_id=content.license_id,
        product_code=content.product_code,
        name=content.name,
        quantity=content.quantity,
        terms=dict(content.terms),
        valid_until=None if content.valid_until is None else int(content.valid_until.timestamp()),
        contact_by=None if checkpoint is None else now + int(checkpoint) * 86_400,
        units=dict(content.units),
    )


def _encoded(track: Track) -> bytes:
    return msgspec.json.encode(track)


def _decoded(state: bytes) -> Track:
    return msgspec.json.decode(state, type=Track)


def _facts(track: Track) -> Mapping[str, str]:
    """What the vendor is shown of a container."""
    facts = {
        "name": track.name,
        "bound_by": track.combination,
        "updates_pending": str(len(track.chain)),
        "copies_found": str(track.forks),
        "state": "refused" if track.invalid else "copied" if track.forks else "weak" if track.weak else "good",
        **{f"{binding}_identity": name for binding, name in track.identities.items() if name},
    }
    if track.contacted_at:
        facts["last_contact"] = f"{datetime.fromtimestamp(track.contacted_at, UTC):%Y-%m-%dT%H:%M:%SZ}"
    return {name: value for name, value in facts.items() if value}
