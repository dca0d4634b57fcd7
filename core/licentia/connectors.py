"""What the author of a connector implements, and the facade through which the core calls it.

A connector understands one business system: an ERP, a CRM, a shop. What the system sends is a
delivery; what it means for orders is a tuple of changes. Between the two nothing is kept and nobody is
asked: `_normalise` is a plain function of the delivery, so that files are enough to test it, and a
delivery that was parked can be tried again after years. It is not async, because there is nothing it
could wait for. `_authenticate` is, because the key that it needs may have to be fetched.

What the contract lets the core do: keep a delivery before it answers, know one that comes again by its
id, apply a change once by order and line and in the order of the versions, and write back what came of it.

An ability beyond the two methods is a further small class with its own underscore method: a connector
has the ability by inheriting it, never by raising NotImplementedError.
"""

from __future__ import annotations

import hashlib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, BinaryIO, ClassVar, Literal, ParamSpec, TypeVar

import msgspec
import structlog
from msgspec import Meta

from licentia.errors import InvalidRequest, LicensingError, Unavailable

API = 1
"""The version of this contract. A plugin names the one it was written for in its `api`."""

ChangeKind = Literal["placed", "changed", "cancelled", "returned", "renewed", "pointer"]
Short = Annotated[str, Meta(max_length=200)]
HeaderName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{1,100}\Z")]
HeaderValue = Annotated[str, Meta(pattern=r"^[ -~]{0,1000}\Z")]
P = ParamSpec("P")
T = TypeVar("T")
log = structlog.get_logger(__name__)


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """What a business system sent, byte for byte, or what was fetched from it.

    Attributes:
        body: as it came; signatures are over these bytes.
        headers: their names in lower case.
        method: of the request, as `POST`.
        url: the address that the system called, with its query, as some sign it.
        pointer: what this was fetched for, or where in a file it was; empty if the system sent it.
        received_at: when it came, for signatures that grow old.
    """

    body: bytes
    received_at: datetime
    headers: Mapping[str, str] = {}
    method: str = "POST"
    url: str = ""
    pointer: str = ""


