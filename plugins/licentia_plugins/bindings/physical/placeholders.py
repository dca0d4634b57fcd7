"""What makers, emulators and clouds write where a value of the machine's own should stand.

The words and patterns are part of the published format (docs/formats.md), so the patterns are written in
what the regular expressions of Python and of JavaScript have in common. They are compared with the letters
and digits of a value only, in lower case: makers differ in spaces, dots and dashes.
"""

from __future__ import annotations

import re

WORDS = frozenset({
    # said of a value that is not there
    "na", "nil", "null", "none", "none1", "empty", "invalid", "error", "undefined", "unknown", "unknow", "unkn",
    "notset", "notpresent", "notsettable", "notdefined", "notfilled", "uninitialized", "reserved", "nostring",
    "noassettag", "noserial", "default", "standard", "generic", "dummy", "sample", "customer", "badindex", "outofspec",
    # names of what should stand there
    "serial", "sn", "sernum0", "mbserial", "pcaserial", "oem", "oemid", "oemstring", "oemserial", "systemname",
    "systemmanufacturer", "systemversion", "baseboardmanufacturer", "type2boardvendorname1", "assettag",
    # of one maker or emulator
    "eval", "iatpass", "tulipcomputers", "sn123456fvgv3i0b8o5n6n7k", "foo", "deadbeef", "1234",
    # UUIDs of boards that were never given one; the first two are one, in the two orders of octets
    # (others that begin like the third hold the address of a card of the board, and are its own)
    "03000200040005000006000700080009", "00020003000400050006000700080009", "03d40274043505dc8506010700080009",
    "6ab5b300538d10149fb5b0684d007b53", "000102030405060708090a0b0c0d0e0f", "123456781234567890abcddeefaabbcc",
    # addresses of drivers and of cards that were never given one
    "204153594eff", "00a0c6000000", "24b620524153", "505054503030", "000bcafe0000",
    "005056c00001", "005056c00002", "005056c00003", "005056c00004", "005056c00008",
})  # fmt: skip
"""The letters and digits of values that are none, in lower case."""

PATTERNS = (
    r"0*|f*|x*",
    r".*(tobefilled|filledby|fillby|serialnum|defaultstring|productname).*",
    r"not(specified|applicable|available|provided)|unspecified",
)
"""What such values of any feature look like, from end to end: nothing, or a text that says what should stand there."""

SERIALS = frozenset({"smbios_uuid", "board_serial", "sys_serial", "disk_serial"})
SERIAL_PATTERNS = (
    r"(.)\1*|(.+)\2{3,}",
    r"[a-z]{1,6}0{4,}|0?12345(6|67|678|6789[0-9a-f]*)?0*",
    r"[a-z]{1,6}(0?123456789[0-9a-f]*|9876543210*)",
    r"(44454c4c(00|20)0010(00|20)|4c4c454400(00|20){2}10)80(00|20)[0-9a-f]{2}c04f(00|20){3}",
    r"qm[0-9]{5}|persistentdisk[0-9]+|drive[a-z]+[0-9]+|nvmecard(pd)?[0-9]*",
    r"vmwarenvme[0-9]{4}|vb123456789|sn0{5}[0-9]",
)
"""What such values of `SERIALS` look like besides, from end to end:

one character again and again, or something four times or more; zeros after some letters, or digits that count up; the
same after some letters, or digits that count down; the UUID of Dell around a blank service tag, in the two orders of
octets; the serials that QEMU, Google Cloud and Proxmox give to the disks of every machine; and those of VMware,
VirtualBox and Azure.
"""

_ANY, _SERIAL = (tuple(map(re.compile, patterns)) for patterns in (PATTERNS, SERIAL_PATTERNS))
_NEITHER = re.compile(r"[\W_]")


def is_placeholder(name: str, value: str) -> bool:
    """Whether this value of the feature says nothing of the machine. The value is to be short: some 300 characters."""
    key = _NEITHER.sub("", value.lower())
    shapes = _ANY + _SERIAL if name in SERIALS else _ANY
    return key in WORDS or any(shape.fullmatch(key) for shape in shapes)
