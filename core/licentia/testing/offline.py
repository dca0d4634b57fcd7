"""The conformance kit of containers that live away from the server."""

from __future__ import annotations

import pytest

from licentia.containers import ContainerBackend, ContainerRef, Delivery, OfflineDelivery, Update
from licentia.errors import InternalError, LicensingError, Unavailable
from licentia.testing.containers import SEATS, UNITS, ContainerContract, MemoryHost


class OfflineContract(ContainerContract):
    """What a container with offline delivery does on top. A subclass also plays the device, by `carry`."""

    async def carry(self, ref: ContainerRef, delivery: Delivery) -> bytes:
        """Carry a delivery to the container and give back the receipt that the container makes."""
        pytest.fail("the test class has no `carry`")

    async def install(
        self, backend: ContainerBackend, host: MemoryHost, ref: ContainerRef, update: Update
    ) -> Delivery | None:
        """Bring a container to the contents of an update: apply, carry, confirm, record."""
        delivery = await super().install(backend, host, ref, update)
        if delivery is not None:
            await _confirm(backend, ref, await self.carry(ref, delivery))
        return delivery

    async def test_a_receipt_confirms_its_update(self, backend: ContainerBackend) -> None:
        """It gives the number of the update that it is for, also the second time."""
        ref = await backend.provision(self.wanted)
        for sequence, contents in enumerate([(SEATS,), (UNITS,)], 1):
            receipt = await self._receipt(backend, ref, Update(sequence=sequence, contents=contents))
            assert await _confirm(backend, ref, receipt) == sequence
            assert await _confirm(backend, ref, receipt) == sequence

    async def test_a_forged_receipt_is_refused(self, backend: ContainerBackend) -> None:
        """A changed, cut, empty or foreign receipt confirms nothing, and is refused in the plugin's own words."""
        ref, other = await backend.provision(self.wanted), await backend.provision(self.other)
        update = Update(sequence=1, contents=(SEATS,))
        receipt, foreign = await self._receipt(backend, ref, update), await self._receipt(backend, other, update)
        changed = receipt[:-1] + bytes([receipt[-1] ^ 1])
        for forged in (b"", b"\x00", receipt[: len(receipt) // 2], receipt + b"x", changed, foreign):
            with pytest.raises(LicensingError) as refusal:
                await _confirm(backend, ref, forged)
            assert not isinstance(refusal.value, Unavailable | InternalError), refusal.value.detail

    async def _receipt(self, backend: ContainerBackend, ref: ContainerRef, update: Update) -> bytes:
        delivery = await backend.apply(ref, update)
        assert delivery is not None, "the update gave nothing to carry"
        return await self.carry(ref, delivery)


async def _confirm(backend: ContainerBackend, ref: ContainerRef, receipt: bytes) -> int:
    assert isinstance(backend, OfflineDelivery)
    return await backend._confirm(ref, receipt)