class Customer(msgspec.Struct, frozen=True, kw_only=True):
    """Who bought, by the system's own id."""

    id: Short
    name: Short | None = None
    email: Annotated[str, Meta(max_length=254)] | None = None


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """So many of one article, as the system has it; whether that can be licensed is not the connector's affair.

    Attributes:
        line_id: the line's own id, which stays for the life of the order. In a return or a renewal it is
            that of the line in the order of `origin`, where the system tells.
        sku: the article number that the seller uses; empty if the system does not tell it.
        quantity: never negative, as `kind` says the direction; fractions as they are.
        alternatives: other numbers of the same article, the better known first.
        options: what was chosen with the article, as a variation of it.
    """

    line_id: Short
    sku: Short
    quantity: Decimal
    alternatives: tuple[Short, ...] = ()
    options: Mapping[str, str] = {}


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to one order.

    Attributes:
        kind: `pointer` says only that something did, and where to ask.
        order_number: its natural key within the connection; only a pointer may do without.
        version: grows with each state of the order, as a revision or a time in milliseconds; 0 if the
            system tells neither.
        full_snapshot: `lines` are all the order has, so a line that is missing is gone.
        pointer: what to fetch, in the connector's own words.
        origin: the number of the order that is returned, renewed or replaced.
        test: no money was paid, so no license is earned.
    """

    kind: ChangeKind
    order_number: Short = ""
    version: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0
    full_snapshot: bool = False
    pointer: Annotated[str, Meta(max_length=2000)] | None = None
    customer: Customer | None = None
    lines: tuple[Line, ...] = ()
    origin: Short | None = None
    test: bool = False


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the system gets for its delivery; `headers` are those it has beside the type of its body."""

    status: Annotated[int, Meta(ge=200, le=599)] = 204
    body: bytes = b""
    media_type: str = "text/plain; charset=utf-8"
    headers: Mapping[HeaderName, HeaderValue] = {}


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one order: its ticket, or why it is parked, in words for a person."""

    order_number: str
    ticket: str | None = None
    problem: str | None = None


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """What a poll found, oldest first, and the cursor that the next one goes on from."""

    deliveries: tuple[Delivery, ...]
    cursor: str


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """What a file says of one order, all of it: the body and the pointer of a delivery.

    Attributes:
        line: of the file, on which it begins.
        of: how many pieces the file has.
    """

    body: bytes
    pointer: str
    line: int
    of: int


class Plugged:
    """What connectors and their abilities have in common: a name, settings, and the guard of the facade."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        self.name = name
        self.settings = settings

    def _checked(self, method: str, answer: Any, wanted: Any) -> Any:
        """The answer, if it is what the contract wants, also in its bounds."""
        try:
            return msgspec.convert(msgspec.to_builtins(answer, builtin_types=(bytes, datetime, Decimal)), wanted)
        except (msgspec.ValidationError, TypeError) as error:
            raise self._broken(method, f"gave a wrong answer: {error}") from error

    def _guarded(self, name: str, method: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
        try:
            return method(*given, **named)
        except LicensingError:
            raise
        except Exception as error:
            raise self._failed(name, error) from error

    async def _awaited(self, name: str, method: Callable[P, Awaitable[T]], *given: P.args, **named: P.kwargs) -> T:
        try:
            return await method(*given, **named)
        except LicensingError:
            raise
        except Exception as error:
            raise self._failed(name, error) from error

    def _failed(self, name: str, error: Exception) -> Unavailable:
        log.exception("plugin_failed", plugin=f"connector({self.name})", method=name)
        return self._broken(name, f"failed with {type(error).__name__}")

    def _broken(self, method: str, what: str) -> Unavailable:
        return Unavailable(
            f"connector({self.name}): {method} {what}", help="Tell the operator; the log names the plugin's error."
        )


class Connector(Plugged, ABC):
    """One business system. `settings` are those of the connection `NAME`, without what the core reads of them.

    Attributes:
        api: the version of the contract that it was written for.
        changed_places: whether a `changed` with a full snapshot places an order that nobody knows. Not where
            it may be the state of a subscription, whose order has another number.
        connected: whether it knows where to reach the system, and as whom; `__init__` sets it. Without,
            nothing is polled or written back.
    """

    api: ClassVar[int] = API
    changed_places: ClassVar[bool] = True
    connected: bool = True

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for contract in (Connector, Handshake, Answering, Fetching, Polling, Importing, WriteBack):
            for name, declared in vars(contract).items():
                method = cls.__dict__.get(name) if getattr(declared, "__isabstractmethod__", False) else None
                wanted = inspect.iscoroutinefunction(declared)
                if method is not None and inspect.iscoroutinefunction(method) != wanted:
                    form = "an `async def`" if wanted else "a plain `def`"
                    raise TypeError(f"{cls.__qualname__}.{name} must be {form}")

    @property
    def capabilities(self) -> list[str]:
        """The abilities it has, for people to read."""
        return [word for word, ability in ABILITIES.items() if isinstance(self, ability)]

    @abstractmethod
    async def _authenticate(self, delivery: Delivery) -> None:
        """Unauthenticated unless the system itself sent these bytes; secrets are compared in constant time."""

    @abstractmethod
    def _normalise(self, delivery: Delivery) -> tuple[Change, ...]:
        """What an authentic delivery means; none if it is not about orders. InvalidRequest if it is illegible."""

    def _delivery_id(self, delivery: Delivery) -> str:
        """What is the same when the system sends a delivery again; by default the hash of its body."""
        return hashlib.sha256(delivery.body).hexdigest()

    async def close(self) -> None:
        """Give up connections; called once, at shutdown."""

    async def authenticate(self, delivery: Delivery) -> None:
        """Return if the delivery is authentic.

        Raises:
            Unauthenticated: it is forged, changed, too old, or not signed at all.
            Unavailable: the plugin failed, or cannot reach what it needs.
        """
        await self._awaited("authenticate", self._authenticate, delivery)

    def normalise(self, delivery: Delivery) -> tuple[Change, ...]:
        """What a delivery means for orders.

        Raises:
            InvalidRequest: it is not what this system sends, or two lines of an order have one id.
            Unavailable: the plugin failed.
        """
        given = self._guarded("normalise", self._normalise, delivery)
        changes: tuple[Change, ...] = self._checked("normalise", given, tuple[Change, ...])
        for change in changes:
            if flaw := self._flaw(change):
                raise self._broken("normalise", flaw)
            if len({line.line_id for line in change.lines}) != len(change.lines):
                raise InvalidRequest(f"Order {change.order_number!r} has two lines of one id.")
        return changes

    def delivery_id(self, delivery: Delivery) -> str:
        """What is the same when the system sends this again; errors as in `normalise`."""
        given = self._guarded("delivery_id", self._delivery_id, delivery)
        if not isinstance(given, str) or not 0 < len(given) <= 200:
            raise self._broken("delivery_id", "did not answer 1 to 200 characters")
        return given

    def _flaw(self, change: Change) -> str | None:
        if change.kind == "pointer":
            if not isinstance(self, Fetching):
                return "gave a pointer, but this connector fetches nothing"
            return None if change.pointer else "gave a pointer to nothing"
        if not change.order_number:
            return f"gave a change of kind {change.kind!r} without an order number"
        if not all(line.quantity.is_finite() and line.quantity >= 0 for line in change.lines):
            return "gave a line with a quantity that is negative or no number"
        return None


class Handshake(Plugged, ABC):
    """The ability to answer a system that asks first whether somebody is there, before it signs anything."""

    @abstractmethod
    def _handshake(self, delivery: Delivery) -> Answer | None:
        """The answer to a handshake; None if this is none, but a delivery."""

    def handshake(self, delivery: Delivery) -> Answer | None:
        """The answer to a handshake, or None; errors as in `Connector.normalise`."""
        answer: Answer | None = self._checked(
            "handshake", self._guarded("handshake", self._handshake, delivery), Answer | None
        )
        return answer


class Answering(Plugged, ABC):
    """The ability to reply in the system's own form, and to tell it what came of its delivery, as a ticket.

    Without it, a delivery that is kept is answered with 204 and applied later.

    Attributes:
        waits: whether the reply waits until the delivery is applied. Not where it only acknowledges: it is
            given as soon as the delivery is kept then, without outcomes.
    """

    waits: ClassVar[bool] = True

    @abstractmethod
    def _answer(self, delivery: Delivery, outcomes: tuple[Outcome, ...]) -> Answer:
        """The reply, in the system's own form; the same for the same outcomes."""

    def answer(self, delivery: Delivery, outcomes: tuple[Outcome, ...]) -> Answer:
        """The reply to a delivery; errors as in `Connector.normalise`."""
        answer: Answer = self._checked("answer", self._guarded("answer", self._answer, delivery, outcomes), Answer)
        return answer


class Fetching(Plugged, ABC):
    """The ability to load what a delivery only pointed to."""

    @abstractmethod
    async def _fetch(self, pointer: str) -> tuple[Delivery, ...]:
        """What is behind the pointer now, for `_normalise`; nothing if it is gone."""

    async def fetch(self, pointer: str) -> tuple[Delivery, ...]:
        """What is behind a pointer.

        Raises:
            Unavailable: the system does not answer, or the plugin failed. It is asked again later.
        """
        given = await self._awaited("fetch", self._fetch, pointer)
        deliveries: tuple[Delivery, ...] = self._checked("fetch", given, tuple[Delivery, ...])
        return deliveries


class Polling(Plugged, ABC):
    """The ability to ask the system what has changed, for systems that send nothing, or lose what they send."""

    @abstractmethod
    async def _poll(self, cursor: str) -> Page:
        """What has changed since the cursor, and the next cursor; the first cursor is empty."""

    async def poll(self, cursor: str) -> Page:
        """What has changed since the cursor; errors as in `Fetching.fetch`."""
        page: Page = self._checked("poll", await self._awaited("poll", self._poll, cursor), Page)
        return page


class Importing(Plugged, ABC):
    """The ability to cut a file of any length, as it was exported, into pieces that are deliveries each."""

    @abstractmethod
    def _pieces(self, file: BinaryIO) -> Iterator[Piece]:
        """The pieces, always the same ones in the same order; a file that is cut nowhere is InvalidRequest."""

    def pieces(self, file: BinaryIO) -> Iterator[Piece]:
        """The pieces of a file that is open at its beginning; errors as in `Connector.normalise`."""
        found = iter(self._guarded("pieces", self._pieces, file))
        while (piece := self._guarded("pieces", next, found, None)) is not None:
            given: Piece = self._checked("pieces", piece, Piece)
            yield given


class WriteBack(Plugged, ABC):
    """The ability to write into the system what came of an order."""

    @abstractmethod
    async def _write_back(self, outcome: Outcome) -> None:
        """Write it, so that writing it again changes nothing."""

    async def write_back(self, outcome: Outcome) -> None:
        """Write into the system what came of an order; errors as in `Fetching.fetch`."""
        await self._awaited("write_back", self._write_back, outcome)


def headers_of(text: str) -> dict[str, str]:
    """The headers that a file holds, with their names in lower case: lines of `Name: value`, or a JSON object.

    Raises:
        InvalidRequest: it is neither.
    """
    if text.lstrip().startswith("{"):
        try:
            pairs = msgspec.json.decode(text, type=dict[str, str])
        except (msgspec.DecodeError, RecursionError) as error:
            raise InvalidRequest(f"These are no headers: {error}") from None
        return {name.lower(): value for name, value in pairs.items()}
    lines = [line.partition(":") for line in text.splitlines() if line.strip()]
    if not all(colon for _, colon, _ in lines):
        raise InvalidRequest("These are no headers: a line has no colon.")
    return {name.strip().lower(): value.strip() for name, _, value in lines}


ABILITIES: Mapping[str, type] = {
    "handshake": Handshake,
    "answering": Answering,
    "fetching": Fetching,
    "polling": Polling,
    "importing": Importing,
    "write-back": WriteBack,
}
"""The small classes that a connector inherits beside `Connector`, by the word that a person reads."""
