"""Reads a running macOS machine by `ioreg`, which comes with the system and needs no rights."""

from __future__ import annotations

import re
import subprocess
from functools import cache

from licentia.bindings import Features
from licentia_plugins.bindings.physical.features import Absent, gather

IOREG = ("/usr/sbin/ioreg", "-rd1", "-c", "IOPlatformExpertDevice")
SECONDS = 10


def read_macos() -> Features:
    """The UUID and serial of the hardware, and its model."""
    properties = cache(_properties)

    def told(name: str) -> str:
        if name not in properties():
            raise Absent("ioreg does not tell it")
        return properties()[name]

    return gather(
        {
            "smbios_uuid": lambda: told("IOPlatformUUID"),
            "sys_serial": lambda: told("IOPlatformSerialNumber"),
            "board_model": lambda: told("model"),
        }
    )


def parse(listing: str) -> dict[str, str]:
    """The texts in a listing of ioreg: `"name" = "text"`, or `"name" = <"text">`."""
    return dict(re.findall(r'^[\s|]*"([^"]+)" = <?"([^"]*)">?\s*$', listing, flags=re.MULTILINE))


def _properties() -> dict[str, str]:
    try:
        done = subprocess.run(IOREG, capture_output=True, check=True, timeout=SECONDS)  # noqa: S603 - our own words
    except (OSError, subprocess.SubprocessError) as error:
        raise Absent(f"ioreg failed with {type(error).__name__}") from None
    return parse(done.stdout.decode("utf-8", "replace"))
