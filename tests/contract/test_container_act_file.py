"""act-file, by the kits that every container is measured with, and what is its own."""

from __future__ import annotations

from typing import Any, ClassVar

import exchange_lab as lab
import msgspec
import pytest

from licentia.containers import ContainerRef, ContainerRequest, Delivery, Update
from licentia.errors import ContainerKindNotAllowed, ContainerUnknown, DocumentInvalid, InvalidRequest
from licentia.settings import SettingsError
from licentia.testing import MemoryHost, OfflineContract
from licentia.testing.containers import SEATS, UNITS
from licentia_plugins.bindings.none import Unbound
from licentia_plugins.containers.act_file import ActFile


class _ForEver(Unbound):
    """As `none`, and also for what has no end, as the licenses of the kit."""

    trials_only: ClassVar[bool] = False


class _ActFileContract(OfflineContract):
    """Two machines with an act-file each, which make their first request before the server knows them."""

    binding: ClassVar[str]

    @pytest.fixture(autouse=True)
    def machines(self) -> Any:
        """The vendor and the two machines; `wanted` and `other` are their requests."""
        self.vendor = lab.Vendor(bindings=[self.binding])
        self.vendor.host._bindings["none"] = _ForEver("none", {})
        devices = [lab.Device(self.vendor, self.binding, place=place) for place in ("here", "there")]
        self.devices = {device.file.id: device for device in devices}
        type(self).wanted, type(self).other = (ContainerRequest(request=each.file.request()) for each in devices)
        return self.devices

    @pytest.fixture
    def host(self) -> MemoryHost:
        return self.vendor.host  # type: ignore[no-any-return]

    @pytest.fixture
    def backend(self, host: MemoryHost) -> ActFile:
        return self.vendor.plugin  # type: ignore[no-any-return]

    async def carry(self, ref: ContainerRef, delivery: Delivery) -> bytes:
        return self.devices[ref.binding].file.apply(delivery.content)  # type: ignore[no-any-return]


class TestActFileBoundToNothing(_ActFileContract):
    binding = "none"


class TestActFileBoundToAMachine(_ActFileContract):
    binding = "place"
    refused = (
        ContainerRequest(),
        ContainerRequest(user="ada"),
        ContainerRequest(container_id="some-container"),
        ContainerRequest(request=b"\x01"),
    )

    def test_what_it_can(self, backend: ActFile) -> None:
        """It belongs to one machine, lives away from the server, and speaks by itself."""
        assert backend.capabilities == ["device-bound", "offline-delivery", "contact"]

    async def test_its_key_is_its_name(self, backend: ActFile) -> None:
        """The container is known by the key that it made for itself, and belongs to no user."""
        ref = await backend.provision(self.wanted)
        assert (ref.binding, ref.user) == (next(iter(self.devices)), None)
        assert (await backend.whose(self.wanted.request)).binding == ref.binding

    async def test_a_container_that_never_asked_gets_nothing(self, backend: ActFile) -> None:
        """Without a request there is nothing to seal to."""
        with pytest.raises(ContainerUnknown):
            await backend.apply(ContainerRef(binding="unheard-of"), Update(sequence=1, contents=(SEATS,)))

    async def test_the_answer_is_repeated(self, backend: ActFile) -> None:
        """The same request is answered by the same octets, as often as it comes."""
        ref = await backend.provision(self.wanted)
        delivery = await backend.apply(ref, Update(sequence=1, contents=(SEATS,)))
        received = await backend.receive(ref, self.wanted.request)
        assert (received.asks, received.answered) == (True, True)
        assert await backend.pending(ref) == delivery

    async def test_a_request_is_no_receipt(self, backend: ActFile) -> None:
        """`confirm` takes receipts of this container only."""
        ref = await backend.provision(self.wanted)
        with pytest.raises(DocumentInvalid):
            await backend.confirm(ref, self.wanted.request)

    def test_it_names_its_settings(self, host: MemoryHost) -> None:
        """A setting that is unknown or wrong, or a binding that is not in use, is an error that names it."""
        for settings, word in (
            ({"colour": "red"}, "colour"),
            ({"on_fork": "forgive"}, "forgive"),
            ({"grace_days": 0}, "grace_days"),
            ({"bindings": []}, "bindings"),
            ({"bindings": ["physical"]}, "physical"),
        ):
            with pytest.raises(SettingsError, match=word):
                ActFile("act-file", host, settings)

    async def test_a_refusal_names_the_field(self, backend: ActFile) -> None:
        """Whoever asks without a request is told that one is needed, and how it is made."""
        with pytest.raises(InvalidRequest, match="container request") as refusal:
            await backend.provision(ContainerRequest(user="ada"))
        assert [problem.pointer for problem in refusal.value.problems] == ["/container/request"]

    async def test_what_is_bound_to_nothing_holds_no_license_for_ever(self) -> None:
        """`none` is for licenses that end; a node-locked one needs a binding to a machine."""
        vendor = lab.Vendor(bindings=["none"])
        device = lab.Device(vendor)
        locked = vendor.license(terms={"license_model": "node_locked"})
        for refused in (vendor.license(valid_until=None), locked):
            with pytest.raises(ContainerKindNotAllowed):
                vendor.activate(device.file.request(), refused)
        self.vendor.activate(self.wanted.request, msgspec.structs.replace(locked, valid_until=None), UNITS)
