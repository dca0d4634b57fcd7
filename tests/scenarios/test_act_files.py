"""Use cases 1 and 5: license files on machines, activated, changed, moved, lost, restored, copied and set back."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sites

from licentia.client.actfile import ActFile, Shelf
from licentia.contract import BY_NAME, parse
from licentia.errors import (
    BindingMismatch,
    Conflict,
    ContainerUnknown,
    DocumentInvalid,
    FeatureNotLicensed,
    ForkDetected,
    InvalidRequest,
    LicenseExpired,
    MaintenanceEnded,
    NotLicensed,
    TicketExhausted,
    UnitsExhausted,
    UpdateOutOfOrder,
    UpdateRequired,
)
from licentia.services.identity import ANYONE

DAY, FEATURES, Machine, site_at, text = sites.DAY, sites.FEATURES, sites.Machine, sites.site_at, sites.text


async def sell(desk: Any, number: str = "1", **terms: Any) -> str:
    """Sell one unit of `cad`; the ticket."""
    await desk.product("cad", **terms)
    return str((await desk.order(number)).ticket)


async def test_a_license_goes_to_a_machine_by_files(desk: Any, tmp_path: Path) -> None:
    """Request, update, receipt: the license works there, offline, and the server knows it once the receipt is back."""
    site = await site_at(desk, tmp_path / "pc")
    ticket = await sell(
        desk, quantity=3, features=["pro"], protected_data="shader=7", maintenance_until="2026-12-31T00:00:00Z"
    )
    activation = await desk("ActivateTicket", code=ticket, container=site.request())
    assert activation.state == "delivered"
    assert activation.delivery.filename.endswith(".update")
    site.refused(NotLicensed)
    receipt = site.take(activation)
    held = site.may(feature="pro", release_date=datetime(2026, 6, 1, tzinfo=UTC))
    assert (held.quantity, held.data, held.expires_at) == (3, "shader=7", None)
    site.refused(FeatureNotLicensed, feature="max")
    site.refused(MaintenanceEnded, release_date=datetime(2027, 1, 1, tzinfo=UTC))
    assert (await desk("GetActivation", activation_id=activation.activation_id)).state == "delivered"
    for _ in range(2):
        confirmed = await desk("ConfirmActivation", activation_id=activation.activation_id, receipt=receipt)
        assert confirmed.state == "confirmed"
    shown = await desk("GetTicket", code=ticket)
    assert (shown.licenses[0].available, shown.licenses[0].container_id) == (0, activation.container_id)


async def test_the_same_request_gets_the_same_answer(small_desk: Any, tmp_path: Path) -> None:
    """An answer that was lost is asked for again by the same request, without a second activation."""
    site = await site_at(small_desk, tmp_path / "pc")
    ticket = await sell(small_desk)
    first = await small_desk("ActivateTicket", code=ticket, container=site.request())
    again = await small_desk("ActivateTicket", code=ticket, container=site.request())
    assert (again.activation_id, again.delivery) == (first.activation_id, first.delivery)
    site.take(again)
    site.may()
    other = await site_at(small_desk, tmp_path / "other")
    await small_desk.refused(TicketExhausted, "ActivateTicket", code=ticket, container=other.request())


async def test_two_tickets_by_one_request_come_as_one_chain(desk: Any, tmp_path: Path) -> None:
    """A request that was answered once may get more; what was pending is delivered with it, in order."""
    site = await site_at(desk, tmp_path / "pc")
    cad = await sell(desk)
    await desk.product("cam")
    cam = (await desk.order("2", ("1", "cam", 2))).ticket
    request = site.request()
    first = await desk("ActivateTicket", code=cad, container=request)
    second = await desk("ActivateTicket", code=cam, container=request)
    assert base64.b64decode(second.delivery.content).startswith(base64.b64decode(first.delivery.content))
    site.take(second)
    assert site.may("cam").quantity == 2
    site.may("cad")
    with pytest.raises(UpdateOutOfOrder):
        site.take(first)
    with pytest.raises(UpdateOutOfOrder):
        site.take(second)


async def test_a_file_opens_on_its_machine_only(small_desk: Any, tmp_path: Path) -> None:
    """Within the tolerance parts may be exchanged; beyond it, or elsewhere, nothing opens, and the reason is told."""
    site = await site_at(small_desk, tmp_path / "pc")
    await site.activate(await sell(small_desk))
    site.machine.change(mac="00:1b:21:00:00:07", cpu="genuineintel core i9-9900")
    site.may()
    site.machine.change(machine_id="ffffffffffffffffffffffffffffffff", fs_uuid=None)
    site.may()
    site.machine.change(smbios_uuid="11111111-2222-3333-4444-555555555555", board_serial="bs-9")
    refusal = site.refused(BindingMismatch)
    changed = {problem.pointer.rpartition("/")[2] for problem in refusal.problems}
    assert changed >= {"smbios_uuid", "board_serial", "mac", "machine_id"}
    assert "disk_serial" not in changed
    site.machine.change(**FEATURES)
    site.may()
    thief = site.copy("thief")
    sibling = {"smbios_uuid": "99999999-2222-3333-4444-555555555555", "board_serial": "bs-2", "sys_serial": "x"}
    thief.machine = Machine(**sibling, mac="00:1b:21:00:00:99")
    thief.refused(BindingMismatch)


async def test_a_machine_that_drifted_is_bound_anew_at_its_contact(small_desk: Any, tmp_path: Path) -> None:
    """After a contact the exchanged parts are the known ones, so the next exchange has the whole tolerance again."""
    site = await site_at(small_desk, tmp_path / "pc")
    await site.activate(await sell(small_desk))
    site.machine.change(mac="00:1b:21:00:00:07", disk_serial="new", fs_uuid="new", cpu="new")
    site.may()
    assert await site.contact()
    site.machine.change(machine_id="changed", sys_serial="changed")
    site.may()


async def test_a_change_of_the_vendor_arrives_at_the_next_contact(small_desk: Any, tmp_path: Path) -> None:
    """Several changes come as one chain; until then the license is as it was."""
    site = await site_at(small_desk, tmp_path / "pc")
    activation = await site.activate(await sell(small_desk, expires_at="2026-12-01T00:00:00Z"))
    license_id = activation.licenses[0].license_id
    change = {"license_id": license_id, "reason": "renewed"}
    told = await small_desk("ChangeLicense", **change, expires_at="2027-12-01T00:00:00Z")
    assert told.updates_pending == 1
    await small_desk("ChangeLicense", **change, features=["pro"])
    site.days = 30
    site.refused(LicenseExpired)
    site.days = 0
    assert await site.contact()
    site.days = 30
    assert site.may(feature="pro").expires_at == datetime(2027, 12, 1, tzinfo=UTC)


async def test_a_withdrawn_license_is_gone_at_the_next_contact(desk: Any, tmp_path: Path) -> None:
    """Offline it lasts until then, or until its checkpoint."""
    site = await site_at(desk, tmp_path / "pc")
    activation = await site.activate(await sell(desk, checkpoint_days=7))
    await desk("WithdrawLicense", license_id=activation.licenses[0].license_id, reason="charged back")
    site.may()
    far = site.copy("far")
    assert await site.contact()
    site.refused(NotLicensed)
    far.days = 8
    far.refused(UpdateRequired)


async def test_a_checkpoint_wants_contact(small_desk: Any, tmp_path: Path) -> None:
    """Without contact the license lapses after its days; one contact brings it back for as long again."""
    site = await site_at(small_desk, tmp_path / "pc")
    await site.activate(await sell(small_desk, checkpoint_days=7))
    site.days = 6.9
    site.may()
    site.days = 7.1
    refusal = site.refused(UpdateRequired)
    assert "contact" in refusal.next_step
    site.days = 0
    assert await site.contact()
    site.days = 6.9
    site.may()


async def test_a_license_is_returned_with_a_receipt(desk: Any, tmp_path: Path) -> None:
    """The machine gives up the license first; with its receipt the seats are back at once."""
    site = await site_at(desk, tmp_path / "pc")
    ticket = await sell(desk)
    activation = await site.activate(ticket)
    wrong = text(site.file.receipt())
    await desk.refused(Conflict, "ReturnActivation", activation_id=activation.activation_id, receipt=wrong)
    receipt = text(site.file.give_back(activation.activation_id))
    site.refused(NotLicensed)
    for _ in range(2):
        returned = await desk("ReturnActivation", activation_id=activation.activation_id, receipt=receipt)
        assert returned.state == "returned"
    assert (await desk("GetTicket", code=ticket)).licenses[0].available == 1
    other = await site_at(desk, tmp_path / "other", Machine(smbios_uuid="other", board_serial="other"))
    await other.activate(ticket)
    other.may()


async def test_a_return_may_begin_at_the_server(small_desk: Any, tmp_path: Path) -> None:
    """Without a receipt the seats stay taken until the container has confirmed that the license is out of it."""
    site = await site_at(small_desk, tmp_path / "pc")
    ticket = await sell(small_desk)
    activation = await site.activate(ticket)
    returning = await small_desk("ReturnActivation", activation_id=activation.activation_id)
    assert (returning.state, (await small_desk("GetTicket", code=ticket)).licenses[0].available) == ("returning", 0)
    receipt = site.take(returning)
    site.refused(NotLicensed)
    assert (
        await small_desk("ConfirmActivation", activation_id=activation.activation_id, receipt=receipt)
    ).state == "returned"
    assert (await small_desk("GetTicket", code=ticket)).licenses[0].available == 1


async def test_a_license_moves_from_machine_to_machine(desk: Any, tmp_path: Path) -> None:
    """All or nothing: without the old machine's receipt nothing moves; with it, the old one has nothing any more."""
    old, new = await site_at(desk, tmp_path / "old"), await site_at(desk, tmp_path / "new", Machine(smbios_uuid="n"))
    activation = await old.activate(await sell(desk))
    move = {"activation_id": activation.activation_id, "container": new.request()}
    refusal = await desk.refused(InvalidRequest, "MoveActivation", **move)
    assert refusal.problems[0].pointer == "/receipt"
    moved = await desk("MoveActivation", **move, receipt=text(old.file.give_back(activation.activation_id)))
    assert (moved.state, moved.container_id != activation.container_id) == ("delivered", True)
    new.take(moved)
    new.may()
    old.refused(NotLicensed)
    assert await old.contact()
    old.refused(NotLicensed)


