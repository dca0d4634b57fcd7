"""The act-file as it lies on its machine: the update that holds, and beside it what the container knows itself.

    {"format": "licentia-act-file-1", "trust": [...], "update": ..., "state": ...}

One line of JSON, members in this order, bytes in base64. `trust` are the vendor's key manifests, the
first the one that the application brought, each vouched for by the one before. `update` is the newest
update as it came, null until there is one. `state` is the container's own: its keys, what it asked,
what was used. From the first update on it is sealed with a key from that update's secret, so it opens
where the update does.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from Crypto.Hash import SHA256
from Crypto.Protocol.KDF import HKDF
from msgspec import Meta

from licentia.client.actfile.clock import Seen
from licentia.crypto import sealing
from licentia.errors import DocumentInvalid
from licentia.exchange.messages import START, Token, Use, head_of

FORMAT: Literal["licentia-act-file-1"] = "licentia-act-file-1"
REQUESTS_KEPT = 1024
"""How many consumptions of units are remembered by their request id."""


class File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the file holds; `state` is plain as long as there is no update."""

    format: Literal["licentia-act-file-1"]
    trust: Annotated[tuple[bytes, ...], Meta(min_length=1, max_length=64)]
    update: bytes | None = None
    state: bytes


class State(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the container knows itself.

    Attributes:
        key, box: its private keys, as `licentia.crypto` writes them.
        sequence, head: of the update that it holds.
        manifest: the version of the newest key manifest in the file.
        request_id: the request that waits for an answer.
        seen: what time it was; see `clock`.
        used: what was used, by activation.
        consumed: the newest consumptions of units, by their request id, with what was left.
        returned: activations that were given up here.
        last_contact: when the server spoke last, by its clock.
    """

    key: bytes
    box: bytes
    name: str = ""
    bindings: tuple[str, ...] = ()
    sequence: int = 0
    head: bytes = START
    manifest: int = 0
    request_id: Token | None = None
    seen: Seen = Seen()
    used: tuple[Use, ...] = ()
    consumed: dict[str, int] = {}
    returned: tuple[str, ...] = ()
    last_contact: int = 0

    def __repr__(self) -> str:
        return f"State(sequence={self.sequence})"


def encode(file: File) -> bytes:
    """The file's octets."""
    return msgspec.json.encode(file)


def decode(data: bytes) -> File:
    """The file back from its octets.

    Raises:
        DocumentInvalid: it is not an act-file, or was changed.
    """
    try:
        file = msgspec.json.decode(data, type=File)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise DocumentInvalid(f"This is no act-file: {str(error)[:200]}.") from None
    if encode(file) != data:
        raise DocumentInvalid("The act-file is not in the one form that it is written in.")
    return file


def with_state(file: File, state: State, secret: bytes | None) -> File:
    """The file with this state, sealed if there is a secret."""
    plain = msgspec.json.encode(state)
    sealed = plain if secret is None else sealing.seal(_state_key(secret), _header(file), plain)
    return msgspec.structs.replace(file, state=sealed)


def state_of(file: File, secret: bytes | None) -> State:
    """The state of the file.

    Raises:
        DocumentInvalid: it was changed, or is that of another update.
    """
    plain = file.state if secret is None else sealing.unseal(_state_key(secret), _header(file), file.state)
    try:
        return msgspec.json.decode(plain, type=State)
    except (msgspec.MsgspecError, ValueError) as error:
        raise DocumentInvalid(f"The act-file's own state cannot be read: {str(error)[:200]}.") from None


def _header(file: File) -> bytes:
    """What the state belongs to: it fits no other update and no other trust."""
    parts = [FORMAT.encode(), START if file.update is None else head_of(file.update), *map(head_of, file.trust)]
    return b"\0".join(parts)


def _state_key(secret: bytes) -> bytes:
    return bytes(HKDF(secret, 32, b"", SHA256, context=b"licentia act-file state"))
