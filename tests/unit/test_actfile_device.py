"""An act-file on its machine: made, asked with, updated, used, given back, contacted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import exchange_lab as lab
import pytest

from licentia.client.actfile.file import REQUESTS_KEPT
from licentia.client.faults import Unreachable
from licentia.errors import (
    BindingMismatch,
    Conflict,
    ContainerUnknown,
    DocumentInvalid,
    FeatureNotLicensed,
    LicenseExpired,
    NotFound,
    NotLicensed,
    UnitsExhausted,
    UpdateOutOfOrder,
)
from licentia.exchange import messages


def until(days: float) -> datetime:
    """An end, so many days from the beginning."""
    return datetime.fromtimestamp(lab.START + days * lab.DAY, UTC)


def test_it_is_made_once() -> None:
    """Making a container again leaves it as it is; one for other bindings is a conflict."""
    device = lab.Device(lab.Vendor())
    made, data = device.file.id, device.store.data
    assert device.file.create(["none"]) == made
    assert device.store.data == data
    assert device.file.create(["none", "none"]) == made
    with pytest.raises(Conflict, match="bound by none"):
        device.file.create(["place"])


def test_without_a_file_there_is_no_container() -> None:
    """Everything but making one says that there is none, and how one is made."""
    device = lab.Device(lab.Vendor(), store=lab.MemoryStore())
    for call in (device.file.request, device.file.receipt, device.file.licenses, lambda: device.file.id):
        with pytest.raises(ContainerUnknown) as refusal:
            call()
        assert "container new" in refusal.value.next_step


def test_it_holds_nothing_at_first() -> None:
    """An empty container has no license, and says so."""
    device = lab.Device(lab.Vendor())
    assert device.file.licenses() == []
    with pytest.raises(NotLicensed):
        device.file.require("cad")
    with pytest.raises(NotFound):
        device.file.give_back("act-1")


def test_a_request_stays_until_it_is_answered() -> None:
    """It has one id until an update answers it, whenever it is made; then it is another one."""
    device = lab.machine()
    first = messages.read_statement(device.file.request(), messages.REQUEST)
    device.clock.seconds += 99
    again = messages.read_statement(device.open().request(), messages.REQUEST)
    assert (again.request_id, again.at) == (first.request_id, first.at + 99)
    device.contact()
    assert messages.read_statement(device.file.request(), messages.REQUEST).request_id != first.request_id


def test_it_can_give_up_a_request() -> None:
    """Only if it is told to."""
    device = lab.Device(lab.Vendor())
    first = messages.read_statement(device.file.request(), messages.REQUEST)
    anew = messages.read_statement(device.file.request(anew=True), messages.REQUEST)
    assert anew.request_id != first.request_id


def test_a_later_update_of_the_answer_answers_too() -> None:
    """A file that begins with the answer and goes on with a later update ends the request, and sets the time right."""
    vendor = lab.Vendor()
    device = lab.machine(vendor)
    request = device.file.request()
    vendor.clock.seconds += 50
    vendor.contact(request)
    vendor.put(device.file.id, vendor.license("more"))
    answer = vendor.contact(request)
    assert len(messages.split(answer)) == 2
    device.file.apply(answer)
    state = device.file._open().state
    assert (state.request_id, state.last_contact) == (None, lab.START + 50)


def test_contents_are_replaced() -> None:
    """An update says what the container holds from now on, all of it."""
    vendor = lab.Vendor()
    device = lab.machine(vendor)
    device.file.apply(vendor.put(device.file.id, vendor.license("more")))
    assert device.codes() == ["cad", "more"]
    device.file.apply(vendor.withdraw(device.file.id, "act-1"))
    assert device.codes() == ["more"]


def test_the_license_that_ends_first_is_used() -> None:
    """Of several for one product, the one that ends first and allows it; else the refusal of the first is told."""
    vendor = lab.Vendor()
    device = lab.machine(vendor, valid_until=until(10))
    pro = {"features": ["pro"]}
    more = vendor.license(valid_until=until(5)), vendor.license(valid_until=until(20), terms=pro)
    device.file.apply(vendor.put(device.file.id, *more))
    assert device.file.require("cad").expires_at == until(5)
    assert device.file.require("cad", feature="pro").expires_at == until(20)
    with pytest.raises(FeatureNotLicensed):
        device.file.require("cad", feature="max")
    device.clock.seconds += 7 * lab.DAY
    assert device.file.require("cad").expires_at == until(10)
    device.clock.seconds += 20 * lab.DAY
    with pytest.raises(LicenseExpired):
        device.file.require("cad")


def test_the_first_use_begins_the_period() -> None:
    """A usage period begins when the license is used, not when it is looked at, and outlives restarts and updates."""
    vendor = lab.Vendor()
    device = lab.machine(vendor, terms={"usage_period_days": 3})
    device.clock.seconds += 100 * lab.DAY
    vendor.clock.seconds = device.clock.seconds
    assert device.file.licenses()[0].expires_at == lab.END
    device.file.require("cad")
    device.clock.seconds += lab.DAY
    device.contact()
    assert device.open().licenses()[0].expires_at == until(103)
    device.clock.seconds += 2 * lab.DAY
    with pytest.raises(LicenseExpired):
        device.file.require("cad")


def test_units_are_consumed_once_per_request() -> None:
    """The same request id takes nothing twice, also after a restart and an update; the server learns what was used."""
    vendor = lab.Vendor()
    device = lab.machine(vendor, units={"": 100, "pages": 3})
    assert device.file.consume("cad", 30, request_id="a") == 70
    assert device.file.consume("cad", 30, request_id="b") == 40
    device.contact()
    assert device.open().consume("cad", 30, request_id="a") == 70
    assert device.file.licenses()[0].units == {"": 40, "pages": 3}
    assert device.file.consume("cad", 3, request_id="c", meter="pages") == 0
    with pytest.raises(UnitsExhausted):
        device.file.consume("cad", 41, request_id="d")
    with pytest.raises(ValueError, match="one or more"):
        device.file.consume("cad", 0, request_id="e")
    with pytest.raises(NotLicensed):
        device.file.consume("cam", 1, request_id="f")
    told = messages.read_statement(device.file.receipt(), messages.RECEIPT)
    assert told.used[0].units == {"": 60, "pages": 3}


def test_what_is_remembered_of_consumptions_is_bounded() -> None:
    """The newest request ids are remembered; the file does not grow for ever."""
    device = lab.machine(units={"": 10**6})
    opened = device.file._open()
    many = {f"{number}": number for number in range(REQUESTS_KEPT)}
    device.file._save_state(opened, lab.replaced(opened.state, consumed=many))
    device.file.consume("cad", 1, request_id="new")
    kept = device.file._open().state.consumed
    assert len(kept) == REQUESTS_KEPT
    assert "new" in kept
    assert "0" not in kept


def test_what_was_given_back_is_gone() -> None:
    """From that moment it cannot be used; the receipt may be made again, and updates do not bring it back."""
    vendor = lab.Vendor()
    device = lab.machine(vendor)
    early = vendor.put(device.file.id, vendor.license("more"))
    receipt = device.file.give_back("act-1")
    assert device.codes() == []
    with pytest.raises(NotLicensed):
        device.open().require("cad")
    device.file.apply(early)
    assert device.codes() == ["more"]
    again = messages.read_statement(device.file.give_back("act-1"), messages.RECEIPT)
    assert again.returned == messages.read_statement(receipt, messages.RECEIPT).returned == ("act-1",)
    vendor.contact(device.file.receipt())
    assert [each.activation_id for each in vendor.contents(device.file.id)] == ["act-2"]
    device.contact()
    assert device.codes() == ["more"]
    assert device.file._open().state.returned == ()


def test_several_that_were_given_back_are_gone() -> None:
    """Two returns that the server learns of by one request leave a container that goes on."""
    vendor = lab.Vendor()
    device = lab.machine(vendor)
    device.file.apply(vendor.put(device.file.id, vendor.license("b"), vendor.license("c")))
    device.file.give_back("act-1")
    device.file.give_back("act-2")
    assert device.contact()
    assert device.codes() == ["c"]
    assert device.contact()


def test_it_opens_on_its_machine_only() -> None:
    """Elsewhere nothing opens, neither the licenses nor a request; back home everything does."""
    vendor = lab.Vendor(bindings=["place"])
    device = lab.machine(vendor, "place")
    device.place.name = "there"
    for call in (device.file.licenses, device.file.request, lambda: device.file.require("cad")):
        with pytest.raises(BindingMismatch):
            call()
    device.place.name = "here"
    assert device.codes() == ["cad"]


def test_an_update_for_another_machine_is_not_taken() -> None:
    """If the machine changed while the answer was on its way, the container stays as it was."""
    vendor = lab.Vendor(bindings=["place"])
    device = lab.machine(vendor, "place")
    answer = vendor.contact(device.file.request())
    before = device.store.data
    device.place.name = "there"
    with pytest.raises(BindingMismatch):
        device.file.apply(answer)
    assert device.store.data == before


# --- contact --------------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", ["request", "answer", "receipt"])
def test_a_contact_that_fails_is_repeated(lost: str) -> None:
    """Whatever is lost, contact may simply be tried again, and no copy is seen."""
    vendor = lab.Vendor()
    device = lab.machine(vendor)
    vendor.put(device.file.id, vendor.license("more"))
    sent: list[bytes] = []

    def send(message: bytes) -> Any:
        sent.append(message)
        if lost == "request":
            raise Unreachable("lost", "try again")
        answer = None if lost == "receipt" and len(sent) == 2 else vendor.contact(message)
        if lost == "answer" or (lost == "receipt" and len(sent) == 2):
            raise Unreachable("lost", "try again")
        return answer

    if lost == "receipt":
        assert device.file.contact(send)
    else:
        with pytest.raises(Unreachable):
            device.file.contact(send)
    assert device.contact()
    assert device.codes() == ["cad", "more"]
    assert vendor.notes() == []


def test_two_processes_may_contact_at_once() -> None:
    """The one whose answer the other has taken has taken it too."""
    vendor = lab.Vendor()
    device = lab.machine(vendor)
    other = lab.Device(vendor, store=device.store)

    def slow(message: bytes) -> Any:
        answer = vendor.contact(message)
        if answer is not None:
            assert other.contact()
        return answer

    assert device.file.contact(slow)
    assert vendor.notes() == []


def test_a_process_with_an_old_request_does_not_ask_anew() -> None:
    """If its request was answered to another process while it waited to send it, it goes on with the present one."""
    vendor = lab.Vendor()
    device = lab.machine(vendor)
    other = lab.Device(vendor, store=device.store)
    left = 3

    def late(message: bytes) -> Any:
        nonlocal left
        left -= 1
        if left >= 0:
            assert other.contact()
            if left:
                other.file.request()
        return vendor.contact(message)

    assert device.file.contact(late)
    assert left < -1
    assert vendor.notes() == []


def test_an_answer_that_does_not_fit_is_not_hidden() -> None:
    """If the server sends what does not follow, contact says so, and the request still waits."""
    vendor = lab.Vendor()
    device = lab.machine(vendor)
    old = vendor.put(device.file.id, vendor.license("more"))
    device.file.apply(old)
    waiting = device.file.request()
    with pytest.raises(UpdateOutOfOrder):
        device.file.contact(lambda message: old)
    with pytest.raises(DocumentInvalid):
        device.file.contact(lambda message: b"<html>")
    again = messages.read_statement(device.file.request(), messages.REQUEST)
    assert again.request_id == messages.read_statement(waiting, messages.REQUEST).request_id


def test_nothing_new_is_no_error() -> None:
    """A server that answers nothing leaves everything as it is."""
    assert lab.machine().file.contact(lambda message: None) is False


@pytest.mark.parametrize("step", range(4))
@pytest.mark.parametrize("what", ["request", "apply", "give back", "consume"])
def test_stopped_between_two_writes(what: str, step: int) -> None:
    """Stopped at any step of writing, the file is the old one or the new one, and the same call ends well."""
    vendor = lab.Vendor()
    device = lab.machine(vendor, units={"": 10})
    answer = vendor.put(device.file.id, vendor.license("more"))
    calls = {
        "request": device.file.request,
        "apply": lambda: device.file.apply(answer),
        "give back": lambda: device.file.give_back("act-1"),
        "consume": lambda: device.file.consume("cad", 1, request_id="once"),
    }
    device.store.stop_at = step
    try:
        calls[what]()
    except lab.Stopped:
        assert step < 6
    device.store.stop_at = -1
    device.open()
    try:
        calls[what]()
    except UpdateOutOfOrder:
        assert what == "apply"
        assert device.codes() == ["cad", "more"]
    assert device.contact()
    assert vendor.notes() == []
    assert device.file._open().state.used == () or device.file.licenses()[0].units == {"": 9}
