"""The server's half of the exchange: what it takes, what it issues, and how it treats copies."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import exchange_lab as lab
import pytest

from licentia.containers import ContainerRef
from licentia.errors import (
    BindingEvidenceInvalid,
    BindingMismatch,
    ContainerKindNotAllowed,
    ContainerUnknown,
    DocumentInvalid,
    ForkDetected,
)
from licentia.exchange import messages, track
from licentia.exchange.keeper import read
from licentia.exchange.messages import RECEIPT, REQUEST


@pytest.fixture
def short_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that remembers the last few states of a container only."""
    monkeypatch.setattr(track, "HEADS_KEPT", 4)
    monkeypatch.setattr(track, "REQUESTS_KEPT", 4)


def received(vendor: Any, message: bytes) -> Any:
    """What the plugin makes of a message."""
    ref = lab.run(vendor.plugin.whose(message))
    with vendor.host.transaction():
        return lab.run(vendor.plugin.receive(ref, message))


def updates(chain: bytes) -> list[messages.Update]:
    """The updates of a file."""
    return [messages.unverified_update(document) for document in messages.split(chain)]


def test_a_message_says_what_it_is() -> None:
    """Requests and receipts are told apart by their type; anything else is refused."""
    device = lab.machine()
    assert read(device.file.request())[1] is True
    assert read(device.file.receipt())[1] is False
    for wrong in (b"", b"{}", lab.decode_update(device), device.vendor.trust):
        with pytest.raises(DocumentInvalid):
            read(wrong)


def test_what_an_update_says() -> None:
    """It is numbered, follows the state that asked, names the request, and is sealed: nothing of the contents shows."""
    vendor = lab.Vendor()
    device = lab.Device(vendor)
    request = device.file.request()
    chain = vendor.activate(request, vendor.license(name="Very secret name"))
    (update,) = updates(chain)
    said = messages.read_statement(request, REQUEST)
    assert (update.sequence, update.previous, update.request_id) == (1, messages.START, said.request_id)
    assert (update.container, update.issued_at) == (device.file.id, lab.START)
    assert b"secret" not in chain
    assert b"secret" not in update.box


def test_the_checkpoint_begins_at_the_contact() -> None:
    """`checkpoint_days` counts from when the update was issued, by the server's clock; the end is the license's own."""
    vendor = lab.Vendor()
    device = lab.machine(vendor, terms={"checkpoint_days": 5})
    first = device.file.licenses()[0]
    assert first.contact_by == datetime.fromtimestamp(lab.START + 5 * lab.DAY, UTC)
    assert first.expires_at == lab.END
    vendor.clock.seconds += 3 * lab.DAY
    device.contact()
    assert device.file.licenses()[0].contact_by == datetime.fromtimestamp(lab.START + 8 * lab.DAY, UTC)


def test_a_change_is_told_once() -> None:
    """The core may repeat an update: the same number gives the same octets, another one a new update."""
    vendor = lab.Vendor()
    device = lab.machine(vendor)
    ref = ContainerRef(binding=device.file.id)
    contents = vendor.contents(device.file.id)

    def issue(number: int) -> bytes:
        return lab.run(vendor.plugin.apply(ref, lab.Update(sequence=number, contents=contents))).content  # type: ignore[no-any-return]

    assert issue(7) == issue(7)
    assert [update.sequence for update in updates(issue(7))] == [2]
    assert [update.sequence for update in updates(issue(8))] == [2, 3]


def test_what_is_pending_is_given_again() -> None:
    """The answer once more, the same octets; nothing for who never asked."""
    vendor = lab.Vendor()
    device = lab.Device(vendor)
    answer = vendor.activate(device.file.request(), vendor.license())
    ref = ContainerRef(binding=device.file.id)
    assert lab.run(vendor.plugin.pending(ref)).content == answer
    device_receipt = device.file.apply(answer)
    assert received(vendor, device_receipt).change == 1
    assert lab.run(vendor.plugin.pending(ref)) is None
    for call in (vendor.plugin.pending, vendor.plugin.reinstate):
        with pytest.raises(ContainerUnknown):
            lab.run(call(ContainerRef(binding="unheard-of")))


def test_a_receipt_tells_what_took_effect() -> None:
    """It gives the core's number of the contents; an older one changes nothing, one of another past is refused."""
    vendor = lab.Vendor()
    device = lab.machine(vendor)
    old = device.file.receipt()
    new = device.file.apply(vendor.put(device.file.id, vendor.license()))
    assert received(vendor, old).change == 1
    assert received(vendor, new).change == 2
    assert received(vendor, old).change == 2
    assert received(vendor, new).asks is False


