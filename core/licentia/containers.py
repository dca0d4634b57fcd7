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
from typing import Any, ClassVar, ParamSpec, Protocol, TypeVar

import msgspec
import structlog

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
    """

    binding: str
    user: str | None = None


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """So many seats of one license, as the container should hold them; `terms` as in `licentia.contract.products`."""

    license_id: str
    product_code: str
    quantity: int
    terms: Mapping[str, Any]


class Update(msgspec.Struct, frozen=True, kw_only=True):
    """The whole contents a container should hold from now on, numbered by `sequence` from 1."""

    sequence: int
    contents: tuple[Content, ...]


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes that a person or an agent carries to the container."""

    media_type: str
    filename: str
    content: bytes


class Host(Protocol):
    """What the core offers to a container."""

    async def contents(self, kind: str, binding: str) -> tuple[Content, ...]:
        """What the core has recorded as the contents of this container, by license id."""
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
        for name in ("_provision", "_apply", "_read", "_retire", "_confirm"):
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


def unknown_kind(kind: str, known: list[str]) -> ContainerUnknown:
    """The refusal of a kind that no active plugin serves."""
    return ContainerUnknown(f"There is no container of kind {kind!r}; active here: {', '.join(known) or 'none'}.")
