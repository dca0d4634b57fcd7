"""A vendor and its devices in memory: the real exchange on both sides, without a network, a database or a disk.

`Vendor` does with the real act-file plugin what the core does with it; `Device` is the real `ActFile`
over a store that can be copied, set back, and stopped between any two writes.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import msgspec

from licentia.bindings import Binding, Challenge, ClientHalf, Identity, ServerHalf, Unsealed
from licentia.client.actfile import ActFile
from licentia.client.actfile.file import decode
from licentia.client.actfile.store import Store
from licentia.client.actfile.trust import follow
from licentia.containers import ContainerRef, ContainerRequest, Content, Delivery, Update
from licentia.crypto import sealing
from licentia.crypto.manifest import Body, Issuing, Roots, make
from licentia.crypto.signing import SoftwareKey
from licentia.crypto.suites import ED25519
from licentia.errors import BindingEvidenceInvalid, BindingMismatch, LicensingError
from licentia.testing import MemoryHost
from licentia_plugins.bindings.none import Unbound
from licentia_plugins.containers.act_file import ActFile as Plugin

T = TypeVar("T")
KIND = "act-file"
DAY = 86_400
START = 1_800_000_000
"""What time it is at the beginning, in seconds since 1970."""
END = datetime(2100, 1, 1, tzinfo=UTC)


def run(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never has to wait."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    raise AssertionError("it waits for something")


class Place:
    """What a machine is, for the binding `place`: a name that it may change."""

    def __init__(self, name: str = "here") -> None:
        self.name = name


class AtPlace(Binding):
    """A binding to a place, for tests: its evidence is a name, and the record opens where the name is the same.

    What follows a `|` in the name may change.
    """

    def __init__(self, name: str, place: Place) -> None:
        super().__init__(name, {})
        self._place = place

    def server(self) -> ServerHalf:
        """The server half."""
        return _PlaceServer(self.name, {})

    def client(self) -> ClientHalf:
        """The client half at the place."""
        return PlaceClient(self.name, self._place)


class _PlaceServer(ServerHalf):
    async def _verify(self, evidence: bytes, challenge: Challenge) -> Identity:
        if evidence == b"nowhere":
            raise BindingEvidenceInvalid("Nowhere is no place.")
        return Identity(name=_name(evidence).decode())

    async def _seal(self, evidence: bytes, secret: bytes) -> bytes:
        return sealing.seal(_name(evidence).ljust(16), b"place", secret)


def _name(evidence: bytes) -> bytes:
    return evidence.partition(b"|")[0]


class PlaceClient(ClientHalf):
    """The client half of `place`."""

    def __init__(self, name: str, place: Place) -> None:
        super().__init__(name, {})
        self.place = place

    def _collect(self, nonce: str) -> bytes:
        return self.place.name.encode()

    def _unseal(self, record: bytes) -> Unsealed:
        try:
            return Unsealed(secret=sealing.unseal(_name(self.place.name.encode()).ljust(16), b"place", record))
        except LicensingError:
            raise BindingMismatch(f"This is {self.place.name}, another place.") from None


class Clock:
    """A clock that tests set, in seconds since 1970."""

    def __init__(self) -> None:
        self.seconds: float = START

    def __call__(self) -> float:
        return self.seconds


class Host(MemoryHost):
    """The core in memory, with transactions; signs with keys of the suite that is wanted."""

    def __init__(self, bindings: Mapping[str, Binding], clock: Clock, suite: str = ED25519) -> None:
        super().__init__(bindings, lambda: datetime.fromtimestamp(clock(), UTC))
        self._after: list[Callable[[], None]] = []
        if suite != ED25519:
            key, root = SoftwareKey.generate(suite), SoftwareKey.generate(suite)
            issuing = Issuing(key=key.public, not_before=0, not_after=2**40, state="current")
            roots = Roots(threshold=1, keys=(root.public,))
            body = Body(version=1, vendor="Test vendor", issued_at=0, roots=roots, issuing=(issuing,), suites=(suite,))
            self._keys = key, (make(body, root),)

    def remember_refusal(self, kind: str, binding: str, state: bytes, facts: Mapping[str, str]) -> None:
        """Remember it when the transaction has been rolled back."""
        self._after.append(lambda: super(Host, self).remember_refusal(kind, binding, state, facts))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing."""
        before = copy.copy(self.states), copy.copy(self.facts), copy.copy(self._claims), copy.copy(self._contents)
        self._after = []
        try:
            yield
        except BaseException:
            self.states, self.facts, self._claims, self._contents = before
            for each in self._after:
                each()
            raise


