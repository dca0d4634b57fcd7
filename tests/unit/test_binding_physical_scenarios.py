"""What happens to machines, at each tolerance: repairs, upgrades, thefts, and neighbors of the same model."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

import pytest

from licentia.bindings import Challenge
from licentia.errors import BindingEvidenceInvalid, BindingMismatch
from licentia_plugins.bindings.physical import Physical
from licentia_plugins.bindings.physical.client import PhysicalClient
from licentia_plugins.bindings.physical.features import HARDWARE, NAMES, digests
from licentia_plugins.bindings.physical.server import seal
from licentia_plugins.bindings.physical.tolerance import Tolerance, plan, weight

REPORTS = Path(__file__).parents[2] / "../shared/data/hw/dmi"
SECRET = bytes(range(32))
LEVELS: tuple[Tolerance, ...] = ("strict", "medium", "loose")
MACHINE = {
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
OTHER = {name: f"{value}-other" for name, value in MACHINE.items()}
SCENARIOS = {
    "system, firmware or kernel upgraded": ([], 20, "open", "open", "open"),
    "network card changed": (["mac"], 18, "open", "open", "open"),
    "processor upgraded": (["cpu"], 19, "open", "open", "open"),
    "disk cloned to a new disk": (["disk_serial"], 17, "open", "open", "open"),
    "system reinstalled": (["machine_id", "fs_uuid"], 16, "shut", "open", "open"),
    "disk replaced and system reinstalled": (["machine_id", "disk_serial", "fs_uuid"], 13, "shut", "open", "open"),
    "board replaced, the maker wrote its uuid and serial": (["board_serial", "mac"], 15, "shut", "open", "open"),
    "board replaced, new identity": ([*HARDWARE], 9, "shut", "shut", "shut"),
    "image of the disk on the same model": ([*HARDWARE, "disk_serial"], 6, "shut", "shut", "shut"),
    "disk moved into the same model": ([*HARDWARE], 9, "shut", "shut", "shut"),
    "image and a forged address on the same model": (
        [*(HARDWARE - {"mac"}), "disk_serial"], 8, "shut", "shut", "shut",
    ),
    "disk and a forged address in the same model": ([*(HARDWARE - {"mac"})], 11, "shut", "shut", "shut"),
    "file copied to another machine": ([*NAMES], 0, "shut", "shut", "shut"),
}  # fmt: skip

DEVICE = PhysicalClient("physical", {})


def served(features: Mapping[str, str], **settings: str) -> bytes:
    """The record that a server with these settings makes for a machine with these features."""
    return asyncio.run(Physical("physical", settings).server().seal(DEVICE._evidence_of(features), SECRET))


def quickly(features: Mapping[str, str], level: Tolerance) -> bytes:
    """The same, with a slow hash that is not slow."""
    shown = digests(features)
    return seal(shown, SECRET, level, plan(shown, level), work=1)


@pytest.fixture(scope="module")
def records() -> Mapping[str, bytes]:
    """The machine's record at each level."""
    return {level: quickly(MACHINE, level) for level in LEVELS}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_scenario_ends_as_the_design_says(records: Mapping[str, bytes], scenario: str) -> None:
    """At each level it opens or stays shut, and says exactly which features are different."""
    changed, left, *ends = SCENARIOS[scenario]
    expected = [name for name in NAMES if name in changed]
    assert 20 - weight(expected) == left
    here = {name: (OTHER if name in changed else MACHINE)[name] for name in NAMES}
    for level, end in zip(LEVELS, ends, strict=True):
        if end == "open":
            unsealed = DEVICE._unseal_with(records[level], here)
            assert (unsealed.secret, list(unsealed.changed), unsealed.weak) == (SECRET, expected, False)
        else:
            with pytest.raises(BindingMismatch) as refusal:
                DEVICE._unseal_with(records[level], here)
            assert [each.pointer for each in refusal.value.problems] == [f"/features/{name}" for name in expected]


def models() -> dict[str, list[Path]]:
    """The real reports of each model."""
    found = defaultdict(list)
    for path in sorted(REPORTS.glob("*.txt")):
        found[path.stem.rpartition("__")[0]].append(path)
    return found


def real(path: Path) -> dict[str, str]:
    """The features in a real report, whose serials were blanked before it was published."""
    return dict(DEVICE._features(path.read_text("latin-1")).values)


