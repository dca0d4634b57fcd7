"""The conformance kit of containers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest

from licentia.bindings import Binding, Identity, ServerHalf
from licentia.containers import (
    ContainerBackend,
    ContainerRef,
    ContainerRequest,
    Content,
    Delivery,
    OfflineDelivery,
    Update,
)
from licentia.crypto.manifest import Body, Issuing, Manifest, Roots, make
from licentia.crypto.signing import Signer, SoftwareKey
from licentia.crypto.suites import ED25519
from licentia.errors import BindingEvidenceInvalid, InternalError, LicensingError, Unavailable
from licentia.plugins import flaw
from licentia.settings import SettingsError
from licentia.testing.kit import Kit

SEATS = Content(license_id="lic-1", product_code="201001", quantity=3, terms={"license_model": "floating"})
UNITS = Content(license_id="lic-2", product_code="201002", quantity=1, terms={"units": 1000})


class MemoryHost:
    """The core, as far as a container sees it, in memory: what it records, remembers and signs with.

    Args:
        bindings: those in use, by name.
        clock: gives the time; by default this machine's.
    """

    def __init__(
        self, bindings: Mapping[str, Binding] | None = None, clock: Callable[[], datetime] | None = None
    ) -> None:
        self._contents: dict[tuple[str, str], tuple[Content, ...]] = {}
        self._bindings = dict(bindings or {})
        self._halves = {name: binding.server() for name, binding in self._bindings.items()}
        self._clock = clock or (lambda: datetime.now(UTC))
        self._claims: dict[tuple[str, str], str] = {}
        self._keys: tuple[SoftwareKey, tuple[Manifest, ...]] | None = None
        self.states: dict[tuple[str, str], bytes] = {}
        self.facts: dict[tuple[str, str], Mapping[str, str]] = {}
        self.noted: list[tuple[str, dict[str, Any]]] = []

    def record(self, kind: str, binding: str, contents: tuple[Content, ...]) -> None:
        """Record these as the whole contents of a container."""
        self._contents[kind, binding] = contents

    async def contents(self, kind: str, binding: str) -> tuple[Content, ...]:
        """What was recorded last."""
        return self._contents.get((kind, binding), ())

    async def recall(self, kind: str, binding: str) -> bytes | None:
        """What was remembered last."""
        return self.states.get((kind, binding))

    async def remember(self, kind: str, binding: str, state: bytes, facts: Mapping[str, str]) -> None:
        """Remember it."""
        self.states[kind, binding] = state
        self.facts[kind, binding] = facts

    def remember_refusal(self, kind: str, binding: str, state: bytes, facts: Mapping[str, str]) -> None:
        """Remember it; nothing is rolled back here."""
        self.states[kind, binding] = state
        self.facts[kind, binding] = facts

    async def claim(self, binding: str, identity: Identity, container: str) -> None:
        """Note who used it first."""
        first = self._claims.setdefault((binding, identity.name), container)
        if first != container and not identity.fresh:
            raise BindingEvidenceInvalid(f"Evidence of {identity.name!r} was used before.")

    async def now(self) -> datetime:
        """The time."""
        return self._clock()

    def bindings(self) -> tuple[str, ...]:
        """The names of those that were given."""
        return tuple(self._bindings)

    def binding(self, name: str) -> Binding:
        """A binding that was given."""
        if name not in self._bindings:
            raise SettingsError(f"the binding {name!r} is not in use")
        return self._bindings[name]

    def half(self, binding: str) -> ServerHalf:
        """The server half of one."""
        self.binding(binding)
        return self._halves[binding]

    def issuer(self) -> tuple[Signer, tuple[Manifest, ...]]:
        """A key, and a manifest that a root of its own vouches for."""
        if self._keys is None:
            key, root = SoftwareKey.generate(ED25519), SoftwareKey.generate(ED25519)
            issuing = Issuing(key=key.public, not_before=0, not_after=2**40, state="current")
            body = Body(
                version=1,
                vendor="Test vendor",
                issued_at=0,
                roots=Roots(threshold=1, keys=(root.public,)),
                issuing=(issuing,),
                suites=(ED25519,),
            )
            self._keys = key, (make(body, root),)
        return self._keys

    def note(self, kind: str, /, **data: Any) -> None:
        """Note it in `noted`."""
        self.noted.append((kind, data))


class ContainerContract(Kit):
    """What every container does. A subclass gives a `backend` fixture and requests for two containers."""

    wanted: ClassVar[ContainerRequest] = ContainerRequest(user="ada")
    other: ClassVar[ContainerRequest] = ContainerRequest(user="grace")
    refused: ClassVar[tuple[ContainerRequest, ...]] = (ContainerRequest(),)

    @pytest.fixture
    def host(self) -> MemoryHost:
        """What the backend is to be built on."""
        return MemoryHost()

    @pytest.fixture
    def backend(self, host: MemoryHost) -> ContainerBackend:
        """The container under test, fresh for each test."""
        pytest.fail("the test class has no `backend` fixture")

    async def install(
        self, backend: ContainerBackend, host: MemoryHost, ref: ContainerRef, update: Update
    ) -> Delivery | None:
        """Bring a container to the contents of an update and record them, as the core does."""
        delivery = await backend.apply(ref, update)
        host.record(backend.kind, ref.binding, update.contents)
        return delivery

    async def test_it_is_written_for_this_version_of_the_contract(self, backend: ContainerBackend) -> None:
        """The class has all methods, async and with the arguments of the contract, and leaves the facade alone."""
        assert flaw("container", type(backend)) is None
        assert backend.kind

    async def test_one_request_always_names_one_container(self, backend: ContainerBackend) -> None:
        """Asked again, also many times at once, the binding stays the same."""
        first = await backend.provision(self.wanted)
        assert await backend.provision(self.wanted) == first
        assert set(await asyncio.gather(*(backend.provision(self.wanted) for _ in range(20)))) == {first}

    async def test_other_requests_name_other_containers(self, backend: ContainerBackend) -> None:
        """Two containers never share a binding."""
        first, second = await backend.provision(self.wanted), await backend.provision(self.other)
        assert first.binding != second.binding

    async def test_a_request_that_names_no_container_is_refused(self, backend: ContainerBackend) -> None:
        """It is refused in the plugin's own words; a failure of the plugin is not a refusal."""
        assert self.refused, "name at least one request that must be refused"
        for request in self.refused:
            with pytest.raises(LicensingError) as refusal:
                await backend.provision(request)
            assert not isinstance(refusal.value, Unavailable | InternalError), refusal.value.detail

    async def test_an_update_is_done_or_gives_something_to_carry(
        self, backend: ContainerBackend, host: MemoryHost
    ) -> None:
        """Bytes come from containers with offline delivery, and from no other."""
        ref = await backend.provision(self.wanted)
        delivery = await self.install(backend, host, ref, Update(sequence=1, contents=(SEATS,)))
        if isinstance(backend, OfflineDelivery):
            assert delivery is not None
            assert delivery.content
            assert "/" in delivery.media_type
            assert delivery.filename
            assert not {"/", "\\"} & set(delivery.filename), "a file name is not a path"
        else:
            assert delivery is None

    async def test_what_was_applied_is_read(self, backend: ContainerBackend, host: MemoryHost) -> None:
        """An update says the whole contents: the next one replaces them, an empty one empties the container."""
        ref = await backend.provision(self.wanted)
        assert await backend.read(ref) == ()
        for sequence, contents in enumerate([(SEATS,), (SEATS, UNITS), (UNITS,), ()], 1):
            await self.install(backend, host, ref, Update(sequence=sequence, contents=contents))
            assert _by_license(await backend.read(ref)) == contents

    async def test_an_update_may_come_twice(self, backend: ContainerBackend, host: MemoryHost) -> None:
        """The core repeats an update whose answer was lost; nothing happens twice."""
        ref = await backend.provision(self.wanted)
        update = Update(sequence=1, contents=(SEATS,))
        await backend.apply(ref, update)
        await self.install(backend, host, ref, update)
        assert await backend.read(ref) == (SEATS,)

    async def test_containers_do_not_leak_into_each_other(self, backend: ContainerBackend, host: MemoryHost) -> None:
        """What is put into one container is in that one only."""
        first, second = await backend.provision(self.wanted), await backend.provision(self.other)
        await self.install(backend, host, first, Update(sequence=1, contents=(SEATS,)))
        assert await backend.read(second) == ()
        await self.install(backend, host, second, Update(sequence=1, contents=(UNITS,)))
        assert await backend.read(first) == (SEATS,)

    async def test_a_retired_container_may_be_wanted_again(self, backend: ContainerBackend, host: MemoryHost) -> None:
        """Retiring an empty container harms no other, may come twice, and its request names the same one later."""
        ref, other = await backend.provision(self.wanted), await backend.provision(self.other)
        await self.install(backend, host, other, Update(sequence=1, contents=(UNITS,)))
        await backend.retire(ref)
        await backend.retire(ref)
        assert await backend.provision(self.wanted) == ref
        assert await backend.read(ref) == ()
        assert await backend.read(other) == (UNITS,)

    async def test_it_does_not_block_the_server(self, backend: ContainerBackend, host: MemoryHost) -> None:
        """While it works, everybody else's requests go on."""
        async with self.unblocked():
            ref = await backend.provision(self.wanted)
            await self.install(backend, host, ref, Update(sequence=1, contents=(SEATS,)))
            await backend.read(ref)
            await self.install(backend, host, ref, Update(sequence=2, contents=()))
            await backend.retire(ref)


def _by_license(contents: tuple[Content, ...]) -> tuple[Content, ...]:
    return tuple(sorted(contents, key=lambda content: content.license_id))
