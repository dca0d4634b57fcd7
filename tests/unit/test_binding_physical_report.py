"""Reports of dmidecode: what is read from them, and what they may look like."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licentia.errors import InvalidRequest
from licentia_plugins.bindings.physical.features import NAMES
from licentia_plugins.bindings.physical.report import LONGEST, read_report

REPORTS = Path(__file__).parents[2] / "../shared/data/hw/dmi"
REPORT = """\
# dmidecode 3.4
Getting SMBIOS data from sysfs.
SMBIOS 3.2.0 present.

Handle 0x0000, DMI type 0, 26 bytes
BIOS Information
	Vendor: Acme Firmware
	Version: P5.00
	Characteristics:
		PCI is supported

Handle 0x0001, DMI type 1, 27 bytes
System Information
	Manufacturer: Acme Inc.
	Product Name: Rocket 9
	Version: Not Specified
	Serial Number: ab12-cd34
	UUID: 7D1C0A6E-52F4-4C8E-9F0B-3A6D1E2B4C5D
	Wake-up Type: Power Switch

Handle 0x0002, DMI type 2, 15 bytes
Base Board Information
	Manufacturer:  Acme   Inc.
	Product Name: R9-MB
	Version: A04
	Serial Number: PB7K2219
	Features:
		Board is a hosting board

Handle 0x0003, DMI type 3, 22 bytes
Chassis Information
	Manufacturer: Acme Inc.
	Serial Number: CHASSIS-1

Handle 0x0015, DMI type 4, 48 bytes
Processor Information
	Socket Designation: CPU0
	Family: Xeon
	ID: F1 06 04 00 FF FB EB BF
	Version: Intel(R) Xeon(R) CPU E5-2630 v4 @ 2.20GHz   \x20
	Status: Populated, Enabled
	Serial Number: CPU-SERIAL

End Of Table
"""
VALUES = {
    "smbios_uuid": "7d1c0a6e-52f4-4c8e-9f0b-3a6d1e2b4c5d",
    "board_serial": "PB7K2219",
    "sys_serial": "AB12-CD34",
    "cpu": "Intel(R) Xeon(R) CPU E5-2630 v4 @ 2.20GHz (family 6, model 79, stepping 1)",
    "board_model": "Acme Inc. R9-MB",
}
SECOND = REPORT[REPORT.index("Handle 0x0015") : REPORT.index("End Of Table")]


def test_a_report_is_read() -> None:
    """What it holds is there in its normal form; what it cannot hold is absent, with the reason."""
    found = read_report(REPORT)
    assert found.values == VALUES
    assert found.absent == dict.fromkeys(
        ["machine_id", "disk_serial", "mac", "fs_uuid"], "this source does not tell it"
    )


@pytest.mark.parametrize(
    "respelled",
    [
        REPORT.replace("\n", "\r\n"),
        REPORT.replace("\n", "\r\r\n"),
        REPORT.replace("\n", "\r"),
        REPORT.replace("\t", "        "),
        REPORT.replace("\t", ""),
        REPORT.replace("\t", " \t ").replace(": ", ":\t"),
        REPORT.replace("\n", "   \n"),
        "\n".join(line for line in REPORT.splitlines() if not line.startswith(("Handle", "#", "SMBIOS", "Getting"))),
        "\n".join(line for line in REPORT.splitlines() if line),
        REPORT.replace("UUID: 7D1C0A6E-52F4-4C8E-9F0B-3A6D1E2B4C5D", f"UUID: {VALUES['smbios_uuid']}"),
        REPORT.replace("System Information", "SYSTEM INFORMATION").replace("Serial Number", "serial number"),
        "\N{ZERO WIDTH NO-BREAK SPACE}" + REPORT,
        REPORT + SECOND,
        REPORT.replace("Version: A04", "Version: A05"),
        REPORT + SECOND.replace("Populated, Enabled", "Unpopulated").replace("E5-2630", "E5-9999"),
        REPORT + REPORT[REPORT.index("Handle 0x0002") : REPORT.index("Handle 0x0003")].replace("PB7K2219", "SECOND"),
    ],
    ids=[
        "CRLF", "CRCRLF", "CR", "spaces", "no indentation", "odd blanks", "blanks at the end", "quiet",
        "no blank lines", "small letters", "capitals", "byte order mark", "two processors", "other firmware",
        "empty socket", "two boards",
    ],
)  # fmt: skip
def test_its_look_makes_no_difference(respelled: str) -> None:
    """Line ends, indentation, headings, a second processor of the kind, or a newer firmware change nothing."""
    assert read_report(respelled).values == VALUES


def test_two_kinds_of_processors_are_both_told() -> None:
    """Their order does not count."""
    other = SECOND.replace("E5-2630", "E5-2603")
    one, two = read_report(REPORT + other), read_report(REPORT.replace(SECOND, other) + SECOND)
    assert one.values["cpu"] == two.values["cpu"]
    assert one.values["cpu"].count("(family 6, model 79, stepping 1)") == 2


@pytest.mark.parametrize(
    ("id", "cpu"),
    [
        ("10 0F 87 00 FF FB 8B 17", "Acme One (family 23, model 113, stepping 0)"),
        ("E3 06 05 00 FF FB EB BF", "Acme One (family 6, model 94, stepping 3)"),
        ("12 05 00 00 00 00 00 00", "Acme One (family 5, model 1, stepping 2)"),
        ("00 00 00 00 00 00 00 00", "Acme One"),
        ("nonsense", "Acme One"),
        ("", "Acme One"),
    ],
)
def test_a_processor_is_known_by_its_name_and_id(id: str, cpu: str) -> None:
    """The ID is CPUID's first answer; extended family and model count as Intel and AMD say."""
    report = f"Processor Information\n\tID: {id}\n\tVersion: Acme  One\n"
    assert read_report(report).values["cpu"] == cpu


