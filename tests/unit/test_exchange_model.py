"""The exchange under every misfortune that a model can think of: lost, late and repeated messages, crashes, copies."""

from __future__ import annotations

from typing import Any

import exchange_lab as lab
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from licentia.errors import ForkDetected, NotFound, UpdateOutOfOrder
from licentia.exchange import messages

some = st.integers(0, 10**6)
step = st.one_of(st.just(-1), st.integers(0, 5))


class World(RuleBasedStateMachine):
    """A vendor, devices of one container, and the post between them, which loses, repeats and reorders."""

    def __init__(self) -> None:
        super().__init__()
        self.vendor = lab.Vendor()
        self.devices: list[Any] = [lab.Device(self.vendor)]
        self.id = self.devices[0].file.id
        self.to_server: list[bytes] = []
        self.to_device: list[bytes] = []
        self.returned: set[tuple[Any, str]] = set()
        self.started = False

    def device(self, which: int) -> Any:
        return self.devices[which % len(self.devices)]

    # --- the vendor ---

    @rule()
    def the_vendor_puts_a_license_in(self) -> None:
        if self.started:
            self.to_device.append(self.vendor.put(self.id, self.vendor.license(f"p{self.vendor._sold}")))

    @rule(which=some)
    def the_vendor_takes_a_license_out(self, which: int) -> None:
        held = self.vendor.contents(self.id)
        if held:
            self.to_device.append(self.vendor.withdraw(self.id, held[which % len(held)].activation_id))

    @rule(hours=st.integers(1, 48))
    def time_passes(self, hours: int) -> None:
        self.vendor.clock.seconds += hours * 3600
        for device in self.devices:
            device.clock.seconds += hours * 3600

    # --- the post ---

    @rule(which=some, message=some, again=st.booleans(), fault=st.sampled_from(["", "before", "after"]))
    @precondition(lambda self: self.to_server)
    def the_server_gets_a_message(self, which: int, message: int, again: bool, fault: str) -> None:
        """It is stopped before or after its commit, or answers; the message may come again."""
        place = message % len(self.to_server)
        message_ = self.to_server[place] if again else self.to_server.pop(place)
        if fault == "before":
            return
        try:
            answer = self.send(message_)
        except UpdateOutOfOrder:
            return
        if answer is not None and fault != "after":
            self.to_device.append(answer)

    @rule(which=some, answer=some, again=st.booleans(), stop=step)
    @precondition(lambda self: self.to_device)
    def a_device_gets_an_update(self, which: int, answer: int, again: bool, stop: int) -> None:
        """In any order, late or once more; it is stopped between two writes, or makes its receipt."""
        place = answer % len(self.to_device)
        chain = self.to_device[place] if again else self.to_device.pop(place)
        device = self.device(which)
        before = device.store.data
        head = state_of(device).head
        device.store.stop_at = stop
        try:
            receipt = device.file.apply(chain)
        except UpdateOutOfOrder:
            assert device.store.data == before
            return
        except lab.Stopped:
            receipt = b""
        finally:
            device.store.stop_at = -1
            device.open()
        if device.store.data != before:
            assert state_of(device).head in reachable(head, chain)
        else:
            assert state_of(device).head == head
        if receipt:
            self.to_server.append(receipt)

    # --- the devices ---

    @rule(which=some, stop=step)
    def a_device_asks(self, which: int, stop: int) -> None:
        device = self.device(which)
        device.store.stop_at = stop
        try:
            self.to_server.append(device.file.request())
        except lab.Stopped:
            pass
        finally:
            device.store.stop_at = -1
            device.open()

    @rule(which=some, stop=step)
    def a_device_gives_a_license_back(self, which: int, stop: int) -> None:
        device = self.device(which)
        held = device.file.licenses()
        if not held:
            return
        gone = held[which % len(held)].activation_id
        device.store.stop_at = stop
        try:
            self.to_server.append(device.file.give_back(gone))
            self.returned.add((device, gone))
        except lab.Stopped:
            pass
        finally:
            device.store.stop_at = -1
            device.open()

    @invariant()
    def what_was_given_back_is_not_usable(self) -> None:
        for device, activation in self.returned:
            assert activation not in {license.activation_id for license in device.file.licenses()}

    def send(self, message: bytes) -> bytes | None:
        """To the server; the first request activates."""
        if not self.started:
            self.started = True
            return self.vendor.activate(message, self.vendor.license("first"))  # type: ignore[no-any-return]
        return self.vendor.contact(message)  # type: ignore[no-any-return]


class Honest(World):
    """One device that nobody copies: it is never told that it was, and one contact always mends all."""

    @rule()
    def it_contacts_the_server(self) -> None:
        device = self.devices[0]
        asked = device.file.request()
        sent: list[bytes] = []

        def send(message: bytes) -> bytes | None:
            sent.append(message)
            return self.send(message)

        assert device.file.contact(send)
        assert sent[0] == asked, "it asked anew, as if it were a copy"
        assert len(sent) == 2
        held = {license.activation_id for license in device.file.licenses()}
        assert held == {each.activation_id for each in self.vendor.contents(self.id)}
        assert state_of(device).request_id is None
        assert self.vendor.facts(self.id)["updates_pending"] == "0"

    @invariant()
    def it_is_never_taken_for_a_copy(self) -> None:
        assert self.vendor.notes() == []


