"""What the server keeps of a container that is away, and how it judges what the container says.

The rule against copies: a container asks with one `request_id` until an update answers it, and every
answer leads on from the state that asked. Whoever asks by another id from a state that was answered
already is a second copy of that state: a clone, or a snapshot that was set back. Lost answers, crashes
and repeats ask by the same id, so they are never taken for copies.

An update holds the whole contents, so an answer follows the state that asked for it, whatever was
issued meanwhile; what is issued later follows the answer. So there is one chain at any time: it begins
at the state that asked last, with the number `start`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from licentia.errors import ContainerUnknown, UpdateOutOfOrder
from licentia.exchange.messages import CHAIN_LIMIT, START, Evidence, Lock, Statement, Use, head_of

HEADS_KEPT = 128
"""How far back a copy can be told from a stranger, in updates."""
REQUESTS_KEPT = HEADS_KEPT
"""How many answered requests are remembered, so that an old file is not taken for a copy."""

Verdict = Literal["new", "repeat", "fork"]


class Issued(msgspec.Struct, frozen=True):
    """An update that the container may not have applied yet.

    `head` is the one after it, `document` empty if it will not be delivered again, `change` the core's
    number of the contents in it.
    """

    sequence: int
    head: bytes
    document: bytes
    change: int


class Track(msgspec.Struct, frozen=True, kw_only=True):
    """The server's side of one container.

    Attributes:
        confirmed, change: the update that the container is known to have applied, and the core's
            number of the contents in it.
        heads: the heads after the newest updates up to that one, by number.
        issued: the updates after it, in their order.
        request_id, asked_from, asked_head: the request that was taken last, and the state it came from.
        start: the newest update when that request was taken first; those after it answer it.
        answered: the requests before it.
        asking: that request waits for its answer, within one transaction.
        evidence, combination, identities, weak: what the bindings proved then, and in which combination.
        secret, lock: what updates are locked with until there is other evidence.
        manifest: the version of the key manifest that it said it knows.
        contacted_at: when the container was heard of last, in seconds since 1970.
        forks, forked_at: how often a copy was found, and when first.
        invalid: the container is refused for good.
        used, returned: what it told of its activations.
    """

    key: bytes
    box: bytes
    name: str = ""
    confirmed: int = 0
    change: int = 0
    heads: dict[int, bytes] = msgspec.field(default_factory=lambda: {0: START})
    issued: tuple[Issued, ...] = ()
    request_id: bytes = b""
    asked_from: int = 0
    asked_head: bytes = START
    start: int = 0
    answered: tuple[bytes, ...] = ()
    asking: bool = False
    evidence: tuple[Evidence, ...] = ()
    combination: str = ""
    identities: dict[str, str] = {}
    weak: bool = False
    secret: bytes = b""
    lock: Lock | None = None
    manifest: int = 0
    contacted_at: int = 0
    forks: int = 0
    forked_at: int | None = None
    invalid: bool = False
    used: tuple[Use, ...] = ()
    returned: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Track(confirmed={self.confirmed}, last={self.last})"

    @property
    def last(self) -> int:
        """The number of the newest update."""
        return self.issued[-1].sequence if self.issued else self.confirmed

    @property
    def head(self) -> bytes:
        """The head that the next update follows: the newest, or that of the state which waits for an answer."""
        if self.last == self.start:
            return self.asked_head
        return self.issued[-1].head if self.issued else self.heads[self.confirmed]

    @property
    def chain(self) -> tuple[Issued, ...]:
        """The updates that lead from the state that asked last to the newest one."""
        return tuple(issued for issued in self.issued if issued.sequence > self.start)

    def head_after(self, sequence: int) -> bytes | None:
        """The head after this update; None if that is too long ago."""
        issued = {each.sequence: each.head for each in self.issued}
        return issued.get(sequence, self.heads.get(sequence))


def judge(track: Track, said: Statement) -> Verdict:
    """What a request of the container means: a new one, a repeat of the last one, or a second copy's.

    Raises:
        UpdateOutOfOrder: it was answered before.
        ContainerUnknown: it speaks of an update that this server does not know.
    """
    known = track.head_after(said.sequence) == said.head
    repeats = said.request_id == track.request_id
    same_state = (said.sequence, said.head) == (track.asked_from, track.asked_head)
    if repeats and same_state and track.confirmed <= track.start:
        return "repeat"
    if said.request_id in track.answered or (repeats and said.sequence < track.confirmed):
        raise UpdateOutOfOrder(
            "This request was answered, and the container has gone on since.",
            help="Have the container make a new request, and send that.",
        )
    if said.sequence > track.last:
        raise ContainerUnknown(
            f"The container has applied update {said.sequence}; this server has issued {track.last}.",
            help="The server was set back to a backup: ask the vendor to restore the license.",
        )
    if said.sequence < track.confirmed or not known:
        return "fork"
    if repeats:
        return "repeat"
    return "fork" if track.chain and said.sequence <= track.start else "new"


def advance(track: Track, sequence: int) -> Track:
    """The container is known to have applied this update."""
    applied = [issued for issued in track.issued if issued.sequence <= sequence]
    if not applied:
        return track
    heads = track.heads | {issued.sequence: issued.head for issued in applied}
    return msgspec.structs.replace(
        track,
        confirmed=applied[-1].sequence,
        change=applied[-1].change,
        heads=dict(list(heads.items())[-HEADS_KEPT:]),
        issued=tuple(issued for issued in track.issued if issued.sequence > sequence),
    )


def ask(track: Track, said: Statement) -> Track:
    """This request is the one to answer now. What answered it before stands, if it comes from the same state."""
    answered = track.answered
    if track.request_id and said.request_id != track.request_id:
        answered = (*answered, track.request_id)[-REQUESTS_KEPT:]
    again = said.request_id == track.request_id and said.head == track.asked_head
    return msgspec.structs.replace(
        track,
        request_id=said.request_id,
        asked_from=said.sequence,
        asked_head=said.head,
        start=track.start if again else track.last,
        answered=answered,
        asking=True,
    )


def issue(track: Track, sequence: int, document: bytes, change: int) -> Track:
    """This update is the newest one. What can no longer be delivered is not kept."""
    kept = document if len(track.chain) < CHAIN_LIMIT else b""
    issued = tuple(
        each if each.sequence > track.start or not each.document else msgspec.structs.replace(each, document=b"")
        for each in track.issued
    )
    return msgspec.structs.replace(track, issued=(*issued, Issued(sequence, head_of(document), kept, change)))


def deliver(track: Track) -> tuple[Track, list[bytes]]:
    """The updates to carry to the container, in their order; its request does not wait any more."""
    documents = [each.document for each in track.chain if each.document]
    return msgspec.structs.replace(track, asking=False), documents