class Vendor:
    """A vendor's server. `settings` are those of the plugin."""

    kind: ClassVar[str] = KIND

    def __init__(self, suite: str = ED25519, **settings: Any) -> None:
        self.clock = Clock()
        bindings: dict[str, Binding] = {"none": Unbound("none", {})}
        bindings |= {name: AtPlace(name, Place()) for name in ("place", "other")}
        self.host = Host(bindings, self.clock, suite)
        self.plugin = Plugin(KIND, self.host, {"bindings": ["none", "place"], **settings})
        self.sequence: dict[str, int] = {}
        self._sold = 0

    @property
    def trust(self) -> bytes:
        """The vendor's key manifest."""
        return self.host.issuer()[1][0].to_bytes()

    def contents(self, container: str) -> tuple[Content, ...]:
        """What the container should hold."""
        return run(self.host.contents(KIND, container))

    def facts(self, container: str) -> Mapping[str, str]:
        """What the vendor is shown of it."""
        return self.host.facts[KIND, container]

    def notes(self) -> list[dict[str, Any]]:
        """The copies that were found."""
        return [data for kind, data in self.host.noted if kind == "container.forked"]

    def license(self, code: str = "cad", **fields: Any) -> Content:
        """A new license, to be activated."""
        self._sold += 1
        number = self._sold
        terms = {"license_model": "floating"} | fields.pop("terms", {})
        given = {"valid_until": END, "quantity": 1, "activation_id": f"act-{number}", "name": code.upper()} | fields
        return Content(license_id=f"lic-{number}", product_code=code, terms=terms, **given)

    def activate(self, request: bytes, *contents: Content) -> bytes:
        """Put licenses into the container of a request; the updates to carry to it."""
        with self.host.transaction():
            ref = run(self.plugin.provision(ContainerRequest(request=request)))
            return self._told(ref, (*self.contents(ref.binding), *contents))

    def put(self, container: str, *contents: Content) -> bytes:
        """Let it hold these besides, without its having asked; the updates to carry to it."""
        with self.host.transaction():
            return self._told(ContainerRef(binding=container), (*self.contents(container), *contents))

    def withdraw(self, container: str, *activation_ids: str) -> bytes:
        """Take activations out of it; the updates to carry to it."""
        with self.host.transaction():
            return self._withdrawn(ContainerRef(binding=container), activation_ids)

    def contact(self, message: bytes) -> bytes | None:
        """Take a message as the core does; the answer, if it asks for one."""
        with self.host.transaction():
            ref = run(self.plugin.whose(message))
            received = run(self.plugin.receive(ref, message))
            gone = {each.activation_id for each in self.contents(ref.binding)} & set(received.returned)
            if gone:
                self._withdrawn(ref, tuple(gone))
            if not received.asks:
                return None
            if received.answered:
                delivery = run(self.plugin.pending(ref))
                assert delivery is not None
                return delivery.content
            return self._told(ref, self.contents(ref.binding))

    def _withdrawn(self, ref: ContainerRef, ids: tuple[str, ...]) -> bytes:
        return self._told(ref, tuple(each for each in self.contents(ref.binding) if each.activation_id not in ids))

    def _told(self, ref: ContainerRef, contents: tuple[Content, ...]) -> bytes:
        number = self.sequence[ref.binding] = self.sequence.get(ref.binding, 0) + 1
        self.host.record(KIND, ref.binding, contents)
        delivery = run(self.plugin.apply(ref, Update(sequence=number, contents=contents)))
        assert isinstance(delivery, Delivery)
        return delivery.content


class Stopped(BaseException):
    """The process is gone, between two writes."""