class Copies(World):
    """Two copies of one device that both go on: they are found at the latest when each was in contact twice."""

    def __init__(self) -> None:
        super().__init__()
        self.contacts: list[int] = [0]
        self.send(self.devices[0].file.request())

    @rule()
    @precondition(lambda self: len(self.devices) == 1)
    def it_is_copied(self) -> None:
        self.devices.append(self.devices[0].copy())
        self.returned |= {(self.devices[1], activation) for _, activation in self.returned}
        self.contacts = [0, 0]

    @rule(which=some)
    def one_contacts_the_server(self, which: int) -> None:
        device = self.device(which)
        try:
            device.contact()
        except UpdateOutOfOrder:
            pytest.fail("a contact under the policy `flag` must end well")
        self.contacts[which % len(self.devices)] += 1
        held = {license.activation_id for license in device.file.licenses()}
        assert held == {each.activation_id for each in self.vendor.contents(self.id)} - {
            activation for owner, activation in self.returned if owner is device
        }

    @invariant()
    def copies_are_found(self) -> None:
        if len(self.devices) == 2 and min(self.contacts) >= 2:
            assert self.vendor.notes()
        if len(self.devices) == 1:
            assert not self.vendor.notes()


class SetBack(World):
    """A device that is set back to a snapshot: if it was in contact since, the next contact finds it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[bytes] = set()
        self.send(self.devices[0].file.request())
        self.snapshots: list[tuple[bytes, int]] = []
        self.contacts = 0

    @rule()
    def a_snapshot_is_taken(self) -> None:
        self.snapshots.append((self.devices[0].store.data, self.contacts))

    @rule()
    def it_contacts_the_server(self) -> None:
        self.devices[0].contact()
        self.contacts += 1

    @rule(which=some)
    @precondition(lambda self: self.snapshots)
    def it_is_set_back(self, which: int) -> None:
        data, contacts = self.snapshots[which % len(self.snapshots)]
        device = self.devices[0]
        device.store.data = data
        device.open()
        self.returned = {(owner, gone) for owner, gone in self.returned if gone in state_of(device).returned}
        found = len(self.vendor.notes())
        waiting = state_of(device).request_id
        device.contact()
        if contacts < self.contacts and waiting not in self.found:  # else the post had brought its request before
            assert len(self.vendor.notes()) > found
        self.contacts += 1

    def send(self, message: bytes) -> bytes | None:
        found = len(self.vendor.notes())
        answer = super().send(message)
        if len(self.vendor.notes()) > found:
            self.found.add(messages.read_statement(message, messages.REQUEST).request_id)
        return answer


def state_of(device: Any) -> Any:
    """The device's own state."""
    return device.file._open().state


def reachable(head: bytes, chain: bytes) -> set[bytes]:
    """The states to which the updates of a file lead from this one, each applied to what it was made for."""
    heads = {head}
    for document in messages.split(chain):
        if messages.unverified_update(document).previous in heads:
            heads.add(messages.head_of(document))
    return heads - {head}


MODELS = [Honest, Copies, SetBack]


def check(model: type[World], examples: int, steps: int) -> None:
    """Run a model."""
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        model,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, suppress_health_check=[*HealthCheck], deadline=None
        ),
    )


@pytest.mark.parametrize("model", MODELS)
def test_the_model_holds(model: type[World]) -> None:
    """Whatever is lost, repeated, late, stopped or copied: the invariants of the model hold."""
    check(model, 15, 30)


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_the_model_holds_for_long(model: type[World]) -> None:
    """The same, with many and long stories."""
    check(model, 150, 50)


def test_a_copy_with_a_waiting_request_is_served_once() -> None:
    """Two copies of a request that waits get one answer; from then on only one of them goes on unseen."""
    vendor = lab.Vendor()
    first = lab.Device(vendor)
    request = first.file.request()
    answer = vendor.activate(request, vendor.license())
    second = first.copy()
    assert second.file.request() is not None
    vendor.contact(first.file.apply(answer))
    second.file.apply(answer)
    assert first.contact()
    assert vendor.notes() == []
    assert second.contact()
    assert len(vendor.notes()) == 1
    with pytest.raises(NotFound):
        first.file.give_back("act-unknown")


@pytest.mark.parametrize("policy", ["grace", "invalidate"])
def test_a_refusal_changes_nothing_on_the_device(policy: str) -> None:
    """A copy that is refused keeps its file as it was, and may be told so as often as it asks."""
    vendor = lab.Vendor(on_fork=policy, grace_days=1)
    first = lab.machine(vendor)
    second = first.copy()
    assert first.contact()
    if policy == "grace":
        assert second.contact()
        vendor.clock.seconds += lab.DAY
        assert first.copy().file.request()
        second = first
    before = None
    for _ in range(3):
        with pytest.raises(ForkDetected):
            second.contact()
        assert before in (None, second.store.data)
        before = second.store.data