def test_an_ancient_receipt_does_no_harm(short_memory: None) -> None:
    """A receipt from before what is remembered is taken and changes nothing."""
    vendor = lab.Vendor()
    device = lab.machine(vendor)
    old = device.file.receipt()
    for _ in range(12):
        device.contact()
    assert received(vendor, old).change == vendor.sequence[device.file.id]


def test_the_server_learns_of_the_use() -> None:
    """A request tells what was used and since when, in all; also one that is repeated."""
    vendor = lab.Vendor()
    device = lab.machine(vendor, units={"": 10})
    device.file.consume("cad", 3, request_id="a")
    told = received(vendor, device.file.request())
    assert told.used == {("act-1", "lic-1", ""): 3}
    assert told.first_used == {"lic-1": datetime.fromtimestamp(lab.START, UTC)}
    device.file.consume("cad", 4, request_id="b")
    device.file.give_back("act-1")
    again = received(vendor, device.file.request())
    assert again.used == {("act-1", "lic-1", ""): 7}
    assert again.returned == ("act-1",)


def test_a_stranger_is_told_so() -> None:
    """A container that says it holds updates, of which this server knows nothing, is unknown here."""
    device = lab.machine()
    with pytest.raises(ContainerUnknown, match="knows no such container"):
        lab.Vendor().contact(device.file.request())


def test_a_server_that_was_set_back_says_so() -> None:
    """A server that lost updates to a backup says that, and once it has them again, nobody is taken for a copy."""
    vendor = lab.Vendor()
    device = lab.machine(vendor)
    backup = dict(vendor.host.states)
    for _ in range(3):
        device.contact()
    vendor.contact(device.file.request())  # the answer is lost, and so is the server for a while
    present, vendor.host.states = vendor.host.states, backup
    for _ in range(2):
        with pytest.raises(ContainerUnknown, match="has issued 1") as refusal:
            device.contact()
        assert "backup" in refusal.value.next_step
    vendor.host.states = present
    assert device.contact()
    assert vendor.notes() == []


# --- bindings -------------------------------------------------------------------------------------


def test_the_best_combination_is_taken() -> None:
    """Of those that the vendor takes, the first that the evidence allows."""
    vendor = lab.Vendor(bindings=["place+other", "place"])
    assert vendor.facts(lab.machine(vendor, "place", "other").file.id)["bound_by"] == "place+other"
    single = lab.machine(lab.Vendor(bindings=["place+other", "place"]), "place")
    assert single.vendor.facts(single.file.id)["bound_by"] == "place"
    with pytest.raises(BindingEvidenceInvalid, match="place"):
        lab.machine(vendor, "none")


def test_more_evidence_than_needed_does_no_harm() -> None:
    """Evidence of a binding that this server does not have is left aside."""
    vendor = lab.Vendor(bindings=["place"])
    device = lab.Device(vendor, "place", "unheard-of")
    device.file.apply(vendor.activate(device.file.request(), vendor.license()))
    assert vendor.facts(device.file.id)["bound_by"] == "place"


def test_a_machine_is_bound_once() -> None:
    """One machine, one container: evidence that may be a copy serves the first container that brought it."""
    vendor = lab.Vendor(bindings=["place"])
    lab.machine(vendor, "place")
    with pytest.raises(BindingEvidenceInvalid, match="used before"):
        lab.machine(vendor, "place")


def test_new_evidence_locks_anew() -> None:
    """If a part of the machine changed, the answer is locked to what it is now, with another secret."""
    vendor = lab.Vendor(bindings=["place"])
    device = lab.machine(vendor, "place")
    locks = [messages.unverified_update(lab.decode_update(device)).lock]
    for name in ("here", "here|another disk", "here|another disk"):
        device.place.name = name
        device.contact()
        locks.append(messages.unverified_update(lab.decode_update(device)).lock)
    assert locks[0] == locks[1] != locks[2] == locks[3]


def test_another_machine_is_refused() -> None:
    """A container that was bound to one machine does not go to another, and is not harmed by the attempt."""
    vendor = lab.Vendor(bindings=["place"])
    device = lab.machine(vendor, "place")
    other = device.copy()
    state = other.file._open().state
    moved = other.file._stated(
        lab.replaced(state, request_id=bytes(16)),
        REQUEST,
        (messages.Evidence(binding="place", data=b"there"),),
    )
    with pytest.raises(BindingMismatch):
        vendor.contact(moved)
    assert device.contact()
    assert vendor.notes() == []


@pytest.mark.parametrize(
    ("bindings", "license", "fits"),
    [
        ("none", {}, True),
        ("none", {"valid_until": None}, False),
        ("none", {"terms": {"license_model": "node_locked"}}, False),
        ("place", {"valid_until": None}, True),
        ("place", {"valid_until": None, "terms": {"license_model": "node_locked"}}, True),
    ],
)
def test_what_fits_a_binding(bindings: str, license: dict[str, Any], fits: bool) -> None:
    """What is bound to nothing takes licenses that end, and none that are node-locked; nothing is kept of a refusal."""
    vendor = lab.Vendor()
    if fits:
        assert lab.machine(vendor, bindings, **license).codes() == ["cad"]
    else:
        with pytest.raises(ContainerKindNotAllowed):
            lab.machine(vendor, bindings, **license)
        assert vendor.host.states == {}


