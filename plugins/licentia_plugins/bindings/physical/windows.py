"""Reads a running Windows machine from its registry: what any user may read, without other programs."""

from __future__ import annotations

import sys

from licentia.bindings import Features
from licentia_plugins.bindings.physical.features import Absent, gather
from licentia_plugins.bindings.physical.report import board_model

BIOS = r"HARDWARE\DESCRIPTION\System\BIOS"


def read_windows() -> Features:
    """The id of the installation, the processor and the board."""
    return gather(
        {
            "machine_id": lambda: _value(r"SOFTWARE\Microsoft\Cryptography", "MachineGuid"),
            "cpu": lambda: _value(r"HARDWARE\DESCRIPTION\System\CentralProcessor\0", "ProcessorNameString"),
            "board_model": lambda: board_model(_value(BIOS, "BaseBoardManufacturer"), _value(BIOS, "BaseBoardProduct")),
        }
    )


def _value(key: str, name: str) -> str:
    """A text of the machine's registry; Absent if it is not there."""
    if sys.platform != "win32":
        raise Absent("there is no registry here")
    import winreg

    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, key, 0, winreg.KEY_READ | winreg.KEY_WOW64_64KEY) as opened:
            return str(winreg.QueryValueEx(opened, name)[0])
    except OSError as error:
        raise Absent(f"the registry does not tell it: {error.strerror}") from None
