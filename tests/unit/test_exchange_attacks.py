"""What somebody may do to the files of the exchange: change, cut, swap, repeat, forge. All of it is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import exchange_lab as lab
import msgspec
import pytest

from licentia.client.actfile.file import decode, encode
from licentia.client.actfile.trust import follow
from licentia.crypto import envelope
from licentia.crypto.manifest import Body, Issuing, Roots, make, read_pinned
from licentia.crypto.sealing import BoxKey
from licentia.crypto.signing import SoftwareKey
from licentia.crypto.suites import ED25519, HYBRID
from licentia.errors import (
    BindingEvidenceInvalid,
    BindingMismatch,
    ContainerUnknown,
    DocumentInvalid,
    ForkDetected,
    LicensingError,
    UpdateOutOfOrder,
)
from licentia.exchange import messages, track
from licentia.exchange.messages import RECEIPT, REQUEST, UPDATE

SUITES = pytest.mark.parametrize("suite", [ED25519, HYBRID])


@pytest.fixture(scope="module")
def files() -> dict[str, Any]:
    """An exchange of each suite."""
    return {suite: lab.Files(suite) for suite in (ED25519, HYBRID)}


def flips(data: bytes, step: int, *, all_bits: bool = False) -> Iterator[bytes]:
    """The file with one bit changed, at every `step`-th byte."""
    for at in range(0, len(data), step):
        for bit in range(8) if all_bits else [at * 5 // step % 8]:
            yield data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


KINDS = pytest.mark.parametrize("kind", ["update", "act-file", "request", "receipt", "manifest"])


@KINDS
@SUITES
def test_a_changed_byte_is_refused(files: dict[str, Any], suite: str, kind: str) -> None:
    """Whichever byte of a file is changed, it is refused as a damaged document, and nothing is taken of it."""
    data, read = files[suite].readers()[kind]
    read(data)
    states = dict(files[suite].vendor.host.states)
    for changed in flips(data, 1 if suite == ED25519 and kind != "act-file" else 7):
        with pytest.raises(DocumentInvalid):
            read(changed)
        assert kind != "update" or not files[suite].applied
    assert files[suite].vendor.host.states == states


@KINDS
@SUITES
@pytest.mark.slow
def test_every_changed_bit_is_refused(files: dict[str, Any], suite: str, kind: str) -> None:
    """The same for each single bit."""
    data, read = files[suite].readers()[kind]
    for changed in flips(data, 1, all_bits=True):
        with pytest.raises(DocumentInvalid):
            read(changed)


@KINDS
def test_a_cut_or_longer_file_is_refused(files: dict[str, Any], kind: str) -> None:
    """A file that lost its end or its beginning, or that something was added to, is refused."""
    data, read = files[ED25519].readers()[kind]
    for cut in {0, 1, 2, len(data) // 2, len(data) - 2, len(data) - 1}:
        for changed in (data[:cut], data[len(data) - cut :]):
            with pytest.raises(DocumentInvalid):
                read(changed)
    twice = data + data if kind != "update" else data + b"\n" + data  # an update twice over is a file of two
    for changed in (data + b"\n", data + b" ", b" " + data, twice, data + b"\0", b"\xef\xbb\xbf" + data):
        with pytest.raises(DocumentInvalid):
            read(changed)


@KINDS
def test_each_kind_of_file_is_taken_for_no_other(files: dict[str, Any], kind: str) -> None:
    """A file of another kind is refused wherever it is put."""
    own = files[ED25519]
    _, read = own.readers()[kind]
    for other, (data, _) in own.readers().items():
        if other != kind and {other, kind} != {"request", "receipt"}:
            with pytest.raises(DocumentInvalid):
                read(data)


@pytest.mark.parametrize("payload_type", [REQUEST, RECEIPT, UPDATE])
def test_a_type_is_part_of_what_is_signed(files: dict[str, Any], payload_type: str) -> None:
    """A receipt is not a request because its type says so: the signature covers the type."""
    own = files[ED25519]
    for data in (own.request, own.receipt):
        envelope_ = json.loads(data)
        if envelope_["payloadType"] != payload_type:
            changed = json.dumps(envelope_ | {"payloadType": payload_type}, separators=(",", ":")).encode()
            with pytest.raises(DocumentInvalid):
                own.send(changed)


# --- suites and manifests -------------------------------------------------------------------------


def test_one_signature_of_two_is_none(files: dict[str, Any]) -> None:
    """A document of the hybrid suite without its post-quantum signature, or without the other, is refused."""
    own = files[HYBRID]
    read = json.loads(own.update)
    assert {each["alg"] for each in read["signatures"]} == {"Ed25519", "ML-DSA-65"}
    for left in range(2):
        one = json.dumps(read | {"signatures": [read["signatures"][left]]}, separators=(",", ":")).encode()
        with pytest.raises(DocumentInvalid, match="signature"):
            own.apply(one + b"\n")


def test_a_weaker_suite_is_refused(files: dict[str, Any]) -> None:
    """An update signed by a key of the weaker suite is refused where the vendor's manifest demands the stronger."""
    own = files[HYBRID]
    update = messages.unverified_update(own.update[:-1])
    strong = own.vendor.host.issuer()[0]
    weak = SoftwareKey(ED25519, strong._seeds[:32])
    document = envelope.sign(UPDATE, msgspec.json.encode(update), weak)
    with pytest.raises(DocumentInvalid, match="not trusted"):
        own.apply(document + b"\n")
    with pytest.raises(DocumentInvalid):
        own.apply(envelope.sign(UPDATE, msgspec.json.encode(update)) + b"\n")