async def test_a_lost_machine_is_restored_within_the_limits(desk: Any, tmp_path: Path) -> None:
    """The vendor's number counts; the lost machine loses the license at its contact, or at its checkpoint."""
    lost, found = await site_at(desk, tmp_path / "lost"), await site_at(desk, tmp_path / "found", Machine(mac="n"))
    activation = await lost.activate(await sell(desk, checkpoint_days=7, restore_limit=1))
    restored = await desk("RestoreActivation", activation_id=activation.activation_id, container=found.request())
    assert restored.created
    found.take(restored)
    found.may()
    assert (await desk("GetActivation", activation_id=activation.activation_id)).state == "restored"
    lost.may()
    lost.days = 8
    lost.refused(UpdateRequired)
    lost.days = 0
    assert await lost.contact()
    lost.refused(NotLicensed)
    third = await site_at(desk, tmp_path / "third", Machine(mac="m"))
    again = {"activation_id": restored.activation_id, "container": third.request()}
    await desk.refused(Conflict, "RestoreActivation", **again)
    await desk("ApproveRestore", activation_id=restored.activation_id, reason="stolen")
    third.take(await desk("RestoreActivation", **again))
    third.may()


async def test_a_restore_waits_for_time_and_for_approval(desk: Any, tmp_path: Path) -> None:
    """The answer says from when on it may be repeated; an approval cuts the waiting short."""
    lost, found = await site_at(desk, tmp_path / "lost"), await site_at(desk, tmp_path / "found", Machine(mac="n"))
    activation = await lost.activate(await sell(desk, restore_wait_days=3))
    restore = {"activation_id": activation.activation_id, "container": found.request()}
    waiting = await desk("RestoreActivation", **restore)
    assert (waiting.state, waiting.created) == ("restoring", False)
    assert waiting.restorable_at - datetime.now(UTC) > timedelta(days=2.9)
    assert not (await desk("RestoreActivation", **restore)).created
    await desk.sql("UPDATE activation SET restore_asked_at = restore_asked_at - $1", 3 * DAY * 1_000_000)
    assert (await desk("RestoreActivation", **restore)).created
    ticket = await sell(desk, "2", restore_approval=True)
    strict = await lost.activate(ticket)
    restore = {"activation_id": strict.activation_id, "container": found.request()}
    waiting = await desk("RestoreActivation", **restore)
    assert (waiting.state, waiting.restorable_at) == ("restoring", None)
    await desk("ApproveRestore", activation_id=strict.activation_id, reason="called us")
    assert (await desk("RestoreActivation", **restore)).created


