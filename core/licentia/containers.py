"""What the author of a container implements, and the facade through which the core calls it.

A container is where licenses live after their activation: an account of the vendor's service, a file
on a machine, a dongle. The author writes the methods with an underscore; the core calls the ones
without, which check both directions and let only documented errors out, each naming the plugin.

An ability beyond the five methods is a further small class with its own underscore method, as
`OfflineDelivery`: a container has the ability by inheriting it, never by raising NotImplementedError.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, ClassVar, ParamSpec, Protocol, TypeVar

import msgspec
import structlog

from licentia.bindings import Binding, Identity, ServerHalf
from licentia.crypto.manifest import Manifest
from licentia.crypto.signing import Signer
from licentia.errors import ContainerUnknown, LicensingError, Unavailable

API = 1
"""The version of this contract. A plugin names the one it was written for in its `api`."""

P = ParamSpec("P")
T = TypeVar("T")
log = structlog.get_logger(__name__)


class ContainerRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller said about the wanted container; the user is already resolved by a directory."""

    user: str | None = None
    container_id: str | None = None
    request: bytes = b""


class ContainerRef(msgspec.Struct, frozen=True, kw_only=True):
    """A container: `binding` is what makes it the same one next time (a user, a machine), unique in its kind.

    Only the container of a `user` can be leased from: whoever is that user, or in that group, draws on it.
    `request_id` is the container's own name of the request that it sent, the same whenever it sends it again.
    """

    binding: str
    user: str | None = None
    request_id: str = ""


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """So many seats of one license, as the container should hold them.

    Attributes:
        terms: as in `licentia.contract.products`.
        activation_id: the activation that put them there; they are returned and moved with it.
        valid_until: the earliest end that is known now.
        units: what may be used up away from the server, by meter.
    """

    license_id: str
    product_code: str
    quantity: int
    terms: Mapping[str, Any]
    activation_id: str = ""
    name: str = ""
    valid_until: datetime | None = None
    units: Mapping[str, int] = {}


class Update(msgspec.Struct, frozen=True, kw_only=True):
    """The whole contents a container should hold from now on, numbered by `sequence` from 1."""

    sequence: int
    contents: tuple[Content, ...]


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes that a person or an agent carries to the container."""

    media_type: str
    filename: str
    content: bytes


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """What a container away from the server told it.

    Attributes:
        change: the number of the update that it holds now (`Update.sequence`); 0 for none.
        asks: it wants an answer.
        answered: it asks again what was answered; the answer stands.
        returned: the activations that it gave up for good.
        used: what was used of its licenses in all, by activation, license and meter.
        first_used: when each license was used first, by license.
    """

    change: int = 0
    asks: bool = False
    answered: bool = False
    returned: tuple[str, ...] = ()
    used: Mapping[tuple[str, str, str], int] = {}
    first_used: Mapping[str, datetime] = {}


class Host(Protocol):
    """What the core offers to a container; all of it within the transaction of the call."""

    async def contents(self, kind: str, binding: str) -> tuple[Content, ...]:
        """What the core has recorded as the contents of this container, by license id."""
        ...

    async def recall(self, kind: str, binding: str) -> bytes | None:
        """What the plugin remembered of a container, which is locked until the transaction ends."""
        ...

    async def remember(self, kind: str, binding: str, state: bytes, facts: Mapping[str, str]) -> None:
        """Keep the state of a container, encrypted; `facts` are shown to the vendor."""
        ...

    def remember_refusal(self, kind: str, binding: str, state: bytes, facts: Mapping[str, str]) -> None:
        """Keep this state even if the call is refused; without effect if it succeeds."""
        ...

    async def claim(self, binding: str, identity: Identity, container: str) -> None:
        """Note that evidence of this identity was used for a container.

        Raises:
            BindingEvidenceInvalid: it may be a copy, and another container has used it.
        """
        ...

    async def now(self) -> datetime:
        """The time, by the database's clock."""
        ...

    def bindings(self) -> tuple[str, ...]:
        """The names of the bindings that are in use."""
        ...

    def binding(self, name: str) -> Binding:
        """A binding that is in use.

        Raises:
            SettingsError: it is not.
        """
        ...

    def half(self, binding: str) -> ServerHalf:
        """The server half of a binding that is in use; errors as in `binding`."""
        ...

    def issuer(self) -> tuple[Signer, tuple[Manifest, ...]]:
        """The key that signs for containers now, and the manifests that vouch for it, the current one last."""
        ...

    def note(self, kind: str, /, **data: Any) -> None:
        """Note something in the audit trail, as `noun.verb`, whatever becomes of the call."""
        ...


