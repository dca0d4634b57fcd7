"""The conformance kit of containers."""

from __future__ import annotations

import asyncio
from typing import ClassVar

import pytest

from licentia.containers import (
    ContainerBackend,
    ContainerRef,
    ContainerRequest,
    Content,
    Delivery,
    OfflineDelivery,
    Update,
)
from licentia.errors import InternalError, LicensingError, Unavailable
from licentia.plugins import flaw
from licentia.testing.kit import Kit

SEATS = Content(license_id="lic-1", product_code="201001", quantity=3, terms={"license_model": "floating"})
UNITS = Content(license_id="lic-2", product_code="201002", quantity=1, terms={"units": 1000})


class MemoryHost:
    """The core, as far as a container sees it: it knows what was recorded, by kind and binding."""

    def __init__(self) -> None:
        self._contents: dict[tuple[str, str], tuple[Content, ...]] = {}

    def record(self, kind: str, binding: str, contents: tuple[Content, ...]) -> None:
        """Record these as the whole contents of a container."""
        self._contents[kind, binding] = contents

    async def contents(self, kind: str, binding: str) -> tuple[Content, ...]:
        """What was recorded last."""
        return self._contents.get((kind, binding), ())


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