async def test_a_copy_is_found_at_its_contact(desk: Any, tmp_path: Path) -> None:
    """Of two copies of one container the second to contact is flagged; both go on, as the default policy says."""
    site = await site_at(desk, tmp_path / "vm")
    await site.activate(await sell(desk))
    clone = site.copy("clone")
    assert await site.contact()
    assert await clone.contact()
    assert "container.forked" in await desk.kinds()
    (known,) = (await desk("ListContainers")).containers
    facts = {fact.name: fact.value for fact in known.facts}
    assert (facts["state"], facts["copies_found"]) == ("copied", "1")
    assert await site.contact()
    site.may()
    clone.may()
    reinstated = await desk("ReinstateContainer", container_id=known.container_id, reason="one was deleted")
    assert {fact.name: fact.value for fact in reinstated.facts}["state"] == "good"


async def test_a_container_set_back_is_refused_where_the_vendor_wants(
    open_desk: Callable[..., Any], tmp_path: Path
) -> None:
    """With `invalidate` neither the copy nor the original is served any more, until the vendor reinstates it."""
    desk = await open_desk(container={"act-file": {"on_fork": "invalidate"}})
    site = await site_at(desk, tmp_path / "vm")
    await site.activate(await sell(desk, checkpoint_days=7))
    snapshot = site.copy("snapshot")
    assert await site.contact()
    for copy in (snapshot, snapshot, site):
        with pytest.raises(ForkDetected):
            await copy.contact()
    site.may()
    site.days = 8
    site.refused(UpdateRequired)
    site.days = 0
    (known,) = (await desk("ListContainers", kind="act-file")).containers
    await desk("ReinstateContainer", container_id=known.container_id, reason="restored from a backup")
    assert await site.contact()