@pytest.fixture
def pairs() -> list[tuple[dict[str, str], dict[str, str]]]:
    """The features of every two machines of one model."""
    if not REPORTS.is_dir():
        pytest.skip(f"{REPORTS.resolve()} is not here: the real reports are not part of the checkout")
    return [(real(one), real(two)) for paths in models().values() for one, two in combinations(paths, 2)]


def test_nothing_is_sealed_to_what_a_model_shares(pairs: list[tuple[dict[str, str], dict[str, str]]]) -> None:
    """Real reports tell only processor and board: sealing is refused at every level, and names what is missing."""
    assert len(pairs) > 10
    assert any(one == two for one, two in pairs)
    for features in (each for pair in pairs for each in pair):
        assert set(features) == {"cpu", "board_model"}
        for level in LEVELS:
            with pytest.raises(BindingEvidenceInvalid, match="smbios_uuid, board_serial, machine_id") as refusal:
                served(features, tolerance=level)
            assert "/features/smbios_uuid" in [each.pointer for each in refusal.value.problems]


@pytest.mark.parametrize("level", LEVELS)
def test_two_machines_of_a_model_stay_apart(
    level: Tolerance, pairs: list[tuple[dict[str, str], dict[str, str]]]
) -> None:
    """With its UUID, as root reads it, each opens its own record, weakly bound, and its neighbor does not."""
    for number, (one, two) in enumerate(pairs):
        own = one | {"smbios_uuid": f"7d1c0a6e-52f4-4c8e-9f0b-{number:012x}"}
        neighbor = two | {"smbios_uuid": f"e31f9b20-08aa-4d57-b6c4-{number:012x}"}
        record = quickly(own, level)
        unsealed = DEVICE._unseal_with(record, own)
        assert (unsealed.secret, unsealed.changed, unsealed.weak) == (SECRET, (), True)
        with pytest.raises(BindingMismatch) as refusal:
            DEVICE._unseal_with(record, neighbor)
        differing = [name for name in NAMES if own.get(name) != neighbor.get(name)]
        assert [each.pointer for each in refusal.value.problems] == [f"/features/{name}" for name in differing]


@pytest.mark.parametrize(
    ("shown", "missing"),
    [
        (
            ["machine_id", "disk_serial", "mac", "fs_uuid", "cpu", "board_model"],
            "smbios_uuid, board_serial, sys_serial",
        ),
        (["machine_id", "cpu"], "smbios_uuid, board_serial, disk_serial, mac, sys_serial, fs_uuid, board_model"),
    ],
    ids=["not root", "container"],
)
async def test_a_weak_machine_is_the_vendors_choice(shown: list[str], missing: str) -> None:
    """By default it is bound to and called weak; with `weak = "refuse"` it is refused, and what is missing is named."""
    evidence = DEVICE._evidence_of({name: MACHINE[name] for name in shown})
    challenge = Challenge(nonce="0" * 32, at=None)  # type: ignore[arg-type]
    server = Physical("physical", {}).server()
    identity = await server.verify(evidence, challenge)
    assert (identity.name, identity.weak, identity.fresh) == ("", True, False)
    assert identity.attributes == {"features": ", ".join(shown), "weight": f"{weight(shown)} of 20"}
    assert DEVICE._unseal_with(await server.seal(evidence, SECRET), MACHINE).weak
    wary = Physical("physical", {"weak": "refuse"}).server()
    for refused in (wary.verify(evidence, challenge), wary.seal(evidence, SECRET)):
        with pytest.raises(BindingEvidenceInvalid, match=f"Missing: {missing}"):
            await refused


def test_a_whole_machine_is_not_weak() -> None:
    """Where weak machines are refused, one that shows enough is sealed to."""
    assert not DEVICE._unseal_with(served(MACHINE, weak="refuse"), MACHINE).weak


def test_evidence_holds_hashes_only() -> None:
    """No value leaves the machine; the same machine gives the same evidence, however its values are spelled."""
    evidence = DEVICE._evidence_of(MACHINE)
    assert not any(value.encode() in evidence for value in MACHINE.values())
    respelled = {name: f" {value} " for name, value in MACHINE.items()}
    respelled["smbios_uuid"] = respelled["smbios_uuid"].upper()
    respelled["mac"] = respelled["mac"].upper().replace(":", "-")
    respelled["board_serial"] = respelled["board_serial"].lower()
    assert DEVICE._evidence_of(respelled) == evidence
