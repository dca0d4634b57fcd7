"""What travels between a container and the server: request, receipt, update.

Each is an envelope (`licentia.crypto.envelope`) over one of the payloads here, in JSON whose members
have the names and the order of the fields. Bytes are base64 (RFC 4648 section 4), times are whole
seconds since 1970-01-01T00:00:00Z. Readers refuse members that they do not know: a format is changed
by a new payload type, never by an addition.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from licentia.crypto import envelope
from licentia.crypto.signing import Signer, VerifyKey
from licentia.crypto.suites import ED25519
from licentia.errors import DocumentInvalid

REQUEST = "application/vnd.licentia.request.v1+json"
RECEIPT = "application/vnd.licentia.receipt.v1+json"
UPDATE = "application/vnd.licentia.update.v1+json"

STATEMENT_LIMIT = 96 * 1024
"""The longest request or receipt, in bytes."""
UPDATE_LIMIT = 512 * 1024
"""The longest single update, in bytes."""
CHAIN_LIMIT = 64
"""The most updates that are delivered at once."""

START = bytes(32)
"""The head of a container that has applied nothing yet."""

Hash = Annotated[bytes, Meta(min_length=32, max_length=32)]
Token = Annotated[bytes, Meta(min_length=16, max_length=16)]
Sequence = Annotated[int, Meta(ge=0, le=2**31 - 1)]
LAST_SECOND = 253_402_300_799
"""The end of the year 9999, in seconds since 1970: no calendar here goes further."""
Seconds = Annotated[int, Meta(ge=0, le=LAST_SECOND)]
Short = Annotated[str, Meta(max_length=200)]
Amount = Annotated[int, Meta(ge=0, le=2**53 - 1)]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


def _once(names: Collection[object], where: str) -> None:
    """Each of these is there once; ValueError if not."""
    if len(set(names)) < len(names):
        raise ValueError(f"something is twice in `{where}`")


class Evidence(_Part, frozen=True, kw_only=True):
    """What one binding says of the machine, in that plugin's own form."""

    binding: Annotated[str, Meta(max_length=32)]
    data: Annotated[bytes, Meta(max_length=64 * 1024)]


class Use(_Part, frozen=True, kw_only=True):
    """What was used of an activation away from the server, in all since it was activated."""

    activation_id: Short
    license_id: Short
    first_used_at: Seconds | None = None
    units: dict[str, Amount] = {}


class Statement(_Part, frozen=True, kw_only=True):
    """What a container says of itself, signed by its own key.

    Attributes:
        key: the container's Ed25519 key; the container is known by its id (`VerifyKey.kid`).
        box: the X25519 key that updates are sealed to.
        name: the machine, for a person to read.
        sequence: the number of the update that was applied last; 0 for none.
        head: SHA-256 of that update's octets; zeros for none.
        request_id: what one request is told from the next by. It stays until an update answers it.
        manifest: the version of the vendor's key manifest that it knows; 0: send all.
        at: the machine's clock.
        evidence: of the bindings, in a request.
        returned: activations that were given up here for good.
        used: what was used since the last contact and before.
    """

    key: Hash
    box: Hash
    name: Short = ""
    sequence: Sequence
    head: Hash
    request_id: Token
    manifest: Sequence = 0
    at: Seconds
    evidence: Annotated[tuple[Evidence, ...], Meta(max_length=8)] = ()
    returned: Annotated[tuple[Short, ...], Meta(max_length=1000)] = ()
    used: Annotated[tuple[Use, ...], Meta(max_length=1000)] = ()

    def __post_init__(self) -> None:
        _once([each.binding for each in self.evidence], "evidence")
        _once(self.returned, "returned")
        _once([(use.activation_id, use.license_id) for use in self.used], "used")

    @property
    def container(self) -> str:
        """The id of the container."""
        return container_id(self.key)


class Sealed(_Part, frozen=True, kw_only=True):
    """A secret that a binding of the device opens: `record` is in that plugin's own form."""

    binding: Annotated[str, Meta(max_length=32)]
    record: Annotated[bytes, Meta(max_length=64 * 1024)]
    shares: Annotated[tuple[Annotated[bytes, Meta(max_length=128)], ...], Meta(min_length=1, max_length=32)]


class Lock(_Part, frozen=True, kw_only=True):
    """How the bindings open an update: those that open give shares, `threshold` of which give the secret."""

    threshold: Annotated[int, Meta(ge=1, le=64)]
    parts: Annotated[tuple[Sealed, ...], Meta(min_length=1, max_length=8)]

    def __post_init__(self) -> None:
        _once([part.binding for part in self.parts], "parts")