async def test_a_copy_has_its_grace(open_desk: Callable[..., Any], tmp_path: Path) -> None:
    """With `grace` a copy is served for some days, so that a restored backup is no emergency; then it is refused."""
    desk = await open_desk(container={"act-file": {"on_fork": "grace", "grace_days": 14}})
    site = await site_at(desk, tmp_path / "vm")
    await site.activate(await sell(desk))
    clone = site.copy("clone")
    assert await site.contact()
    assert await clone.contact()
    assert await site.contact()
    assert (await desk.kinds()).count("container.forked") == 2


async def test_a_contact_that_is_repeated_is_no_copy(small_desk: Any, tmp_path: Path) -> None:
    """Lost answers and receipts, and requests that were sent twice, are never taken for a copy."""
    site = await site_at(small_desk, tmp_path / "pc")
    await site.activate(await sell(small_desk))
    operation = BY_NAME["ContactContainer"]
    for _ in range(3):
        call = parse(operation, {"kind": "act-file", "message": text(site.file.request())})
        lost = await small_desk.application.call(operation, call, ANYONE("192.0.2.9"))
        assert lost.delivery is not None
    site.take(lost)
    for _ in range(2):
        assert await site.contact()
    assert "container.forked" not in await small_desk.kinds()


async def test_units_are_consumed_offline(desk: Any, tmp_path: Path) -> None:
    """They leave the license with the activation; what was not used comes back with it."""
    site = await site_at(desk, tmp_path / "pc")
    ticket = await sell(desk, units=100)
    activation = await site.activate(ticket)
    assert site.file.consume("cad", 30, request_id="a") == 70
    assert site.file.consume("cad", 30, request_id="a") == 70
    with pytest.raises(UnitsExhausted):
        site.file.consume("cad", 71, request_id="b")
    assert (await desk("GetTicket", code=ticket)).licenses[0].units_remaining == 0
    assert await site.contact()
    assert site.file.consume("cad", 20, request_id="c") == 50
    receipt = text(site.file.give_back(activation.activation_id))
    await desk("ReturnActivation", activation_id=activation.activation_id, receipt=receipt)
    assert (await desk("GetTicket", code=ticket)).licenses[0].units_remaining == 50


