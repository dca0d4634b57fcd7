"""The record: it opens exactly where enough is right, hides what it should, and cannot be talked into more."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, get_args

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from hypothesis import given, settings
from hypothesis import strategies as st

from licentia.bindings import Unsealed
from licentia.crypto.sharing import PRIME, combine
from licentia.errors import BindingMismatch, DocumentInvalid
from licentia_plugins.bindings.physical import features
from licentia_plugins.bindings.physical.features import HARDWARE, NAMES, Name
from licentia_plugins.bindings.physical.opening import unseal
from licentia_plugins.bindings.physical.record import Record, decode
from licentia_plugins.bindings.physical.server import seal
from licentia_plugins.bindings.physical.tolerance import Tolerance, plan, weight

SECRET = bytes(range(32))
LEVELS: tuple[Tolerance, ...] = get_args(Tolerance)
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


def digests(names: Iterable[str] = NAMES, changed: Iterable[str] = ()) -> dict[Name, bytes]:
    """The digests of a machine that shows these features, some of them with another value."""
    replaced = set(changed)
    return features.digests({name: MACHINE[name] + ("9" if name in replaced else "") for name in names})


def record_of(names: Iterable[str] = NAMES, level: Tolerance = "medium") -> Record:
    """The secret, sealed to such a machine."""
    shown = digests(names)
    return decode(seal(shown, SECRET, level, plan(shown, level), work=1))


def opened(record: Record, here: Mapping[Name, bytes]) -> Unsealed | None:
    """What comes out on a machine with these features; None if it is refused."""
    try:
        return unseal(record, here)
    except (BindingMismatch, DocumentInvalid):
        return None


def patched(record: Record, **terms: Any) -> Record:
    """The record with other terms, and a checksum that fits them."""
    return msgspec.structs.replace(record, terms=msgspec.structs.replace(record.terms, **terms)).checked()


@pytest.fixture(scope="module")
def whole() -> Mapping[Tolerance, Record]:
    """A record of the whole machine at each level."""
    return {level: record_of(level=level) for level in LEVELS}


@settings(deadline=None)
@given(st.sampled_from(LEVELS), st.sets(st.sampled_from(NAMES)), st.sets(st.sampled_from(NAMES)))
def test_it_opens_exactly_where_enough_is_right(
    whole: Mapping[Tolerance, Record], level: Tolerance, changed: set[Name], missing: set[Name]
) -> None:
    """Whatever differs or is missing: it opens if what is left weighs enough, also of hardware, and names the rest."""
    left = set(NAMES) - changed - missing
    unsealed = opened(whole[level], digests(set(NAMES) - missing, changed))
    if weight(left) >= whole[level].terms.threshold and weight(left & HARDWARE) >= 4:
        assert unsealed is not None
        assert unsealed.secret == SECRET
        assert set(unsealed.changed) == changed | missing
    else:
        assert unsealed is None


@settings(deadline=None, max_examples=25)
@given(st.sets(st.sampled_from(NAMES), min_size=1).filter(lambda shown: plan(shown, "loose").identity), st.data())
def test_a_machine_that_shows_less_is_held_to_the_same_rule(shown: set[Name], data: st.DataObject) -> None:
    """With any features sealed to, and any of these changed, it opens exactly where its own thresholds are kept."""
    changed = data.draw(st.sets(st.sampled_from(sorted(shown))))
    record = record_of(shown, "loose")
    judged = plan(shown, "loose")
    unsealed = opened(record, digests(shown, changed))
    enough = weight(shown - changed) >= judged.threshold
    assert (unsealed is not None) == (enough and weight((shown - changed) & HARDWARE) >= judged.hardware_threshold)
    if unsealed is not None:
        assert (unsealed.weak, set(unsealed.changed)) == (judged.weak, changed)


def test_features_that_were_not_there_at_first_do_no_harm() -> None:
    """A machine that shows more than it did opens, and the new is no change."""
    unsealed = unseal(record_of(["smbios_uuid", "cpu"]), digests())
    assert (unsealed.secret, unsealed.changed, unsealed.weak) == (SECRET, (), True)


def test_an_independent_library_opens_it(whole: Mapping[Tolerance, Record]) -> None:
    """What is written here of masks, key, commitment, hint and cipher is what another implementation computes."""
    record = whole["medium"]
    salt = record.terms.salt

    def derived(master: bytes, length: int, salt: bytes | None, label: bytes) -> bytes:
        return HKDF(SHA256(), length, salt, b"licentia binding physical 1 " + label).derive(master)

    shares: dict[int, bytes] = {}
    hardware: dict[int, bytes] = {}
    for part in record.terms.features:
        masked = part.shares + part.hardware_shares
        label = b"licentia binding physical 1 feature " + salt + part.name.encode()
        slow = Scrypt(label, 35, 2**record.terms.work, 8, 1).derive(digests()[part.name])
        assert slow[32:] == part.hint
        stream = derived(slow[:32], 48 * len(masked), None, b"masks")
        for place, value in enumerate(masked):
            number = int.from_bytes(value, "big") - int.from_bytes(stream[48 * place : 48 * place + 48], "big")
            into = shares if place < len(part.shares) else hardware
            into[len(into)] = (number % PRIME).to_bytes(32, "big")
    terms = hashlib.sha256(msgspec.json.encode(record.terms)).digest()
    both = combine(shares) + combine(hardware)
    key = derived(both, 64, salt, b"key " + terms)
    assert key[32:] == record.commitment
    assert AESGCM(key[:32]).decrypt(record.nonce, record.sealed, terms) == SECRET + b"".join(digests().values())


@pytest.mark.parametrize("changed", [(), ("smbios_uuid", "board_serial", "mac", "sys_serial")], ids=["own", "moved"])
@pytest.mark.parametrize(
    "terms",
    [{"threshold": number} for number in (1, 9, 12, 14, 20)]
    + [{"hardware_threshold": number} for number in (0, 1, 11)]
    + [{"threshold": 9, "hardware_threshold": 0}, {"tolerance": "loose"}, {"weak": True}, {"work": 2}],
    ids=str,
)
def test_patched_terms_never_open(
    whole: Mapping[Tolerance, Record], terms: dict[str, Any], changed: tuple[str, ...]
) -> None:
    """Another threshold, tolerance or lock opens nowhere: not where it helps a thief, nor on the machine itself."""
    assert opened(patched(whole["medium"], **terms), digests(changed=changed)) is None


def test_a_patched_record_is_called_altered(whole: Mapping[Tolerance, Record]) -> None:
    """On its own machine nothing has changed, so it is the record that has."""
    with pytest.raises(DocumentInvalid, match="altered"):
        unseal(patched(whole["medium"], threshold=12), digests())


def test_a_patched_threshold_leaves_the_moved_disk_shut(whole: Mapping[Tolerance, Record]) -> None:
    """With the threshold lowered to what a moved disk has, it is refused, as altered and not as another machine."""
    moved = digests(changed=HARDWARE)
    with pytest.raises(BindingMismatch, match="Weight 9 of 20 is left, 13 is needed"):
        unseal(whole["medium"], moved)
    with pytest.raises(DocumentInvalid, match="altered"):
        unseal(patched(whole["medium"], threshold=9, hardware_threshold=0), moved)


def test_shares_and_weights_cannot_be_moved_about(whole: Mapping[Tolerance, Record]) -> None:
    """A record with the shares of another, in another order, or repeated, does not open."""
    parts = whole["medium"].terms.features
    other = whole["loose"].terms.features
    doubled = msgspec.structs.replace(parts[6], shares=parts[6].shares * 5)
    for replaced in (other, parts[::-1], (*parts[:6], doubled, *parts[7:])):
        assert opened(patched(whole["medium"], features=tuple(replaced)), digests()) is None


def test_the_wrapped_secret_cannot_be_changed(whole: Mapping[Tolerance, Record]) -> None:
    """With the right machine and another ciphertext it is the record that is refused."""
    record = whole["medium"]
    forged = msgspec.structs.replace(record, sealed=bytes([record.sealed[0] ^ 1]) + record.sealed[1:]).checked()
    with pytest.raises(DocumentInvalid, match="altered"):
        unseal(forged, digests())


def test_a_refusal_names_what_changed_and_what_is_missing(whole: Mapping[Tolerance, Record]) -> None:
    """Each has its pointer; the weights say how much is wanting; no value is repeated."""
    here = digests(set(NAMES) - {"mac"}, changed=["smbios_uuid", "board_serial", "machine_id"])
    with pytest.raises(BindingMismatch) as refusal:
        unseal(whole["medium"], here)
    assert [(each.pointer, each.detail) for each in refusal.value.problems] == [
        ("/features/smbios_uuid", "is different"),
        ("/features/board_serial", "is different"),
        ("/features/machine_id", "is different"),
        ("/features/mac", "is missing"),
    ]
    assert refusal.value.detail.endswith(
        "Different: smbios_uuid, board_serial, machine_id. Missing: mac. "
        "Weight 8 of 20 is left, 13 is needed; of hardware 2, 4 is needed."
    )
    assert not any(value in refusal.value.detail for value in MACHINE.values())


def test_a_record_shows_neither_secret_nor_values_nor_digests(whole: Mapping[Tolerance, Record]) -> None:
    """It is JSON to look at, with names and weights; two of one machine have not a share in common."""
    first, second = (msgspec.json.encode(record_of(["smbios_uuid", "mac"])) for _ in range(2))
    shown = json.loads(first)
    assert [part["name"] for part in shown["terms"]["features"]] == ["smbios_uuid", "mac"]
    assert [len(part["shares"]) for part in shown["terms"]["features"]] == [4, 2]
    shares = [
        {share for part in json.loads(each)["terms"]["features"] for share in part["shares"]}
        for each in (first, second)
    ]
    assert not shares[0] & shares[1]
    text = msgspec.json.encode(whole["strict"])
    encoded = [msgspec.json.encode(each)[1:-2] for each in (SECRET, *digests().values())]
    assert not any(value.encode() in text for value in MACHINE.values())
    assert not any(each in text for each in encoded)


@pytest.mark.parametrize(
    "damage",
    [
        lambda record: record[:-1],
        lambda record: record.replace(b'"threshold":4', b'"threshold":3'),
        lambda record: record.replace(b'"version":1', b'"version":2'),
        lambda record: record.replace(b'"weak":true', b'"weak":false'),
        lambda record: record.replace(b'"mac"', b'"smbios_uuid"'),
        lambda record: record.replace(b'"mac"', b'"color"'),
        lambda record: record.replace(b'"threshold":4', b'"threshold":99'),
        lambda record: b"[" * 60_000,
        lambda record: b"\xff" + record,
    ],
)
def test_a_damaged_record_is_told_from_another_machine(damage: Any) -> None:
    """It is refused before any key is tried."""
    shown = digests(["smbios_uuid", "mac"])
    record = seal(shown, SECRET, "medium", plan(shown, "medium"))
    assert decode(record)
    assert damage(record) != record
    with pytest.raises(DocumentInvalid, match=r"not a record|damaged"):
        decode(damage(record))


@pytest.mark.parametrize(
    "terms",
    [
        {"threshold": 0},
        {"threshold": 7},
        {"hardware_threshold": 7},
        {"work": 17},
        {"work": 0},
        {"salt": ""},
        {"features": []},
    ],
    ids=str,
)
def test_terms_that_no_server_makes_are_refused(terms: dict[str, Any]) -> None:
    """A threshold above what there is, or a slow hash beyond measure, is refused unread."""
    record = json.loads(msgspec.json.encode(record_of(["smbios_uuid", "mac"])))
    record["terms"] |= terms
    with pytest.raises(DocumentInvalid, match="not a record"):
        decode(json.dumps(record).encode())


def test_a_feature_is_there_once() -> None:
    """A record that has one twice is refused unread."""
    record = json.loads(msgspec.json.encode(record_of(["smbios_uuid", "mac"])))
    record["terms"]["features"][1]["name"] = "smbios_uuid"
    with pytest.raises(DocumentInvalid, match="not a record"):
        decode(json.dumps(record).encode())
