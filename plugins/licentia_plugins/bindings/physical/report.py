"""Reads the text report of `dmidecode`: the SMBIOS tables of a machine, decoded (DMTF DSP0134).

Reports come by mail and from old tools, so only the names of sections and fields are trusted, not
indentation, blank lines, order or line ends. What a report does not hold is absent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from licentia.bindings import Features
from licentia.errors import InvalidRequest
from licentia_plugins.bindings.physical.features import Absent, gather, normal

LONGEST = 4 * 2**20
"""Characters of a report; a server with hundreds of memory modules fills some 300,000."""

SYSTEM, BOARD, PROCESSOR = "system information", "base board information", "processor information"
SECTIONS = frozenset({SYSTEM, BOARD, PROCESSOR})

_UUID = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}")

Fields = Mapping[str, str]


def read_report(text: str) -> Features:
    """The features of the machine that the report tells of.

    Raises:
        InvalidRequest: no section in it tells of a system, a board or a processor, or it is longer than 4 MiB.
    """
    if len(text) > LONGEST:
        raise InvalidRequest(f"The report has more than {LONGEST} characters.", help="Give the output of `dmidecode`.")
    found = list(_sections(text))
    if not found:
        raise InvalidRequest(
            "This is no report of dmidecode: it tells of no system, board or processor.",
            help="Give the output of `dmidecode`, run as root.",
        )
    system, boards, processors = (
        [fields for title, fields in found if title == wanted] for wanted in (SYSTEM, BOARD, PROCESSOR)
    )
    return gather(
        {
            "smbios_uuid": lambda: _uuid(_first("smbios_uuid", system, "uuid")),
            "board_serial": lambda: _first("board_serial", boards, "serial number"),
            "sys_serial": lambda: _first("sys_serial", system, "serial number"),
            "cpu": lambda: _processors(processors),
            "board_model": lambda: _model(boards + system),
        }
    )


def board_model(maker: str, product: str) -> str:
    """Maker and product of a board, in one form; its version is left out, as firmware updates change it.

    Raises:
        Absent: the product is a placeholder.
    """
    name = normal("board_model", product)
    try:
        return f"{normal('board_model', maker)} {name}"
    except Absent:
        return name


def processor(name: str, family: int, model: int, stepping: int) -> str:
    """A kind of x86 processor, in one form for every source."""
    return f"{' '.join(name.split())} (family {family}, model {model}, stepping {stepping})".strip()


def _sections(text: str) -> Iterator[tuple[str, Fields]]:
    """The sections we know, with their fields; of a field that stands twice in a section, the first."""
    fields: dict[str, str] | None = None
    title = ""
    for line in text.splitlines():
        words = line.strip()
        if words.lower() in SECTIONS:
            if fields:
                yield title, fields
            title, fields = words.lower(), {}
        elif words.startswith("Handle 0x") or (words and ":" not in words and not line[0].isspace()):
            if fields:
                yield title, fields
            fields = None
        elif fields is not None and ":" in words:
            key, _, value = words.partition(":")
            fields.setdefault(key.strip().lower(), value.strip())
    if fields:
        yield title, fields


def _first(feature: str, sections: list[Fields], key: str) -> str:
    """The first usable value of a field, as a server has several boards and the kernel takes the first one too."""
    reason = Absent("the report does not tell it")
    for fields in sections:
        try:
            return normal(feature, fields[key])
        except KeyError:
            continue
        except Absent as placeholder:
            reason = placeholder
    raise reason


def _uuid(text: str) -> str:
    if not _UUID.fullmatch(text):
        raise Absent(f"{text[:40]!r} is no UUID")
    return text


def _processors(sections: list[Fields]) -> str:
    """The kinds of the processors that are there; how many there are of a kind does not count."""
    kinds = set()
    reason = Absent("the report does not tell it")
    for fields in sections:
        if "unpopulated" in fields.get("status", "").lower():
            continue
        try:
            name = normal("cpu", fields.get("version", ""))
        except Absent as placeholder:
            name, reason = "", placeholder
        signature = _signature(fields.get("id", ""))
        if signature:
            kinds.add(processor(name, *signature))
        elif name:
            kinds.add(name)
    if not kinds:
        raise reason
    return " + ".join(sorted(kinds))


def _signature(text: str) -> tuple[int, int, int] | None:
    """Family, model and stepping from the processor's ID: the register EAX of CPUID leaf 1, lowest byte first."""
    try:
        register = int.from_bytes(bytes.fromhex(text)[:4], "little")
    except ValueError:
        return None
    if not register:
        return None
    family, model = register >> 8 & 0xF, register >> 4 & 0xF
    if family in (6, 15):
        model += (register >> 16 & 0xF) << 4
    if family == 15:
        family += register >> 20 & 0xFF
    return family, model, register & 0xF


def _model(sections: list[Fields]) -> str:
    """The first board's model, or the system's where no board tells one."""
    reason = Absent("the report does not tell it")
    for fields in sections:
        try:
            return board_model(fields.get("manufacturer", ""), fields["product name"])
        except KeyError:
            continue
        except Absent as placeholder:
            reason = placeholder
    raise reason
