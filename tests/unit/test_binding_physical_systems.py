"""Reading a running machine: trees of files as Linux shows them, and the listings of other systems."""

from __future__ import annotations

from pathlib import Path

import pytest

from licentia.bindings import Features
from licentia.errors import BindingEvidenceInvalid
from licentia.settings import SettingsError
from licentia_plugins.bindings.physical import Physical
from licentia_plugins.bindings.physical.features import NAMES, gather
from licentia_plugins.bindings.physical.linux import read_linux
from licentia_plugins.bindings.physical.macos import parse

CPUINFO = """\
processor\t: {}
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 79
model name\t: Intel(R) Xeon(R) CPU E5-2630 v4 @ 2.20GHz
stepping\t: 1
microcode\t: 0xb000040

"""
NVME = "sys/devices/pci0000:00/0000:00:1d.0/nvme/nvme0/nvme0n1"


class Machine:
    """A tree of files, as `/` of a Linux machine."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, files: dict[str, str]) -> None:
        """Make or replace files."""
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "latin-1")

    def link(self, name: str, to: str) -> None:
        """A symbolic link to another place of the tree, replacing any."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(self.root / to)

    def drop(self, *names: str) -> None:
        """Remove files."""
        for name in names:
            (self.root / name).unlink()

    def card(self, name: str, address: str, kind: str = "0", bus: str = "pci0000:00/0000:00:19.0") -> None:
        """Put in a network card."""
        folder = f"sys/devices/{bus}/net/{name}"
        self.write({f"{folder}/address": f"{address}\n", f"{folder}/addr_assign_type": f"{kind}\n"})
        if bus != "virtual":
            self.link(f"{folder}/device", f"sys/devices/{bus}")
        self.link(f"sys/class/net/{name}", folder)

    def mounted(self, numbers: str, source: str, kind: str = "ext4") -> None:
        """Mount this at `/`, over what an initial RAM disk had there."""
        lines = ["1 0 0:1 / / rw - rootfs rootfs rw", f"27 1 {numbers} / / rw,relatime shared:1 - {kind} {source} rw"]
        self.write({"proc/self/mountinfo": "\n".join([*lines, "30 27 0:25 / /dev/shm rw - tmpfs tmpfs rw", ""])})

    def read(self) -> Features:
        """What is read of it."""
        return read_linux(self.root)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A server with everything, read by root."""
    made = Machine(tmp_path)
    dmi = {
        "product_uuid": "7D1C0A6E-52F4-4C8E-9F0B-3A6D1E2B4C5D", "product_serial": "GM0X4QL1",
        "sys_vendor": "Dell Inc.", "product_name": "PowerEdge R430",
        "board_vendor": "Dell Inc.", "board_name": "0CN7X8", "board_version": "A04", "board_serial": "PB7K2219",
    }  # fmt: skip
    made.write({f"sys/class/dmi/id/{name}": f"{value}\n" for name, value in dmi.items()})
    made.write(
        {
            "etc/machine-id": "5f0c2b7d9a3e41c68b1d7e4f2a9c6b30\n",
            "proc/cpuinfo": "".join(CPUINFO.format(number) for number in range(4)),
            f"{NVME}/device/serial": "S5GXNX0T512345      \n",
            f"{NVME}/dev": "259:0\n",
            f"{NVME}/nvme0n1p2/partition": "2\n",
            f"{NVME}/nvme0n1p2/dev": "259:2\n",
            "run/udev/data/b259:2": "I:99\nE:ID_FS_TYPE=ext4\nE:ID_FS_UUID=0d9c1f6a-7b2e-4a53-8c11-6e5f4d3c2b1a\n",
        }
    )
    made.link("sys/dev/block/259:2", f"{NVME}/nvme0n1p2")
    made.card("eno1", "b4:2e:99:0a:1b:2c")
    made.mounted("259:2", "/dev/nvme0n1p2")
    return made


def test_root_reads_everything(machine: Machine) -> None:
    """All nine features of a server, each in its normal form, equal to what a report of dmidecode gives."""
    found = machine.read()
    assert found.absent == {}
    assert found.values == {
        "smbios_uuid": "7d1c0a6e-52f4-4c8e-9f0b-3a6d1e2b4c5d",
        "board_serial": "PB7K2219",
        "machine_id": "5f0c2b7d9a3e41c68b1d7e4f2a9c6b30",
        "disk_serial": "S5GXNX0T512345",
        "mac": "b4:2e:99:0a:1b:2c",
        "sys_serial": "GM0X4QL1",
        "fs_uuid": "0d9c1f6a-7b2e-4a53-8c11-6e5f4d3c2b1a",
        "cpu": "Intel(R) Xeon(R) CPU E5-2630 v4 @ 2.20GHz (family 6, model 79, stepping 1)",
        "board_model": "Dell Inc. 0CN7X8",
    }


def test_nothing_there_is_nothing_found(tmp_path: Path) -> None:
    """In an empty tree every feature is absent, with a reason, and no evidence can be collected."""
    found = read_linux(tmp_path)
    assert not found.values
    assert list(found.absent) == list(NAMES)
    assert all(found.absent.values())
    with pytest.raises(BindingEvidenceInvalid, match="Nothing can be read"):
        Physical("physical", {"root": str(tmp_path)}).client().collect("0" * 32)


def test_the_machine_below_another_root_is_collected(machine: Machine) -> None:
    """A service in a container reads the machine whose files are mounted for it; an unknown setting is refused."""
    client = Physical("physical", {"root": str(machine.root)}).client()
    assert client.collect("0" * 32) == client.collect("1" * 32)
    assert b"disk_serial" in client.collect("0" * 32)
    with pytest.raises(SettingsError, match="rot"):
        Physical("physical", {"rot": "/host"}).client()


@pytest.mark.parametrize(
    ("cards", "address"),
    [
        ([("enp3s0", "b4:2e:99:0a:1b:2d"), ("enp4s0", "00:25:90:11:22:33")], "00:25:90:11:22:33"),
        ([("docker0", "00:00:5e:00:00:01", "0", "virtual")], "b4:2e:99:0a:1b:2c"),
        ([("veth1", "00:00:5e:00:00:01", "1")], "b4:2e:99:0a:1b:2c"),
        ([("bond0", "00:00:5e:00:00:01", "3")], "b4:2e:99:0a:1b:2c"),
        ([("enx1", "00:00:5e:00:00:01", "0", "pci0000:00/0000:00:14.0/usb1/1-2")], "b4:2e:99:0a:1b:2c"),
        ([("eth9", "02:00:5e:00:00:01")], "b4:2e:99:0a:1b:2c"),
        ([("ib0", "80:00:00:48:fe:80:00:00:00:00:00:00:00:02:c9:03:00:00:00:01")], "b4:2e:99:0a:1b:2c"),
        ([("lo", "00:00:00:00:00:00", "0", "virtual")], "b4:2e:99:0a:1b:2c"),
    ],
    ids=["second card", "bridge", "random", "bond", "usb", "software", "infiniband", "loopback"],
)
def test_one_address_stands_for_all_cards(machine: Machine, cards: list[tuple[str, ...]], address: str) -> None:
    """It is the smallest that a built-in card has for good, whatever bridges, bonds and adapters there are."""
    for card in cards:
        machine.card(*card)
    assert machine.read().values["mac"] == address


def test_wireless_counts_where_there_is_no_wire(machine: Machine) -> None:
    """A Wi-Fi card's address is often changed, so a wired card's goes before it, even if it is greater."""
    machine.card("wlan0", "00:11:22:33:44:55", bus="pci0000:00/0000:00:1c.0")
    machine.write({"sys/devices/pci0000:00/0000:00:1c.0/net/wlan0/phy80211/index": "0"})
    assert machine.read().values["mac"] == "b4:2e:99:0a:1b:2c"
    machine.drop("sys/class/net/eno1")
    assert machine.read().values["mac"] == "00:11:22:33:44:55"
    machine.drop("sys/class/net/wlan0")
    assert "network card" in machine.read().absent["mac"]


def test_the_disks_below_layers_are_found(machine: Machine) -> None:
    """Through encryption and LVM to a RAID of two disks: the smaller serial of the two."""
    for name, numbers, serial in (("sda", "8:0", "WD-B"), ("sdb", "8:16", "WD-A")):
        folder = f"sys/devices/pci0000:00/ata/{name}"
        page = f"\0\x80\0\x14{serial:>20}"
        machine.write({f"{folder}/dev": numbers, f"{folder}/device/vpd_pg80": page, f"{folder}/{name}1/partition": "1"})
    for name in ("dm-0", "dm-1", "md0"):
        machine.write({f"sys/devices/virtual/block/{name}/dev": "253:0"})
        machine.link(f"sys/class/block/{name}", f"sys/devices/virtual/block/{name}")
    machine.write({"sys/devices/virtual/block/dm-1/dm/name": "vg-root\n"})
    machine.link("sys/devices/virtual/block/dm-1/slaves/dm-0", "sys/devices/virtual/block/dm-0")
    machine.link("sys/devices/virtual/block/dm-0/slaves/md0", "sys/devices/virtual/block/md0")
    for name in ("sda", "sdb"):
        machine.link(f"sys/devices/virtual/block/md0/slaves/{name}1", f"sys/devices/pci0000:00/ata/{name}/{name}1")
    machine.mounted("0:41", "/dev/mapper/vg-root", "btrfs")
    assert machine.read().values["disk_serial"] == "WD-A"


@pytest.mark.parametrize(
    ("known", "serial"),
    [
        ("E:ID_SERIAL_SHORT=WD-WCC1\n", "WD-WCC1"),
        ("E:ID_SERIAL_SHORT=5000c500a1b2c3d4\nE:ID_SCSI_SERIAL=ZA1B2C3D\n", "ZA1B2C3D"),
        ("E:ID_SERIAL_SHORT=QM00001\n", None),
        ("E:ID_SERIAL_SHORT=persistent-disk-0\n", None),
        ("E:DEVTYPE=disk\n", None),
    ],
)
def test_udev_tells_a_serial_that_the_kernel_does_not(machine: Machine, known: str, serial: str | None) -> None:
    """A disk without its own file is looked up; the numbers that emulators give their disks are no serials."""
    machine.drop(f"{NVME}/device/serial")
    machine.write({"run/udev/data/b259:0": known})
    found = machine.read()
    assert found.values.get("disk_serial") == serial
    assert ("disk_serial" in found.absent) == (serial is None)


@pytest.mark.parametrize("shared", ["VMware NVME_0000", "SN: 000001", "nvme_card-pd", "VB1234-56789", "QM00001"])
def test_a_disk_that_shows_its_makers_word_stands_behind_one_with_a_serial(machine: Machine, shared: str) -> None:
    """What a cloud or an emulator writes into every disk is no serial, also if it is the smaller of two."""
    machine.write({f"{NVME}/device/serial": f"{shared}      \n"})
    assert "placeholder" in machine.read().absent["disk_serial"]
    machine.write({"sys/devices/sdb/device/vpd_pg80": f"\0\x80\0\x14{'ZZ-OWN-7':>20}", "sys/devices/sdb/dev": "8:16"})
    for disk in (NVME, "sys/devices/sdb"):
        machine.link(f"sys/devices/virtual/block/md0/slaves/{Path(disk).name}", disk)
    machine.link("sys/dev/block/9:0", "sys/devices/virtual/block/md0")
    machine.mounted("9:0", "/dev/md0")
    assert machine.read().values["disk_serial"] == "ZZ-OWN-7"


def test_a_card_that_was_never_given_an_address_is_passed_over(machine: Machine) -> None:
    """Its address is that of every card of the kind; the next greater one counts."""
    machine.card("eno2", "00:a0:c6:00:00:00")
    assert machine.read().values["mac"] == "b4:2e:99:0a:1b:2c"
    machine.drop("sys/class/net/eno1")
    assert "placeholder" in machine.read().absent["mac"]


def test_a_board_without_smbios_is_told_by_its_devicetree(machine: Machine) -> None:
    """ARM, POWER and RISC-V boards have no SMBIOS; SMBIOS goes first where there are both."""
    tree = {"model": "Acme Pie 4 Rev 1.1\0", "serial-number": "10000000a1b2c3d4\0"}
    machine.write({f"sys/firmware/devicetree/base/{name}": value for name, value in tree.items()})
    assert machine.read().values["sys_serial"] == "GM0X4QL1"
    for name in ("product_uuid", "product_serial", "board_serial", "board_name", "product_name"):
        machine.drop(f"sys/class/dmi/id/{name}")
    found = machine.read().values
    assert (found["sys_serial"], found["board_model"]) == ("10000000A1B2C3D4", "Acme Pie 4 Rev 1.1")


def test_a_virtual_disk_has_no_serial(machine: Machine) -> None:
    """What a virtio disk shows is its host's word, often the same for all guests."""
    machine.write({"sys/devices/virtio1/vda/serial": "OVERLAYBLK", "sys/devices/virtio1/vda/dev": "254:0"})
    machine.write({"run/udev/data/b254:0": "E:ID_SERIAL=OVERLAYBLK\nE:ID_SERIAL_SHORT=OVERLAYBLK\n"})
    machine.link("sys/dev/block/254:0", "sys/devices/virtio1/vda")
    machine.mounted("254:0", "/dev/vda")
    assert "disk_serial" in machine.read().absent


