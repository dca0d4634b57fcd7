"""Reads a running Linux machine from the files that the kernel and udev show; no program is run.

As root it reads everything; others cannot read the SMBIOS UUID and the serials of board and system
(Linux, drivers/firmware/dmi-id.c: mode 0400).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from licentia.bindings import Features
from licentia_plugins.bindings.physical.disks import RootDisk
from licentia_plugins.bindings.physical.features import Absent, gather, normal, smallest
from licentia_plugins.bindings.physical.files import text
from licentia_plugins.bindings.physical.report import board_model, processor

DMI = "sys/class/dmi/id"
TREE = "sys/firmware/devicetree/base"
"""Where boards without SMBIOS tell of themselves (Devicetree Specification, section 2.3): ARM, POWER, RISC-V."""
LOCALLY_ADMINISTERED = 0x02
"""The bit of an address's first octet that says that software chose it (IEEE 802, section 8.2)."""
CPU_NAMES = ("Model Name", "cpu model", "uarch", "cpu")
"""Where /proc/cpuinfo names a processor that has neither the numbers of x86 nor those of ARM: LoongArch, MIPS, RISC-V,
POWER and SPARC."""


def read_linux(root: Path) -> Features:
    """The features of the machine whose `/sys`, `/proc`, `/etc` and `/run` are below `root`."""
    disk = RootDisk(root)
    return gather(
        {
            "smbios_uuid": lambda: text(root / DMI / "product_uuid"),
            "board_serial": lambda: text(root / DMI / "board_serial"),
            "machine_id": lambda: _machine_id(root),
            "disk_serial": disk.serial,
            "mac": lambda: _mac(root),
            "sys_serial": lambda: _serial(root),
            "fs_uuid": disk.filesystem,
            "cpu": lambda: _cpu(text(root / "proc/cpuinfo")),
            "board_model": lambda: _board_model(root),
        }
    )


def _first(readers: Iterable[Callable[[], str]]) -> str:
    """What the first reader finds that finds something; if none does, the reason of the first."""
    reasons: list[Absent] = []
    for read in readers:
        try:
            return read()
        except Absent as reason:
            reasons.append(reason)
    raise reasons[0]


def _serial(root: Path) -> str:
    """The system's serial number; without SMBIOS, what the devicetree tells."""

    def told(file: str) -> str:
        return normal("sys_serial", text(root / file))

    files = (f"{DMI}/product_serial", f"{TREE}/serial-number", f"{TREE}/system-id")
    return _first(partial(told, file) for file in files)


def _machine_id(root: Path) -> str:
    """machine-id(5): 32 hexadecimal digits, made at the installation."""
    written = text(root / "etc/machine-id").strip()
    if not re.fullmatch(r"[0-9a-fA-F]{32}", written):
        raise Absent("/etc/machine-id holds no id")
    return written


def _mac(root: Path) -> str:
    """The smallest address that a network card has for good.

    Asked are cards that are built in: those on USB come and go. Wi-Fi cards count only where there is no
    other, as their address is often changed for privacy. `addr_assign_type` 0 is a permanent address.
    """
    wired: list[str] = []
    wireless: list[str] = []
    for card in sorted((root / "sys/class/net").glob("*")):
        try:
            address, kind = text(card / "address").strip().lower(), text(card / "addr_assign_type").strip()
        except Absent:
            continue
        device = card / "device"
        if kind != "0" or not device.exists() or "usb" in str(device.resolve()):
            continue
        if not re.fullmatch(r"([0-9a-f]{2}:){5}[0-9a-f]{2}", address) or int(address[:2], 16) & LOCALLY_ADMINISTERED:
            continue
        (wireless if (card / "wireless").exists() or (card / "phy80211").exists() else wired).append(address)
    if not wired and not wireless:
        raise Absent("no built-in network card shows an address of its own")
    return smallest("mac", wired or wireless)


def _cpu(cpuinfo: str) -> str:
    """The kinds of the processors; how many there are of a kind does not count."""
    kinds = set()
    for block in cpuinfo.split("\n\n"):
        fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in block.splitlines())}
        try:
            signature = [int(fields[key]) for key in ("cpu family", "model", "stepping")]
            kinds.add(processor(fields["model name"], *signature))
        except (KeyError, ValueError):
            arm = [fields[key] for key in ("CPU implementer", "CPU part", "CPU variant") if key in fields]
            named = [fields[key] for key in CPU_NAMES if fields.get(key)]
            if arm:
                kinds.add(f"arm {' '.join(arm)}")
            elif named:
                kinds.add(named[0])
    if not kinds:
        raise Absent("/proc/cpuinfo tells no kind that is known here")
    return " + ".join(sorted(kinds))


def _board_model(root: Path) -> str:
    """The board's model, or the system's where there is none of the board, or what the devicetree tells."""

    def told(maker: str, product: str) -> str:
        name = text(root / DMI / product)
        try:
            vendor = text(root / DMI / maker)
        except Absent:
            vendor = ""
        return board_model(vendor, name)

    return _first(
        (
            lambda: told("board_vendor", "board_name"),
            lambda: told("sys_vendor", "product_name"),
            lambda: board_model("", text(root / TREE / "model")),
        )
    )