class Update(_Part, frozen=True, kw_only=True):
    """The whole contents of a container from now on.

    Attributes:
        container: the id of the container that it is for.
        sequence: its number; it follows the one before.
        previous: the head before it.
        request_id: the request that it answers; None: nobody asked.
        issued_at: the server's clock.
        manifests: the vendor's key manifests that the container does not know, envelopes, each vouched
            for by the one before.
        lock: how the bindings open it.
        box: the contents, sealed to the bindings' secret and then to the container's key; the other
            members are the associated data of both (`header`).
    """

    container: Short
    sequence: Sequence
    previous: Hash
    request_id: Token | None
    issued_at: Seconds
    manifests: Annotated[tuple[Annotated[bytes, Meta(max_length=128 * 1024)], ...], Meta(max_length=16)] = ()
    lock: Lock
    box: bytes = b""


class Held(_Part, frozen=True, kw_only=True):
    """So many seats of one license that the container holds.

    Attributes:
        terms: as in `licentia.contract.products.Terms`.
        valid_until: the earliest end that was known when the update was issued.
        contact_by: until when it is valid without contact to the server (its checkpoint).
        units: what may be used up here, by meter; the nameless one is that of the term `units`.
    """

    activation_id: Short
    license_id: Short
    product_code: Short
    name: Short
    quantity: Amount
    terms: dict[str, Any]
    valid_until: Seconds | None = None
    contact_by: Seconds | None = None
    units: dict[str, Amount] = {}


class Contents(_Part, frozen=True, kw_only=True):
    """What an update puts into the container; `vendor` is who issued it."""

    vendor: Short
    held: tuple[Held, ...]

    def __post_init__(self) -> None:
        _once([(each.activation_id, each.license_id) for each in self.held], "held")


T = TypeVar("T")


def container_id(key: bytes) -> str:
    """The id of the container with this Ed25519 key, 43 characters."""
    return VerifyKey(ED25519, key).kid


def nonce(container: str, request_id: bytes) -> str:
    """What evidence for a request has to repeat: 32 letters and digits, made from the container and the request."""
    digest = hashlib.sha256(b"licentia evidence\0" + container.encode() + request_id).digest()
    return base64.b32encode(digest)[:32].decode()


def head_of(document: bytes) -> bytes:
    """What the next update names as its `previous`: SHA-256 of the octets of this one."""
    return hashlib.sha256(document).digest()


def header(update: Update) -> bytes:
    """The associated data of `box`: the update without it."""
    return msgspec.json.encode(msgspec.structs.replace(update, box=b""))


def sign_statement(statement: Statement, payload_type: str, signer: Signer) -> bytes:
    """The envelope of a request or a receipt."""
    return envelope.sign(payload_type, msgspec.json.encode(statement), signer)


def read_statement(data: bytes, payload_type: str) -> Statement:
    """A request or a receipt, with the signature of the key that it names.

    Raises:
        DocumentInvalid: it is damaged, of another kind, or not signed by its own key.
    """
    claimed = _decoded(
        envelope.unverified_payload(data, payload_type, limit=STATEMENT_LIMIT), Statement, "request or receipt"
    )
    key = VerifyKey(ED25519, claimed.key)
    envelope.verify(data, payload_type, [key], suites=(ED25519,), limit=STATEMENT_LIMIT)
    return claimed


def unverified_update(document: bytes) -> Update:
    """An update whose signature nobody has looked at.

    Raises:
        DocumentInvalid: it is not an update.
    """
    return _decoded(envelope.unverified_payload(document, UPDATE, limit=UPDATE_LIMIT), Update, "update")


def join(documents: list[bytes]) -> bytes:
    """Updates as one file: one to a line."""
    return b"".join(document + b"\n" for document in documents)


def split(chain: bytes) -> list[bytes]:
    """The updates of a file, in their order.

    Raises:
        DocumentInvalid: it is not a file of updates, or has too many.
    """
    if len(chain) > CHAIN_LIMIT * UPDATE_LIMIT or not chain.endswith(b"\n"):
        raise DocumentInvalid("This is no file of updates, or it was cut.")
    documents = chain[:-1].split(b"\n")
    if len(documents) > CHAIN_LIMIT or not all(documents):
        raise DocumentInvalid("This is no file of updates.")
    return documents


def contents_of(plain: bytes) -> Contents:
    """The contents of an update that was opened.

    Raises:
        DocumentInvalid: they are of another form than this version knows.
    """
    return _decoded(plain, Contents, "contents")


def _decoded(payload: bytes, wanted: type[T], what: str) -> T:
    try:
        decoded = msgspec.json.decode(payload, type=wanted)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise DocumentInvalid(f"The {what} cannot be read: {str(error)[:200]}.") from None
    if msgspec.json.encode(decoded) != payload:
        raise DocumentInvalid(f"The {what} is not in the one form that it is written in.")
    return decoded