async def test_a_usage_period_begins_with_the_first_use(small_desk: Any, tmp_path: Path) -> None:
    """It ends after its days also offline, and the server learns of its beginning at the next contact."""
    site = await site_at(small_desk, tmp_path / "pc")
    activation = await site.activate(await sell(small_desk, usage_period_days=10))
    assert site.file.licenses()[0].expires_at is None
    assert site.may().expires_at is not None
    assert await site.contact()
    shown = await small_desk("GetActivation", activation_id=activation.activation_id)
    assert shown.licenses[0].expires_at is not None
    site.days = 10.1
    site.refused(LicenseExpired)


async def test_a_clock_that_is_set_back_gains_nothing(small_desk: Any, tmp_path: Path) -> None:
    """Time goes on from the latest that was known; a clock that is a day off is no reason for alarm."""
    site = await site_at(small_desk, tmp_path / "pc")
    soon = datetime.now(UTC) + timedelta(days=20)
    await site.activate(await sell(small_desk, expires_at=soon.isoformat()))
    for days in (0, 5, 19.9):
        site.days = days
        site.may()
    site.days = 21
    site.refused(LicenseExpired)
    site.days = 19
    site.may()
    site.days = -400
    site.may()
    assert site.file.licenses()[0].expires_at is not None


async def test_licenses_of_two_vendors_lie_in_one_folder(
    open_desk: Callable[..., Any], tmp_path: Path, data: Path
) -> None:
    """Each application sees those of its own vendor, whoever else has put a file there."""
    acme = await open_desk()
    site = await site_at(acme, tmp_path / "shelf")
    await site.activate(await sell(acme))
    from licentia.services.application import Application
    from licentia.settings import Settings

    other = await Application.open(Settings(data=data.with_name("other-vendor")))
    try:
        theirs = await other.call(BY_NAME["GetKeyManifest"], parse(BY_NAME["GetKeyManifest"], {}), ANYONE("192.0.2.9"))
        trust = base64.b64decode(theirs.content)  # type: ignore[union-attr]
        foreign = ActFile(site.folder / "other.act", trust=trust, half=site.halves.__getitem__)
        foreign.create(["physical"])
        shelf = Shelf(site.folder, trust=site.trust, half=site.halves.__getitem__)
        assert [license.product_code for license in shelf.licenses()] == ["cad"]
        assert shelf.require("cad").quantity == 1
        with pytest.raises(NotLicensed):
            Shelf(site.folder, trust=trust, half=site.halves.__getitem__).require("cad")
        with pytest.raises(DocumentInvalid):
            ActFile(site.folder / "cad.act", trust=trust, half=site.halves.__getitem__).licenses()
    finally:
        await other.close()


async def test_a_stranger_cannot_fill_the_database(small_desk: Any, tmp_path: Path) -> None:
    """A container into which nothing was activated is not known, however often it asks."""
    site = await site_at(small_desk, tmp_path / "pc")
    with pytest.raises(ContainerUnknown):
        await site.contact()
    assert await small_desk.sql("SELECT * FROM container_state") == []