class ContainerBackend(ABC):
    """One kind of container.

    `kind` is the entry point's name. `leasing` says that applications may claim seats of this
    container from the server; `device_bound`, that it belongs to one machine, as node-locked licenses
    demand. `settings` is the table `[container.KIND]` of the settings file.
    """

    api: ClassVar[int] = API
    leasing: ClassVar[bool] = False
    device_bound: ClassVar[bool] = False

    def __init__(self, kind: str, host: Host, settings: Mapping[str, Any]) -> None:
        self.kind = kind
        self.host = host
        self.settings = settings

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in (
            "_provision",
            "_apply",
            "_read",
            "_retire",
            "_confirm",
            "_whose",
            "_receive",
            "_pending",
            "_reinstate",
        ):
            method = cls.__dict__.get(name)
            if method is not None and not inspect.iscoroutinefunction(method):
                raise TypeError(f"{cls.__qualname__}.{name} must be an `async def`")

    @property
    def capabilities(self) -> list[str]:
        """The abilities this kind has, for people to read."""
        abilities = {
            "leasing": self.leasing,
            "device-bound": self.device_bound,
            "offline-delivery": isinstance(self, OfflineDelivery),
            "contact": isinstance(self, Contact),
        }
        return [name for name, has in abilities.items() if has]

    @abstractmethod
    async def _provision(self, wanted: ContainerRequest) -> ContainerRef:
        """Say which container is meant, or refuse; called again for the same one, it names the same."""

    @abstractmethod
    async def _apply(self, ref: ContainerRef, update: Update) -> Delivery | None:
        """Bring the container to these contents. None: done, it is on the server; else what to carry to it."""

    @abstractmethod
    async def _read(self, ref: ContainerRef) -> tuple[Content, ...]:
        """What the container holds, as far as can be known here."""

    @abstractmethod
    async def _retire(self, ref: ContainerRef) -> None:
        """The container is empty and will not be used again."""

    async def provision(self, wanted: ContainerRequest) -> ContainerRef:
        """Which container is meant.

        Raises:
            LicensingError: the plugin refuses, in its own words.
            Unavailable: the plugin failed.
        """
        ref = await self._guarded("provision", self._provision, wanted)
        if not isinstance(ref, ContainerRef) or not ref.binding:
            raise self._broken("provision", f"answered {ref!r} instead of a ContainerRef with a binding")
        return ref

    async def apply(self, ref: ContainerRef, update: Update) -> Delivery | None:
        """Bring the container to the contents of `update`; errors as in `provision`."""
        delivery = await self._guarded("apply", self._apply, ref, update)
        if delivery is not None and not isinstance(delivery, Delivery):
            raise self._broken("apply", f"answered {type(delivery).__name__} instead of a Delivery or None")
        if delivery is not None and not isinstance(self, OfflineDelivery):
            raise self._broken("apply", "delivered bytes but has no way to confirm them")
        return delivery

    async def read(self, ref: ContainerRef) -> tuple[Content, ...]:
        """What the container holds; errors as in `provision`."""
        contents = await self._guarded("read", self._read, ref)
        if not isinstance(contents, tuple) or not all(isinstance(content, Content) for content in contents):
            raise self._broken("read", "did not answer a tuple of Content")
        return contents

    async def retire(self, ref: ContainerRef) -> None:
        """Retire an empty container; errors as in `provision`."""
        await self._guarded("retire", self._retire, ref)

    async def confirm(self, ref: ContainerRef, receipt: bytes) -> int:
        """The `sequence` of the update that a receipt confirms; errors as in `provision`."""
        assert isinstance(self, OfflineDelivery)
        sequence = await self._guarded("confirm", self._confirm, ref, receipt)
        if not isinstance(sequence, int):
            raise self._broken("confirm", "did not answer the number of an update")
        return sequence

    async def whose(self, message: bytes) -> ContainerRef:
        """The container that signed a message; errors as in `provision`."""
        assert isinstance(self, Contact)
        ref = await self._guarded("whose", self._whose, message)
        if not isinstance(ref, ContainerRef) or not ref.binding:
            raise self._broken("whose", f"answered {ref!r} instead of a ContainerRef with a binding")
        return ref

    async def receive(self, ref: ContainerRef, message: bytes) -> Received:
        """Take note of a message; errors as in `provision`."""
        assert isinstance(self, Contact)
        received = await self._guarded("receive", self._receive, ref, message)
        if not isinstance(received, Received):
            raise self._broken("receive", f"answered {type(received).__name__} instead of a Received")
        return received

    async def pending(self, ref: ContainerRef) -> Delivery | None:
        """The answer to the last request once more, if the container can tell; errors as in `provision`."""
        if not isinstance(self, Contact):
            return None
        delivery = await self._guarded("pending", self._pending, ref)
        if delivery is not None and not isinstance(delivery, Delivery):
            raise self._broken("pending", f"answered {type(delivery).__name__} instead of a Delivery or None")
        return delivery

    async def reinstate(self, ref: ContainerRef) -> bool:
        """Forget that a container was found to be copied; errors as in `provision`."""
        assert isinstance(self, Contact)
        return bool(await self._guarded("reinstate", self._reinstate, ref))

    async def _guarded(self, name: str, method: Callable[P, Awaitable[T]], *given: P.args, **named: P.kwargs) -> T:
        try:
            return await method(*given, **named)
        except LicensingError:
            raise
        except Exception as error:
            log.exception("plugin_failed", plugin=f"container({self.kind})", method=name)
            raise self._broken(name, f"failed with {type(error).__name__}") from error

    def _broken(self, method: str, what: str) -> Unavailable:
        return Unavailable(
            f"container({self.kind}): {method} {what}", help="Tell the operator; the log names the plugin's error."
        )


