"""The connector with a real Tryton: what people in the office do is found, and what came of it is shown to them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from connector_lab import Walk

from licentia.connectors import Change, Outcome
from licentia.errors import Unavailable
from licentia_integrations.tryton import Tryton

pytestmark = pytest.mark.slow
TICKET = "7GJDG-J8HPG-QX2MN-4TRWB-9KVCS"


@pytest.fixture
def poll(tryton: Tryton) -> Walk:
    """Polls from the beginning on."""
    return Walk(tryton)


def told(change: Change) -> tuple[str, str, dict[str, int], str | None]:
    """The kind, the number, the quantities by article, and the origin."""
    return change.kind, change.order_number, {line.sku: int(line.quantity) for line in change.lines}, change.origin


async def test_a_sale_is_placed_when_it_is_confirmed(office: Any, poll: Walk) -> None:
    """With its customer, and without a comment among the lines; once, and no draft, quotation or numberless one."""
    office.cancel_draft()
    office.quote_only("CAD")
    number = office.sell({"CAD": 5, "MAINT": 1}, "", "Thank you")
    (change,) = await poll()
    assert told(change) == ("placed", number, {"CAD": 5, "MAINT": 1}, None)
    assert change.full_snapshot
    assert change.customer is not None
    assert (change.customer.name, change.customer.email) == ("Acme GmbH", "buyer@acme.example")
    assert await poll() == []


async def test_a_dozen_is_sold_as_twelve(office: Any, poll: Walk) -> None:
    """In Tryton's own unit of measure."""
    number = office.sell({"CAD": 2}, "Dozen")
    assert told((await poll())[0]) == ("placed", number, {"CAD": 24}, None)


async def test_an_amendment_changes_the_same_sale(office: Any, poll: Walk) -> None:
    """Its line keeps its id, and its version has grown."""
    number = office.sell({"CAD": 5})
    (before,) = await poll()
    office.amend(number, "CAD", 8)
    (after,) = await poll()
    assert told(after) == ("changed", number, {"CAD": 8}, None)
    assert after.full_snapshot
    assert after.lines[0].line_id == before.lines[0].line_id
    assert after.version > before.version


async def test_a_return_names_its_sale(office: Any, poll: Walk) -> None:
    """Made by Tryton's own wizard: another sale with negative quantities."""
    number = office.sell({"CAD": 5, "MAINT": 5})
    await poll()
    back = office.give_back(number, "CAD", 2)
    changes = await poll()
    assert told(changes[-1]) == ("returned", back, {"CAD": 2}, number)
    assert [change.order_number for change in changes[:-1]] == [number]


async def test_a_complaint_ends_in_a_return_of_its_sale(office: Any, poll: Walk) -> None:
    """Though the return names the complaint, and the complaint a line."""
    number = office.sell({"CAD": 5})
    await poll()
    back = office.complain(number, "CAD", 1)
    assert told((await poll())[-1]) == ("returned", back, {"CAD": 1}, number)


async def test_a_sale_is_cancelled(office: Any, poll: Walk) -> None:
    """From a quotation; one that is confirmed but not processed goes back there first."""
    number = office.quote_only("CAD")
    assert await poll() == []
    assert office.press("sale.sale", number, "cancel") == "cancelled"
    (change,) = await poll()
    assert (change.kind, change.order_number) == ("cancelled", number)


async def test_a_subscription_runs_and_is_told(office: Any, poll: Walk, tryton: Tryton) -> None:
    """By a number that no sale has, with the article of its service."""
    number = office.subscribe(3)
    assert [told(each) for each in await poll()] == [("placed", f"subscription/{number}", {"MAINT": 3}, None)]
    await tryton.write_back(Outcome(order_number=f"subscription/{number}", ticket=TICKET))
    assert TICKET in office.notes("sale.subscription", number)[0]["message"]
    office.press("sale.subscription", number, "draft", "cancel")
    assert [(each.kind, each.order_number) for each in await poll()] == [("cancelled", f"subscription/{number}")]


async def test_a_line_that_a_script_writes_is_found(office: Any, poll: Walk) -> None:
    """Though the time of the sale stands still."""
    number = office.sell({"CAD": 5})
    (before,) = await poll()
    office.script_line(number, 6)
    (after,) = await poll()
    assert told(after) == ("placed", number, {"CAD": 6}, None)
    assert after.version > before.version


async def test_what_came_of_it_stands_in_a_note(office: Any, poll: Walk, tryton: Tryton) -> None:
    """Unread until somebody looks, each once, and no change that the poll would find; people's notes stay."""
    number = office.sell({"CAD": 5})
    office.note(number, "Call them on Monday.")
    await poll()
    before = office.times(number)
    await tryton.write_back(Outcome(order_number=number, problem="The article CAD is not known."))
    for _ in range(2):
        await tryton.write_back(Outcome(order_number=number, ticket=TICKET))
    notes = {each["message"]: each["unread"] for each in office.notes("sale.sale", number)}
    ours = ["Waits: The article CAD is not known.", f"Ticket: {TICKET}"]
    assert sorted(notes) == sorted(["Call them on Monday.", *(f"[licentia tryton] {words}" for words in ours)])
    assert notes[f"[licentia tryton] Ticket: {TICKET}"]
    assert len(office.notes("sale.sale", number)) == 3
    assert office.times(number) == before
    assert await poll() == []