class MemoryStore(Store):
    """The one file, in memory.

    `stop_at` counts the steps of writing down: at 0 the process is gone before it, never to come back.
    """

    def __init__(self, data: bytes | None = None) -> None:
        super().__init__(Path("memory.act"))
        self.data = data
        self.stop_at = -1

    def read(self) -> bytes | None:
        """The file."""
        return self.data

    def write(self, data: bytes) -> None:
        """Replace it, in three steps: the draft, its renaming, the return."""
        self._step()
        self._step()
        self.data = data
        self._step()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else is there."""
        yield

    def _step(self) -> None:
        self.stop_at -= 1
        if self.stop_at == -1:
            raise Stopped


class Device:
    """A machine with an act-file."""

    def __init__(self, vendor: Vendor, *bindings: str, store: MemoryStore | None = None, place: str = "here") -> None:
        self.vendor = vendor
        self.clock = Clock()
        self.clock.seconds = vendor.clock.seconds
        self.place = Place(place)
        self.store = store or MemoryStore()
        self.open()
        if store is None:
            self.file.create(bindings or ("none",))

    def open(self) -> ActFile:
        """Start the application anew."""
        self.file = ActFile(
            self.store.path,
            trust=self.vendor.trust,
            half=self._half,
            clock=self.clock,
            store=self.store,
            look_again_seconds=0,
        )
        return self.file

    def copy(self) -> Device:
        """A clone of the machine as it is, or a snapshot of it for later."""
        clone = Device(self.vendor, store=MemoryStore(self.store.data), place=self.place.name)
        clone.clock.seconds = self.clock.seconds
        return clone

    def contact(self) -> bool:
        """Speak with the server."""
        return self.file.contact(self.vendor.contact)

    def codes(self) -> list[str]:
        """The product codes that it holds."""
        return sorted(license.product_code for license in self.file.licenses())

    def _half(self, name: str) -> ClientHalf:
        if name == "none":
            return Unbound("none", {}).client()
        return PlaceClient(name, self.place)


def machine(vendor: Vendor | None = None, *bindings: str, **license: Any) -> Device:
    """A device with one license, which has confirmed it."""
    vendor = vendor or Vendor()
    device = Device(vendor, *bindings)
    vendor.contact(device.file.apply(vendor.activate(device.file.request(), vendor.license(**license))))
    return device


def decode_update(device: Device) -> bytes:
    """The update that a device holds."""
    update = decode(device.store.data or b"").update
    assert update is not None
    return update


def replaced(struct: T, **fields: Any) -> T:
    """A struct with other fields."""
    return msgspec.structs.replace(struct, **fields)


class Files:
    """One exchange with each of its files, and what reads them."""

    def __init__(self, suite: str = ED25519) -> None:
        self.vendor = Vendor(suite, bindings=["place"])
        self.device = Device(self.vendor, "place")
        self.empty = self.device.store.data
        self.request: bytes = self.device.file.request()
        self.asked = self.device.store.data
        self.update: bytes = self.vendor.activate(self.request, self.vendor.license())
        self.receipt: bytes = self.device.file.apply(self.update)
        self.file: bytes = self.device.store.data
        self.manifest: bytes = self.vendor.trust

    def apply(self, update: bytes) -> None:
        """Apply it to the container as it was when it asked."""
        self.device.store.data = self.asked
        try:
            self.device.file.apply(update)
        finally:
            changed, self.device.store.data = self.device.store.data != self.asked, self.file
            self.applied = changed

    def open(self, file: bytes) -> None:
        """Open this file on the machine."""
        self.device.store.data = file
        try:
            self.device.file.require("cad")
        finally:
            self.device.store.data = self.file

    def send(self, message: bytes) -> None:
        """Send it to the server."""
        self.vendor.contact(message)

    def trust(self, manifest: bytes) -> None:
        """Trust this manifest, and open the file."""
        follow(manifest, ())

    def readers(self) -> dict[str, tuple[bytes, Callable[[bytes], Any]]]:
        """Each kind of file, and what reads it."""
        return {
            "update": (self.update, self.apply),
            "act-file": (self.file, self.open),
            "request": (self.request, self.send),
            "receipt": (self.receipt, self.send),
            "manifest": (self.manifest, self.trust),
        }