def test_a_filesystem_is_found_without_udevs_database(machine: Machine) -> None:
    """The links in /dev/disk/by-uuid tell it too."""
    machine.drop("run/udev/data/b259:2")
    assert "fs_uuid" in machine.read().absent
    for name, target in (("AAAA-0001", "nvme0n1p1"), ("BBBB-0002", "nvme0n1p2")):
        machine.link(f"dev/disk/by-uuid/{name}", f"dev/{target}")
    assert machine.read().values["fs_uuid"] == "bbbb-0002"


def test_a_container_is_on_no_disk(machine: Machine) -> None:
    """Its root is an overlay: disk and filesystem are absent, and the reason says so."""
    machine.mounted("0:52", "overlay", "overlay")
    found = machine.read()
    assert (
        found.absent["disk_serial"] == found.absent["fs_uuid"] == "the root filesystem is on no disk that can be seen"
    )


@pytest.mark.parametrize("text", ["", "uninitialized\n", "5f0c2b7d\n", "0" * 32])
def test_an_installation_without_an_id_has_none(machine: Machine, text: str) -> None:
    """machine-id(5): an image may come with the file empty, or `uninitialized`."""
    machine.write({"etc/machine-id": text})
    assert "machine_id" in machine.read().absent


@pytest.mark.parametrize(
    ("cpuinfo", "cpu"),
    [
        (
            "CPU implementer\t: 0x41\nCPU variant\t: 0x1\nCPU part\t: 0xd0c\nCPU revision\t: 1\n\n" * 2,
            "arm 0x41 0xd0c 0x1",
        ),
        ("processor\t: 0\nhart\t: 0\nuarch\t: acme,u7\n\nprocessor\t: 1\nhart\t: 1\nuarch\t: acme,u7\n\n", "acme,u7"),
        ("processor\t: 0\ncpu\t\t: POWER0 (raw)\nclock\t: 3MHz\n\nmachine\t\t: pSeries\n", "POWER0 (raw)"),
        ("processor\t: 0\nmodel name\t: odd\ncpu family\t: six\n", None),
        ("", None),
    ],
)
def test_other_processors(machine: Machine, cpuinfo: str, cpu: str | None) -> None:
    """Arm tells numbers instead of names, RISC-V and POWER names; what is not understood is absent."""
    machine.write({"proc/cpuinfo": cpuinfo})
    assert machine.read().values.get("cpu") == cpu


