"""Machines with act-files, for the scenarios: their hardware, their clocks, their network."""

from __future__ import annotations

import base64
import shutil
from datetime import UTC, datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from licentia.bindings import ClientHalf, Unsealed
from licentia.client.actfile import ActFile, License
from licentia.contract import BY_NAME, parse
from licentia.errors import LicensingError, UpdateOutOfOrder
from licentia.services.identity import ANYONE

DAY = 86_400
FEATURES = {
    "smbios_uuid": "4c4c4544-0042-3510-8052-b3c04f4b4e32",
    "board_serial": "bs-1207",
    "machine_id": "0a1b2c3d4e5f60718293a4b5c6d7e8f9",
    "disk_serial": "wd-wx11a",
    "mac": "00:1b:21:3c:9d:01",
    "sys_serial": "2b5r04n",
    "fs_uuid": "6f9619ff-8b86-d011-b42d-00c04fc964ff",
    "cpu": "genuineintel core i7-9700",
    "board_model": "dell 0w0czr",
}


class Machine(ClientHalf):
    """The client half of `physical` on a machine of which every feature can be changed."""

    def __init__(self, **features: str | None) -> None:
        super().__init__("physical", {})
        found = next(iter(entry_points(group="licentia.bindings", name="physical"))).load()
        self._physical = found("physical", {}).client()
        self.features: dict[str, str] = {}
        self._opened: dict[Any, Unsealed] = {}
        self.change(**(FEATURES | features))

    def change(self, **features: str | None) -> None:
        """Exchange parts, or take them out."""
        everything = self.features | features
        self.features = {name: value for name, value in everything.items() if value is not None}

    def _collect(self, nonce: str) -> bytes:
        return self._physical._evidence_of(self.features)  # type: ignore[no-any-return]

    def _unseal(self, record: bytes) -> Unsealed:
        # Features are hashed slowly; nothing is learned from doing it again for the same ones.
        key = (record, *sorted(self.features.items()))
        if key not in self._opened:
            self._opened[key] = self._physical._unseal_with(record, self.features)
        return self._opened[key]


class Site:
    """A machine with an act-file, near to the server or far from it."""

    def __init__(self, desk: Any, folder: Path, trust: bytes, **halves: ClientHalf) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.desk = desk
        self.folder = folder
        self.trust = trust
        self.halves: dict[str, Any] = halves or {"physical": Machine()}
        self.days = 0.0
        self.file = self._opened()
        self.file.create(self.halves)

    @property
    def machine(self) -> Any:
        """The hardware."""
        return self.halves["physical"]

    @machine.setter
    def machine(self, machine: ClientHalf) -> None:
        self.halves["physical"] = machine

    def _opened(self) -> ActFile:
        def clock() -> float:
            return datetime.now(UTC).timestamp() + self.days * DAY

        return ActFile(
            self.folder / "cad.act",
            trust=self.trust,
            half=lambda name: self.halves[name],
            clock=clock,
            look_again_seconds=0,
        )

    async def activate(self, ticket: str, **fields: Any) -> Any:
        """Carry the request to the server and the update back; the activation."""
        activation = await self.desk("ActivateTicket", code=ticket, container=self.request(), **fields)
        self.take(activation)
        return activation

    def request(self) -> dict[str, str]:
        """The container of a call, with the request of this machine."""
        return {"kind": "act-file", "request": text(self.file.request())}

    def take(self, reply: Any) -> str:
        """Apply what a reply delivers; the receipt, as a call takes it."""
        return text(self.file.apply(base64.b64decode(reply.delivery.content)))

    async def contact(self) -> bool:
        """Contact the server, as a machine without a key."""

        operation = BY_NAME["ContactContainer"]

        request: bytes = self.file.request()
        call = parse(operation, {"kind": "act-file", "message": text(request)})
        try:
            reply: Any = await self.desk.application.call(operation, call, ANYONE("192.0.2.9"))
        except UpdateOutOfOrder:
            call = parse(operation, {"kind": "act-file", "message": text(self.file.request(anew=True))})
            reply = await self.desk.application.call(operation, call, ANYONE("192.0.2.9"))
        if reply.delivery is None:
            return False
        receipt = self.take(reply)
        await self.desk.application.call(
            operation, parse(operation, {"kind": "act-file", "message": receipt}), ANYONE("192.0.2.9")
        )
        return True

    def copy(self, name: str) -> Site:
        """The whole folder copied, as a snapshot or a clone, on the same (virtual) hardware."""
        folder = self.folder.with_name(name)
        shutil.copytree(self.folder, folder)
        return Site(self.desk, folder, self.trust, **self.halves)

    def may(self, product_code: str = "cad", **use: Any) -> License:
        """Use a license here."""
        return self.file.require(product_code, **use)

    def refused(self, error: type[LicensingError], product_code: str = "cad", **use: Any) -> LicensingError:
        """Fail to use a license here."""
        with pytest.raises(LicensingError) as caught:
            self.may(product_code, **use)
        assert type(caught.value) is error, (caught.value.code, caught.value.detail)
        return caught.value


def text(data: bytes) -> str:
    """Bytes as a call takes them."""
    return base64.b64encode(data).decode()


async def site_at(desk: Any, folder: Path, machine: ClientHalf | None = None, **halves: ClientHalf) -> Site:
    """A machine that trusts this server."""
    manifest = await desk("GetKeyManifest")
    if machine is not None:
        halves["physical"] = machine
    return Site(desk, folder, base64.b64decode(manifest.content), **halves)