# --- copies ---------------------------------------------------------------------------------------


def test_a_flagged_copy_gets_the_newest_contents() -> None:
    """Under `flag` both copies are served in turn, each from its own state, and hold what the vendor wants."""
    vendor = lab.Vendor()
    first = lab.machine(vendor)
    second = first.copy()
    for turn in range(4):
        vendor.put(first.file.id, vendor.license(f"p{turn}"))
        for device in (first, second):
            assert device.contact()
            assert len(device.codes()) == turn + 2
    assert len(vendor.notes()) == 7
    assert {note["policy"] for note in vendor.notes()} == {"flag"}
    assert vendor.facts(first.file.id)["state"] == "copied"


def test_a_flagged_copy_may_lose_its_answer() -> None:
    """A copy repeats its request too: it gets the same answer, and is not counted again."""
    vendor = lab.Vendor()
    first = lab.machine(vendor)
    second = first.copy()
    first.contact()
    request = second.file.request()
    answer = vendor.contact(request)
    assert vendor.contact(request) == answer
    assert len(vendor.notes()) == 1
    second.file.apply(answer)


def test_grace_ends() -> None:
    """Under `grace` copies are served from the first that is found for so many days, and then no more."""
    vendor = lab.Vendor(on_fork="grace", grace_days=2)
    first = lab.machine(vendor)
    second = first.copy()
    assert first.contact()
    assert second.contact()
    vendor.clock.seconds += 2 * lab.DAY - 1
    assert first.contact()
    vendor.clock.seconds += 1
    with pytest.raises(ForkDetected):
        second.contact()
    with pytest.raises(ForkDetected, match="for good"):
        first.contact()
    assert [note["refused"] for note in vendor.notes()] == [False, False, True]


def test_grace_harms_nobody_who_stays_alone() -> None:
    """A machine that was set back once is served for ever, if no copy is found after the grace."""
    vendor = lab.Vendor(on_fork="grace", grace_days=2)
    device = lab.machine(vendor)
    snapshot = device.store.data
    assert device.contact()
    device.store.data = snapshot
    for _ in range(10):
        assert device.open()
        assert device.contact()
        vendor.clock.seconds += lab.DAY
    assert len(vendor.notes()) == 1


def test_an_invalid_container_can_be_reinstated() -> None:
    """Under `invalidate` a copy ends it at once, also for the original; the vendor may take that back."""
    vendor = lab.Vendor(on_fork="invalidate")
    first = lab.machine(vendor)
    second = first.copy()
    assert first.contact()
    for device in (second, second, first):
        with pytest.raises(ForkDetected) as refusal:
            device.contact()
        assert "Restore" in refusal.value.next_step
    assert vendor.facts(first.file.id)["state"] == "refused"
    ref = ContainerRef(binding=first.file.id)
    assert lab.run(vendor.plugin.reinstate(ref)) is True
    assert lab.run(vendor.plugin.reinstate(ref)) is False
    assert vendor.facts(first.file.id)["state"] == "weak"
    assert first.contact()
    with pytest.raises(ForkDetected):
        second.contact()


def test_an_invalid_container_still_gives_back() -> None:
    """A container that is refused may still give its licenses back by a receipt."""
    vendor = lab.Vendor(on_fork="invalidate")
    first = lab.machine(vendor)
    second = first.copy()
    first.contact()
    with pytest.raises(ForkDetected):
        second.contact()
    vendor.contact(first.file.give_back("act-1"))
    assert vendor.contents(first.file.id) == ()


def test_what_a_copy_gives_back_does_not_count() -> None:
    """A machine that was set back cannot give back what another state of it may still use."""
    vendor = lab.Vendor()
    first = lab.machine(vendor)
    second = first.copy()
    first.contact()
    receipt = second.file.give_back("act-1")
    assert received(vendor, receipt).returned == ()
    assert read(receipt)[0].returned == ("act-1",)
    assert messages.read_statement(receipt, RECEIPT).sequence == 1


def test_a_container_that_is_too_far_back_is_refused_not_ended(short_memory: None) -> None:
    """From a state that is no longer remembered nothing can be served, but nobody else pays for it."""
    vendor = lab.Vendor(on_fork="invalidate")
    device = lab.machine(vendor)
    old = device.copy()
    for _ in range(12):
        device.contact()
    with pytest.raises(ForkDetected):
        old.contact()
    assert device.contact()
    assert vendor.notes()[-1]["refused"] is True