def manifests() -> tuple[list[Any], SoftwareKey, SoftwareKey, Callable[..., Any]]:
    """Versions 1 to 3 of one vendor's manifest, its root, the key that version 3 revokes."""
    root, first, second = (SoftwareKey.generate(ED25519) for _ in range(3))

    def version(number: int, *keys: Issuing, by: SoftwareKey = root, vendor: str = "Test vendor") -> Any:
        roots = Roots(threshold=1, keys=(by.public,))
        body = Body(version=number, vendor=vendor, issued_at=0, roots=roots, issuing=keys, suites=(ED25519,))
        return make(body, by)

    def key(of: SoftwareKey, state: Any) -> Issuing:
        return Issuing(key=of.public, not_before=0, not_after=2**38, state=state)

    made = [
        version(1, key(first, "current")),
        version(2, key(first, "old"), key(second, "current")),
        version(3, key(first, "revoked"), key(second, "current")),
    ]
    return made, first, second, version


def test_a_revoked_key_stays_revoked() -> None:
    """Once a device knows that a key was revoked, an update by it is refused, also with an older manifest beside it."""
    known, stolen, good, _ = manifests()
    vendor = lab.Vendor()
    vendor.host._keys = good, (known[0], known[1], known[2])
    device = lab.Device(vendor)
    device.file.apply(vendor.activate(device.file.request(), vendor.license()))
    vendor.host._keys = stolen, (known[0],)
    forged = vendor.put(device.file.id, vendor.license())
    before = device.store.data
    with pytest.raises(DocumentInvalid, match="not trusted"):
        device.file.apply(forged)
    assert device.store.data == before


def test_an_older_manifest_takes_nothing_back() -> None:
    """A device that knows version 3 goes on with it, whatever older versions an update brings."""
    known, _, good, version = manifests()
    chain = follow(known[0].to_bytes(), [each.to_bytes() for each in known])
    assert read_pinned(chain[-1]).version == 3
    assert follow(chain[0], [*chain[1:], known[1].to_bytes()]) == chain
    assert follow(known[2].to_bytes(), chain) == (known[2].to_bytes(),)
    other = version(3, Issuing(key=good.public, not_before=0, not_after=2**38, state="current"), vendor="Mallory")
    with pytest.raises(DocumentInvalid, match="two key manifests"):
        follow(chain[0], [*chain[1:], other.to_bytes()])
    stranger = SoftwareKey.generate(ED25519)
    forged = version(9, Issuing(key=good.public, not_before=0, not_after=2**38, state="current"), by=stranger)
    with pytest.raises(DocumentInvalid):
        follow(chain[0], [*chain[1:], forged.to_bytes()])


def test_the_vendor_of_another_application_is_refused(files: dict[str, Any]) -> None:
    """An application trusts the manifest that it brings, not the one in the file."""
    own = files[ED25519]
    stranger = lab.Vendor()
    device = lab.Device(own.vendor, "place", store=lab.MemoryStore(own.file))
    device.vendor = stranger
    with pytest.raises(DocumentInvalid):
        device.open().require("cad")


# --- updates --------------------------------------------------------------------------------------


def test_an_update_is_for_one_container(files: dict[str, Any]) -> None:
    """The update of another container is refused, and so is one that was made for another state of this one."""
    own = files[ED25519]
    other = lab.Device(own.vendor, "place", place="there")
    answer = own.vendor.activate(other.file.request(), own.vendor.license())
    with pytest.raises(DocumentInvalid, match="another container"):
        own.apply(answer)
    with pytest.raises(DocumentInvalid):
        other.file.apply(own.update)


