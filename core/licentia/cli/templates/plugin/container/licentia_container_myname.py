"""myname: a container is a file in a folder, from which a machine of that name reads what it may run."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from licentia.containers import ContainerBackend, ContainerRef, ContainerRequest, Content, Host, Update
from licentia.errors import InvalidRequest


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table `[container.myname]`: the folder that the files are in."""

    folder: str


class MyNamePlugin(ContainerBackend):
    """A machine is named by its `container_id`; its file is replaced as a whole, so no reader sees half of one."""

    def __init__(self, kind: str, host: Host, settings: Mapping[str, Any]) -> None:
        super().__init__(kind, host, settings)
        self.folder = Path(msgspec.convert(settings, Settings).folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    async def _provision(self, wanted: ContainerRequest) -> ContainerRef:
        if not wanted.container_id:
            raise InvalidRequest.at("/container/container_id", "name the machine")
        if wanted.request:
            raise InvalidRequest.at("/container/request", "this container takes no request of a machine")
        return ContainerRef(binding=wanted.container_id)

    async def _apply(self, ref: ContainerRef, update: Update) -> None:
        await asyncio.to_thread(self._write, self._file(ref), msgspec.json.encode(update.contents))

    async def _read(self, ref: ContainerRef) -> tuple[Content, ...]:
        try:
            written = await asyncio.to_thread(self._file(ref).read_bytes)
        except FileNotFoundError:
            return ()
        return msgspec.json.decode(written, type=tuple[Content, ...])

    async def _retire(self, ref: ContainerRef) -> None:
        await asyncio.to_thread(self._file(ref).unlink, missing_ok=True)

    def _file(self, ref: ContainerRef) -> Path:
        return self.folder / f"{ref.binding}.json"

    def _write(self, file: Path, content: bytes) -> None:
        new = file.with_suffix(".new")
        new.write_bytes(content)
        new.replace(file)
