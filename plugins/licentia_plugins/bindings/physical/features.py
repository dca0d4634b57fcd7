"""The features of a machine: their names and weights, one normal form of each, and what counts as none.

A weight says how hard a feature is to come by elsewhere. The three kinds are what the thresholds are
made from: what belongs to the hardware, what travels with the disk, and what every machine of a model
shares.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, get_args

from licentia.bindings import Features
from licentia.errors import InvalidRequest
from licentia_plugins.bindings.physical.placeholders import is_placeholder

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
    if len(value) > LONGEST:
        raise Absent(f"it has more than {LONGEST} characters")
    if is_placeholder(name, value):
        raise Absent(f"{written[:40]!r} is a placeholder")
    return value


def smallest(name: str, texts: Iterable[str]) -> str:
    """The smallest normal form of several values, placeholders left out; Absent, as for the last, if all are."""
    values: list[str] = []
    reason = Absent("this machine shows none")
    for text in texts:
        try:
            values.append(normal(name, text))
        except Absent as placeholder:
            reason = placeholder
    if not values:
        raise reason
    return min(values)


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
