"""The features of a machine: their names and weights, one normal form of each, and what counts as none.

A weight says how hard a feature is to come by elsewhere. The three kinds are what the thresholds are
made from: what belongs to the hardware, what travels with the disk, and what every machine of a model
shares.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from typing import Literal, get_args

from licentia.bindings import Features
from licentia.errors import InvalidRequest

Name = Literal[
    "smbios_uuid", "board_serial", "machine_id", "disk_serial", "mac", "sys_serial", "fs_uuid", "cpu", "board_model"
]  # fmt: skip
NAMES: tuple[Name, ...] = get_args(Name)
"""Every feature, the heaviest first."""

WEIGHTS: Mapping[str, int] = dict(zip(NAMES, (4, 3, 3, 3, 2, 2, 1, 1, 1), strict=True))
HARDWARE = frozenset({"smbios_uuid", "board_serial", "mac", "sys_serial"})
"""What tells one piece of hardware from all others."""
DISK = frozenset({"machine_id", "disk_serial", "fs_uuid"})
"""What goes with the disk into another machine; two of the three also with an image of it."""
COMMON = frozenset({"cpu", "board_model"})
"""What machines of one model share: there are some thousands of values in the whole world."""

LONGEST = 256
"""Characters of a value; SMBIOS strings have at most 64 in practice."""

LABEL = b"licentia binding physical 1 "
"""The fixed key under which values are hashed before they leave the machine, as machine-id(5) asks for."""

PLACEHOLDERS = frozenset({
    "to be filled by o.e.m.", "to be filled by oem", "tobefilledbyo.e.m.", "default string", "default",
    "system serial number", "base board serial number", "board serial number", "chassis serial number",
    "serial number", "system product name", "system manufacturer", "system version", "base board product name",
    "base board manufacturer", "type2 - board serial number", "type2 - board product name1",
    "type2 - board vendor name1", "not specified", "not applicable", "not available", "not provided", "not present",
    "not settable", "not defined", "not set", "unspecified", "unknown", "undefined", "invalid", "none", "null",
    "empty", "n/a", "na", "nil", "o.e.m.", "oem", "oem string", "no asset tag", "no serial", "sernum0", "eval",
    "123456789", "1234567890", "0123456789", "012345678", "12345678", "uninitialized", "<bad index>",
    "<out of spec>", "03000200-0400-0500-0006-000700080009", "03d40274-0435-05dc-8506-010700080009",
    "00010203-0405-0607-0809-0a0b0c0d0e0f", "12345678-1234-5678-90ab-cddeefaabbcc",
    "fefefefe-fefe-fefe-fefe-fefefefefefe",
})  # fmt: skip
"""What makers write where they should write a value of the machine's own, in lower case."""

_BLANK = re.compile(r"[0\W_]*|[fF\W_]*|[xX\W_]*")
"""Nothing but zeros, effs, crosses or punctuation."""

_EMULATED = re.compile(r"QM\d{5}|PERSISTENT-DISK-\d+|DRIVE-[A-Z]+[\d-]+")
"""Serials that emulators number their disks with, from the first, in every machine (QEMU, Google Cloud, Proxmox)."""


class Absent(Exception):
    """A feature is not there; the message is the reason, in a clause."""


def normal(name: str, text: str) -> str:
    """The one form in which a value of this feature is known, however its source spells it.

    Raises:
        Absent: it is blank, a placeholder, or too long to be a value.
    """
    value = written = " ".join(text.replace("\0", " ").split())
    if name in ("smbios_uuid", "machine_id", "mac", "fs_uuid"):
        value = value.lower()
    if name == "mac":
        value = value.replace("-", ":")
    if name in ("board_serial", "sys_serial", "disk_serial"):
        value = value.upper()
    if not value:
        raise Absent("it is blank")
    emulated = name == "disk_serial" and _EMULATED.fullmatch(value)
    if value.lower() in PLACEHOLDERS or _BLANK.fullmatch(value) or emulated:
        raise Absent(f"{written[:40]!r} is a placeholder")
    if len(value) > LONGEST:
        raise Absent(f"it has more than {LONGEST} characters")
    return value


def gather(readers: Mapping[Name, Callable[[], str]]) -> Features:
    """What the readers find. A feature without a reader is absent; a reader says why by raising Absent."""
    values: dict[str, str] = {}
    absent: dict[str, str] = {}
    for name in NAMES:
        try:
            if name not in readers:
                raise Absent("this source does not tell it")
            values[name] = normal(name, readers[name]())
        except Absent as reason:
            absent[name] = str(reason)
        except OSError as error:
            absent[name] = f"it cannot be read: {error.strerror}"
    return Features(values=values, absent=absent)


def digests(features: Mapping[str, str]) -> dict[Name, bytes]:
    """The keyed hash of each feature that has a value; these 32 bytes stand for it everywhere else.

    Raises:
        InvalidRequest: a name is no feature, or a value no text.
    """
    hashed: dict[str, bytes] = {}
    for name, text in features.items():
        if name not in WEIGHTS:
            raise InvalidRequest.at(f"/{name}", f"there is no such feature; there are {', '.join(NAMES)}")
        if not isinstance(text, str):
            raise InvalidRequest.at(f"/{name}", "a feature's value is text")
        try:
            value = normal(name, text)
        except Absent:
            continue
        hashed[name] = hmac.digest(LABEL, f"{name}\0{value}".encode("utf-8", "surrogatepass"), hashlib.sha256)
    return {name: hashed[name] for name in NAMES if name in hashed}