class OfflineDelivery(ABC):
    """The ability to live away from the server: what `apply` delivered takes effect there, and a receipt says so."""

    @abstractmethod
    async def _confirm(self, ref: ContainerRef, receipt: bytes) -> int:
        """Check the receipt and give the `sequence` of the update that it confirms."""


class Contact(ABC):
    """The ability to be in contact by itself: it asks and tells with messages that it signs, so it needs no key."""

    @abstractmethod
    async def _whose(self, message: bytes) -> ContainerRef:
        """The container that signed this message; nothing is changed."""

    @abstractmethod
    async def _receive(self, ref: ContainerRef, message: bytes) -> Received:
        """Take note of what a message tells. A request is then answered by `_apply`, or again by `_pending`."""

    @abstractmethod
    async def _pending(self, ref: ContainerRef) -> Delivery | None:
        """The answer to the request that was taken last, once more; None if there is none."""

    @abstractmethod
    async def _reinstate(self, ref: ContainerRef) -> bool:
        """Forget that it was found to be copied; whether it was."""


def unknown_kind(kind: str, known: list[str]) -> ContainerUnknown:
    """The refusal of a kind that no active plugin serves."""
    return ContainerUnknown(f"There is no container of kind {kind!r}; active here: {', '.join(known) or 'none'}.")