async def test_a_key_that_is_not_let_in_yet_or_wrong_is_told(settings: dict[str, Any], office: Any) -> None:
    """In words that help, and without the key."""
    connector = Tryton("tryton", settings | {"api": settings["api"] | {"password": "f" * 128}})
    with pytest.raises(Unavailable, match="does not accept the key") as refusal:
        await connector.poll("")
    assert "ffff" not in str(refusal.value)
    await connector.close()


async def test_a_user_without_rights_is_told(
    database: str, settings: dict[str, Any], office: Any, key_for: Any
) -> None:
    """With what Tryton says is missing."""
    connector = Tryton("tryton", settings | {"api": {"url": database, "password": key_for("nobody")}})
    with pytest.raises(Unavailable, match="not allowed to access"):
        await connector.poll("")
    await connector.close()


@pytest.mark.parametrize("wrong", ["no-such-database", "settings"])
async def test_an_address_without_tryton_is_told(tryton_server: Any, settings: dict[str, Any], wrong: str) -> None:
    """A database that is not there."""
    connector = Tryton("tryton", settings | {"api": settings["api"] | {"url": f"{tryton_server.url}/{wrong}"}})
    with pytest.raises(Unavailable):
        await connector.fetch("sale.sale/1")
    await connector.close()


async def test_tryton_may_be_down_for_a_while(tmp_path: Path, own_tryton: Any) -> None:
    """What waits is told then, and nothing was lost."""
    server, office, settings = own_tryton(tmp_path)
    connector = Tryton("tryton", settings)
    poll, number = Walk(connector), office.sell({"CAD": 5})
    await poll()
    office.amend(number, "CAD", 8)
    server.stop()
    outcome = Outcome(order_number=number, ticket=TICKET)
    for call in (connector.poll(poll.cursor), connector.fetch(f"sale.sale/{number}"), connector.write_back(outcome)):
        with pytest.raises(Unavailable, match="cannot be reached"):
            await call
    server.start()
    assert told((await poll())[0]) == ("changed", number, {"CAD": 8}, None)
    await connector.write_back(outcome)
    assert TICKET in office.notes("sale.sale", number)[0]["message"]
    await connector.close()


async def test_the_doorbell_rings_for_what_matters(office: Any, doorbell: Any, tryton: Tryton) -> None:
    """Signed: for a confirmation, an amendment, a return, a cancellation and a subscription, and for nothing else."""
    number = office.sell({"CAD": 5})
    assert await _heard(tryton, doorbell) == [("placed", number)]
    office.amend(number, "CAD", 8)
    assert await _heard(tryton, doorbell) == [("changed", number)]
    back = office.give_back(number, "CAD", 2)
    assert await _heard(tryton, doorbell) == [("changed", number), ("returned", back)]
    office.press("sale.sale", other := office.quote_only("CAD"), "cancel")
    assert await _heard(tryton, doorbell) == [("cancelled", other)]
    subscription = office.subscribe(1)
    assert await _heard(tryton, doorbell) == [("placed", f"subscription/{subscription}")]
    office.note(number, "Nothing that matters.")
    assert await _heard(tryton, doorbell) == []


async def _heard(tryton: Tryton, doorbell: Any) -> list[tuple[str, str]]:
    """What the rings since the last time mean, each once."""
    meant: dict[tuple[str, str], None] = {}
    rung, doorbell.requests = doorbell.rung, []
    assert len({delivery.headers["webhook-id"] for delivery in rung}) == len(rung)
    for delivery in rung:
        await tryton.authenticate(delivery)
        (change,) = tryton.normalise(delivery)
        for fetched in await tryton.fetch(change.pointer or ""):
            meant |= {(each.kind, each.order_number): None for each in tryton.normalise(fetched)}
    return [*meant]


@pytest.mark.parametrize("status", [500, 307])
def test_who_does_not_take_the_ring_breaks_no_sale(office: Any, doorbell: Any, tryton_server: Any, status: int) -> None:
    """The sale is confirmed, the log says so, and nobody is sent elsewhere."""
    doorbell.status = status
    number = office.sell({"CAD": 5})
    assert office.press("sale.sale", number) == "processing"
    assert {delivery.url for delivery in doorbell.rung} == {"/connectors/tryton"}
    assert f"was not told of sale.sale {number}" in tryton_server.log()


def test_who_does_not_answer_holds_no_sale_up(office: Any, doorbell: Any) -> None:
    """Longer than three seconds, beside what a sale takes on this machine."""
    started = time.monotonic()
    office.sell({"CAD": 5})
    usual = time.monotonic() - started
    doorbell.wait.clear()
    started = time.monotonic()
    number = office.sell({"CAD": 5})
    assert time.monotonic() - started < 4 + 4 * usual
    assert office.press("sale.sale", number) == "processing"


def test_a_change_that_is_rolled_back_does_not_ring(office: Any, tryton_server: Any, database: str) -> None:
    """The ring is a task in the same transaction."""
    number = office.quote_only("CAD")
    name = database.rpartition("/")[2]
    assert office.rolled_back(str(tryton_server.folder / "trytond.conf"), name, number) == [1, 0]