def test_updates_are_applied_once_and_in_order() -> None:
    """A replayed, an older, a skipped and a reordered update are refused, and change nothing."""
    vendor = lab.Vendor()
    device = lab.Device(vendor)
    first = vendor.activate(device.file.request(), vendor.license())
    second, third = (messages.split(vendor.put(device.file.id, vendor.license()))[-1] for _ in range(2))
    for wrong in ([second], [third], [third, second]):
        with pytest.raises(UpdateOutOfOrder):
            device.file.apply(messages.join(wrong))
    device.file.apply(first)
    with pytest.raises(UpdateOutOfOrder, match="already") as replayed:
        device.file.apply(first)
    assert "Nothing is left to do" in replayed.value.next_step
    for wrong in (first, messages.join([third]), messages.join([*messages.split(first), third])):
        before = device.store.data
        with pytest.raises(UpdateOutOfOrder):
            device.file.apply(wrong)
        assert device.store.data == before
    device.file.apply(messages.join([third, second]))  # what does not follow is left aside
    assert len(device.codes()) == 2
    device.file.apply(messages.join([*messages.split(first), second, third]))
    assert len(device.codes()) == 3


def test_shares_and_threshold_are_covered() -> None:
    """Whoever takes a binding out of the lock or lowers its threshold cannot sign it, and cannot open it either."""
    vendor = lab.Vendor(bindings=["place+other"])
    device = lab.Device(vendor, "place", "other")
    chain = vendor.activate(device.file.request(), vendor.license())
    update = messages.unverified_update(messages.split(chain)[0])
    signer = vendor.host.issuer()[0]
    part, other = update.lock.parts
    locks = [
        msgspec.structs.replace(update.lock, threshold=1),
        msgspec.structs.replace(update.lock, threshold=1, parts=(part,)),
        msgspec.structs.replace(update.lock, parts=(part,)),
        msgspec.structs.replace(update.lock, parts=(other, part)),
        msgspec.structs.replace(update.lock, threshold=64),
        msgspec.structs.replace(update.lock, parts=(msgspec.structs.replace(part, shares=other.shares), other)),
    ]
    payloads = [msgspec.json.encode(msgspec.structs.replace(update, lock=lock)) for lock in locks]
    payloads.append(msgspec.json.encode(update).replace(msgspec.json.encode(other), msgspec.json.encode(part)))
    for changed in payloads:
        forger = SoftwareKey.generate(ED25519)
        for by, errors in ((forger, DocumentInvalid), (signer, (DocumentInvalid, BindingMismatch))):
            with pytest.raises(errors):
                device.file.apply(envelope.sign(UPDATE, changed, by) + b"\n")
    device.file.apply(chain)


@pytest.mark.parametrize("lose", ["place", "other"])
def test_a_binding_that_is_needed_cannot_be_done_without(lose: str) -> None:
    """With both bindings demanded, a machine that has only one of them opens nothing."""
    vendor = lab.Vendor(bindings=["place+other"])
    device = lab.machine(vendor, "place", "other")
    halves = {
        name: lab.PlaceClient(name, lab.Place("there" if name == lose else "here")) for name in ("place", "other")
    }
    device._half = halves.__getitem__
    with pytest.raises(BindingMismatch, match=f"{lose}: This is there"):
        device.open().require("cad")


def test_a_container_is_never_bound_to_less() -> None:
    """A container that was bound to a machine is not served on the evidence of a weaker binding."""
    vendor = lab.Vendor(bindings=["place", "none"])
    device = lab.machine(vendor, "place", "none")
    state = device.file._open().state
    weaker = device.file._stated(
        msgspec.structs.replace(state, request_id=bytes(16)),
        REQUEST,
        (messages.Evidence(binding="none", data=device._half("none").collect("n")),),
    )
    with pytest.raises(BindingEvidenceInvalid):
        vendor.contact(weaker)


def test_the_state_belongs_to_its_update(files: dict[str, Any]) -> None:
    """The state of one update beside another, or beside other manifests, is refused: nothing is put together anew."""
    vendor = lab.Vendor()
    device = lab.machine(vendor)
    old = decode(device.store.data)
    device.contact()
    new = decode(device.store.data)
    for mixed in (
        msgspec.structs.replace(new, update=old.update),
        msgspec.structs.replace(new, state=old.state),
        msgspec.structs.replace(new, trust=(*new.trust, *new.trust)),
        msgspec.structs.replace(new, update=None),
    ):
        device.store.data = encode(mixed)
        with pytest.raises(DocumentInvalid):
            device.open().licenses()


# --- requests and receipts ------------------------------------------------------------------------