@pytest.mark.parametrize(
    ("line", "instead", "feature", "reason"),
    [
        ("UUID: 7D1C0A6E-52F4-4C8E-9F0B-3A6D1E2B4C5D", "UUID: --", "smbios_uuid", "placeholder"),
        ("UUID: 7D1C0A6E-52F4-4C8E-9F0B-3A6D1E2B4C5D", "UUID: Not Settable", "smbios_uuid", "placeholder"),
        ("UUID: 7D1C0A6E-52F4-4C8E-9F0B-3A6D1E2B4C5D", "UUID: 7D1C0A6E-52F4", "smbios_uuid", "is no UUID"),
        ("UUID: 7D1C0A6E-52F4-4C8E-9F0B-3A6D1E2B4C5D", "UUID:", "smbios_uuid", "blank"),
        ("UUID: 7D1C0A6E-52F4-4C8E-9F0B-3A6D1E2B4C5D", "", "smbios_uuid", "does not tell it"),
        (
            "UUID: 7D1C0A6E-52F4-4C8E-9F0B-3A6D1E2B4C5D",
            "UUID: 03000200-0400-0500-0006-000700080009",
            "smbios_uuid",
            "placeholder",
        ),
        (
            "UUID: 7D1C0A6E-52F4-4C8E-9F0B-3A6D1E2B4C5D",
            "UUID: FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
            "smbios_uuid",
            "placeholder",
        ),
        ("PB7K2219", "Default string", "board_serial", "placeholder"),
        ("PB7K2219", "To be filled by O.E.M.", "board_serial", "placeholder"),
        ("PB7K2219", "  ", "board_serial", "blank"),
        ("PB7K2219", "0000000", "board_serial", "placeholder"),
        ("PB7K2219", "B" * 300, "board_serial", "more than 256"),
        ("ab12-cd34", "System Serial Number", "sys_serial", "placeholder"),
        ("ab12-cd34", "123456789", "sys_serial", "placeholder"),
    ],
)
def test_a_placeholder_is_no_feature(line: str, instead: str, feature: str, reason: str) -> None:
    """What is blank, malformed, or written by makers in every machine is absent, and the reason says so."""
    found = read_report(REPORT.replace(line, instead))
    assert feature not in found.values
    assert reason in found.absent[feature]
    assert set(found.values) == set(VALUES) - {feature}


@pytest.mark.parametrize(
    ("uuid", "mine"),
    [
        ("EEEEEEEE-EEEE-EEEE-EEEE-EEEEEEEEEEEE", False),
        ("01010101-0101-0101-0101-010101010101", False),
        ("FEFEFEFE-FEFE-FEFE-FEFE-FEFEFEFEFEFE", False),
        ("00020003-0004-0005-0006-000700080009", False),
        ("4C4C4544-0000-2010-8020-80C04F202020", False),
        ("44454C4C-2000-1020-8020-A0C04F202020", False),
        ("4C4C4544-0042-3510-8054-B7C04F4B5931", True),
        ("03AA0201-04BB-0502-CC06-DD0700080009", True),
        ("00000000-0000-0000-0000-0A1F6B123456", True),
        ("FFFF20FF-FFFF-FFFF-FFFF-0010E0BC0001", True),
    ],
)
def test_a_uuid_counts_if_it_holds_something_of_the_machine(uuid: str, mine: bool) -> None:
    """Patterns, and templates that were never filled, do not; templates with a service tag or an address in them do."""
    found = read_report(REPORT.replace("7D1C0A6E-52F4-4C8E-9F0B-3A6D1E2B4C5D", uuid))
    assert ("smbios_uuid" in found.values) == mine