def test_a_virtual_machine_without_a_board_is_called_by_its_system(machine: Machine) -> None:
    """The board is named first; where there is none, the system is."""
    machine.drop("sys/class/dmi/id/board_name")
    assert machine.read().values["board_model"] == "Dell Inc. PowerEdge R430"
    machine.drop("sys/class/dmi/id/sys_vendor")
    assert machine.read().values["board_model"] == "PowerEdge R430"
    machine.drop("sys/class/dmi/id/product_name")
    assert "board_model" in machine.read().absent


def test_an_unreadable_file_is_absent(machine: Machine) -> None:
    """A folder where a file should be, or bytes of any kind, make no failure."""
    machine.drop("sys/class/dmi/id/product_uuid")
    (machine.root / "sys/class/dmi/id/product_uuid").mkdir()
    (machine.root / "sys/class/dmi/id/board_serial").write_bytes(b"\xff\xfe\xe4 7\0\n")
    found = machine.read()
    assert "cannot be read" in found.absent["smbios_uuid"]
    assert found.values["board_serial"] == "\xff\xfe\xc4 7".upper()


def test_a_system_that_forbids_costs_one_feature_only() -> None:
    """Whatever the system refuses while a feature is read, the others are read all the same."""

    def forbidden() -> str:
        raise PermissionError(13, "Permission denied")

    found = gather({"mac": forbidden, "cpu": lambda: "Acme One"})
    assert found.values == {"cpu": "Acme One"}
    assert found.absent["mac"] == "it cannot be read: Permission denied"


def test_this_machine_is_read() -> None:
    """Whatever this is, each feature is there or absent with a reason."""
    client = Physical("physical", {}).client()
    features = read_linux(Path("/"))
    assert sorted([*features.values, *features.absent]) == sorted(NAMES)
    if features.values:
        assert client.collect("0" * 32)


def test_a_listing_of_ioreg_is_read() -> None:
    """Texts are taken, also in angle brackets; numbers and data are not."""
    listing = """\
+-o Mac14,2  <class IOPlatformExpertDevice, id 0x100000234>
    {
      "IOPlatformSerialNumber" = "C02XK0ACJGH5"
      "IOPlatformUUID" = "564D1E0C-9B1A-5F7C-8D2E-3A4B5C6D7E8F"
      "model" = <"Mac14,2">
      "clock-frequency" = <00366e01>
      "IOBusyInterest" = "IOCommand is not serializable"
    }
"""
    assert parse(listing) == {
        "IOPlatformSerialNumber": "C02XK0ACJGH5",
        "IOPlatformUUID": "564D1E0C-9B1A-5F7C-8D2E-3A4B5C6D7E8F",
        "model": "Mac14,2",
        "IOBusyInterest": "IOCommand is not serializable",
    }