def stated(device: Any, kind: str = REQUEST, key: SoftwareKey | None = None, **fields: Any) -> bytes:
    """What the owner of a container's key could sign, with software of its own."""
    state = device.file._open().state
    said = messages.read_statement(device.file._stated(state, RECEIPT), RECEIPT)
    given = {"request_id": b"r" * 16} | fields
    signer = key or SoftwareKey.from_bytes(state.key)
    return messages.sign_statement(msgspec.structs.replace(said, **given), kind, signer)


def test_the_box_key_of_a_container_never_changes() -> None:
    """A request that names another key to seal to is refused: a stolen signing key does not read contents."""
    device = lab.machine()
    with pytest.raises(DocumentInvalid, match="another key"):
        device.vendor.contact(stated(device, box=BoxKey.generate().public))


def test_a_receipt_speaks_for_its_own_container() -> None:
    """A receipt of another container confirms nothing, and one signed by another key is refused."""
    vendor = lab.Vendor()
    device, other = lab.machine(vendor), lab.machine(vendor)
    ref = lab.ContainerRef(binding=device.file.id)
    with pytest.raises(DocumentInvalid):
        lab.run(vendor.plugin.confirm(ref, other.file.receipt()))
    with pytest.raises(DocumentInvalid):
        vendor.contact(stated(device, RECEIPT, key=SoftwareKey.generate(ED25519)))


@pytest.mark.parametrize(
    ("kind", "fields", "error"),
    [
        (RECEIPT, {"head": b"h" * 32}, DocumentInvalid),
        (RECEIPT, {"sequence": 99}, DocumentInvalid),
        (RECEIPT, {"sequence": 0}, DocumentInvalid),
        (REQUEST, {"sequence": 99}, ContainerUnknown),
        (REQUEST, {"head": b"h" * 32}, ForkDetected),
        (REQUEST, {"sequence": 2**31}, DocumentInvalid),
        (REQUEST, {"at": -1}, DocumentInvalid),
        (REQUEST, {"at": 2**63}, DocumentInvalid),
        (REQUEST, {"used": (messages.Use(activation_id="a", license_id="l", first_used_at=2**39),)}, DocumentInvalid),
        (REQUEST, {"used": (messages.Use(activation_id="a", license_id="l", units={"": 2**60}),)}, DocumentInvalid),
        (REQUEST, {"returned": tuple(map(str, range(1001)))}, DocumentInvalid),
        (REQUEST, {"name": "n" * 201}, DocumentInvalid),
        (REQUEST, {"request_id": b"short"}, DocumentInvalid),
        (
            REQUEST,
            {"evidence": tuple(messages.Evidence(binding=name, data=b"") for name in "abcdefghi")},
            DocumentInvalid,
        ),
        (REQUEST, {"box": b""}, DocumentInvalid),
    ],
)
def test_a_lying_container_is_refused(kind: str, fields: dict[str, Any], error: type[LicensingError]) -> None:
    """Whatever the owner of a container's key signs, the server answers with a refusal that is documented."""
    device = lab.machine()
    with pytest.raises(error):
        device.vendor.contact(stated(device, kind, **fields))


@pytest.mark.parametrize("evidence", [(), (messages.Evidence(binding="place", data=b"nowhere"),)])
def test_evidence_that_proves_nothing_is_refused(evidence: tuple[messages.Evidence, ...]) -> None:
    """Without evidence, or with bad evidence, nothing is issued."""
    vendor = lab.Vendor(bindings=["place"])
    device = lab.Device(vendor, "place")
    with pytest.raises(BindingEvidenceInvalid):
        vendor.activate(stated(device, evidence=evidence), vendor.license())
    assert vendor.host.states == {}


def test_a_container_does_not_go_to_another_machine() -> None:
    """A request with the evidence of another machine is refused, in words that name both."""
    vendor = lab.Vendor(bindings=["place"])
    device = lab.machine(vendor, "place")
    moved = stated(device, evidence=(messages.Evidence(binding="place", data=b"there"),))
    with pytest.raises(BindingMismatch, match=r"'here'.*'there'"):
        vendor.contact(moved)


def test_a_request_that_was_overheard_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    """An old request that somebody sends again is refused, and the container is not taken for a copy."""
    device = lab.machine(lab.Vendor(on_fork="invalidate"))
    monkeypatch.setattr(track, "HEADS_KEPT", 4)  # so that some are older than what is remembered
    monkeypatch.setattr(track, "REQUESTS_KEPT", 4)
    overheard = []
    for _ in range(12):
        overheard.append(device.file.request())
        assert device.contact()
    for message in overheard:
        with pytest.raises((UpdateOutOfOrder, ForkDetected)):
            device.vendor.contact(message)
    assert device.contact(), "it was refused for what somebody else sent"
    assert device.vendor.facts(device.file.id)["copies_found"] == "0"
