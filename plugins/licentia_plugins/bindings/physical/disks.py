"""The disk that the root filesystem of a Linux machine is on, as /sys and the database of udev tell it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from licentia_plugins.bindings.physical.features import Absent, smallest
from licentia_plugins.bindings.physical.files import content, text

DEEPEST = 8
"""Layers of LVM, encryption and RAID above a disk."""

UNIT_SERIAL_HEADER = 4
"""Bytes before the serial in SCSI's page 80h (SPC-4, section 7.8.16)."""


class RootDisk:
    """What is below `/`, found at the first question."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def filesystem(self) -> str:
        """The UUID of the root filesystem.

        Raises:
            Absent: neither udev nor `/dev/disk` tells one.
        """
        udev = self._udev(self._device)
        if "ID_FS_UUID" in udev:
            return udev["ID_FS_UUID"]
        for link in sorted((self._root / "dev/disk/by-uuid").glob("*")):
            if link.is_symlink() and link.readlink().name == self._device.name:
                return link.name
        raise Absent("udev tells none of the root filesystem")

    def serial(self) -> str:
        """The serial of the disk below the root filesystem; of several, as in a RAID, the smallest that is its own.

        Raises:
            Absent: no disk below it shows one.
        """
        serials = [serial for disk in self._disks(self._device, DEEPEST) if (serial := self._serial(disk))]
        if not serials:
            raise Absent("the disk of the root filesystem shows none")
        return smallest("disk_serial", serials)

    @cached_property
    def _device(self) -> Path:
        """The folder in /sys of the device that is mounted last at `/`; Absent if there is none, as in a container."""
        numbers = source = ""
        for line in self._mounts().splitlines():
            fields = line.split()
            if len(fields) > 6 and fields[4] == "/" and "-" in fields[6:-2]:
                numbers, source = fields[2], fields[fields.index("-", 6) + 2]
        folder = self._root / "sys/dev/block" / numbers
        if numbers and folder.exists():
            return folder.resolve()
        folder = self._root / "sys/class/block" / Path(source).name
        if source.startswith("/dev/") and folder.exists():
            return folder.resolve()
        for name in (self._root / "sys/class/block").glob("dm-*/dm/name"):
            if source == f"/dev/mapper/{text(name).strip()}":
                return name.parent.parent.resolve()
        raise Absent("the root filesystem is on no disk that can be seen")

    def _mounts(self) -> str:
        """The mounts of the machine's first process, or else of this one (proc(5), mountinfo)."""
        try:
            return text(self._root / "proc/1/mountinfo")
        except Absent:
            return text(self._root / "proc/self/mountinfo")

    def _disks(self, device: Path, depth: int) -> Iterator[Path]:
        below = sorted((device / "slaves").glob("*"))
        if below and depth:
            for each in below:
                yield from self._disks(each.resolve(), depth - 1)
        else:
            yield device.parent if (device / "partition").exists() else device

    def _serial(self, disk: Path) -> str:
        """From the driver (NVMe, MMC), from SCSI's page 80h, or from udev.

        A virtio disk has none: what it shows is any word that its host was given, often one for all guests.
        """
        if disk.name.startswith("vd"):
            return ""
        if found := _quietly(disk / "device/serial") or _quietly(disk / "device/vpd_pg80", UNIT_SERIAL_HEADER):
            return found
        udev = self._udev(disk)
        return udev.get("ID_SCSI_SERIAL") or udev.get("ID_SERIAL_SHORT", "")

    def _udev(self, device: Path) -> dict[str, str]:
        """What udev knows of a block device; nothing where udev does not run."""
        try:
            numbers = text(device / "dev").strip()
            known = text(self._root / "run/udev/data" / f"b{numbers}")
        except Absent:
            return {}
        return dict(re.findall(r"^E:([A-Z_]+)=(.*)$", known, flags=re.MULTILINE))


def _quietly(file: Path, skip: int = 0) -> str:
    """The file's text after so many bytes; empty if it cannot be read."""
    try:
        return content(file)[skip:].decode("latin-1").replace("\0", " ").strip()
    except Absent:
        return ""