@pytest.mark.parametrize(
    "serial",
    [
        "MB-1234567890", "SYS-1234567890", "SYS-9876543210", "#A123456789", "0123456789ABCDEF", "12345678901234567",
        "None1", "(none)", "[Empty]", "XXXXXXX", "1111111", "NNNNNNN", "Serial Number xxxxxx", "SystemSerialNumb",
        "OEM_Serial", "Fill By OEM", "To Be Filled By O.E.M. by More String", "Default_string", "<OUT OF SPEC>", "$",
        ".", "N/A", "Not Specified", "INVALID", "Unknow", "SN-00000000",
    ],
)  # fmt: skip
def test_a_serial_that_says_nothing_is_none(serial: str) -> None:
    """However a maker spells that there is none, or counts up instead."""
    assert "placeholder" in read_report(REPORT.replace("PB7K2219", serial)).absent["board_serial"]


@pytest.mark.parametrize("serial", ["..CN0123456A0028.", ".7B5KY1.CN129600A1.", "X1234567G", "001230202151", "None-7"])
def test_an_odd_serial_is_one_all_the_same(serial: str) -> None:
    """Dots, leading zeros and words inside make no placeholder."""
    assert read_report(REPORT.replace("PB7K2219", serial)).values["board_serial"] == serial.upper()


def test_the_board_stands_for_the_system_and_the_system_for_the_board() -> None:
    """A board without a name is called as the system, and a maker that is a placeholder is left out."""
    nameless = REPORT.replace("Product Name: R9-MB", "Product Name: Default string")
    assert read_report(nameless).values["board_model"] == "Acme Inc. Rocket 9"
    makerless = REPORT.replace("Acme   Inc.", "To Be Filled By O.E.M.")
    assert read_report(makerless).values["board_model"] == "R9-MB"


@pytest.mark.parametrize("missing", ["System Information", "Base Board Information", "Processor Information"])
def test_a_missing_section_leaves_the_rest(missing: str) -> None:
    """Reports may be cut, or lack what the firmware does not have."""
    found = read_report(REPORT.replace(missing, "OEM-specific Type"))
    assert found.values
    assert set(found.values) < set(VALUES)
    assert sorted([*found.values, *found.absent]) == sorted(NAMES)


@pytest.mark.parametrize("text", ["", "\n\n", "hello", "{}", "System Information", "\0" * 100, "Handle 0x0001\n" * 100])
def test_what_is_no_report_is_refused(text: str) -> None:
    """A file without any section of interest is refused, with a word on what to give instead."""
    with pytest.raises(InvalidRequest, match="no report") as refusal:
        read_report(text)
    assert "dmidecode" in refusal.value.next_step


def test_a_huge_report_is_bounded() -> None:
    """Over the limit it is refused unread; below it, it is read in a short time."""
    with pytest.raises(InvalidRequest, match="more than"):
        read_report(REPORT + " " * LONGEST)
    filler = "Handle 0x1\nProcessor Information\n\tVersion: x1\n"
    began = time.process_time()
    assert read_report(REPORT + filler * ((LONGEST - len(REPORT)) // len(filler))).values
    assert time.process_time() - began < 5


PIECES = ["\t", "\r", "\n", " ", ":", "-", "0F ", "\xff", "\u2028", "System Information", "UUID", "ID: ", "Version: "]


@given(st.lists(st.sampled_from(PIECES), max_size=60).map("".join))
def test_nothing_makes_it_fail(text: str) -> None:
    """Any text gives features or is refused."""
    try:
        found = read_report(text)
    except InvalidRequest:
        return
    assert sorted([*found.values, *found.absent]) == sorted(NAMES)


def test_every_real_report_is_read() -> None:
    """Processor and board are found in each; the identities, which were blanked, are in none."""
    if not REPORTS.is_dir():
        pytest.skip(f"{REPORTS.resolve()} is not here: the real reports are not part of the checkout")
    found = [read_report(path.read_text("latin-1")) for path in sorted(REPORTS.glob("*.txt"))]
    assert len(found) > 20
    assert {tuple(sorted(each.values)) for each in found} == {("board_model", "cpu")}
    assert {each.absent["smbios_uuid"] for each in found} == {"'--' is a placeholder"}


def test_a_real_processor_is_told_as_dmidecode_tells_it() -> None:
    """Family, model and stepping, computed from the ID, are those of the signature that dmidecode printed beside it."""
    if not REPORTS.is_dir():
        pytest.skip(f"{REPORTS.resolve()} is not here: the real reports are not part of the checkout")
    seen = set()
    for path in REPORTS.glob("*.txt"):
        text = path.read_text("latin-1")
        told = re.search(r"Signature: .*Family (\d+), Model (\d+), Stepping (\d+)", text)
        assert told is not None
        family, model, stepping = told.groups()
        seen.add(family)
        assert read_report(text).values["cpu"].endswith(f"(family {family}, model {model}, stepping {stepping})")
    assert {"6", "23"} <= seen
