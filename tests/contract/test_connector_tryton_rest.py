"""What the connector of Tryton asks of its REST interface, finds by polling it, and writes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import date
from typing import Any

import connector_lab as lab
import msgspec
import pytest
from tryton_erp import START, moment, sale

from licentia.connectors import Outcome
from licentia.errors import InvalidRequest, Unavailable
from licentia_integrations.tryton import Tryton

Connect = Callable[..., Tryton]


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        ((400, '{"status": 400, "message": "You are not allowed to access \\"Sale\\".", "description": ""}'), "Sale"),
        ((404, "<p>Not Found</p>"), "no such database"),
        ((500, "<p>sale.subscription</p>"), "status 500"),
        ((503, ""), "status 503"),
        ((307, ""), "status 307"),
        ((200, "<html>the login page of a proxy</html>"), "not Tryton's REST interface"),
        ((200, '[{"name": "no key"}]'), "without a key"),
    ],
)
async def test_a_refusal_is_told_in_words_that_help(
    tryton: Tryton, erp: Any, refusal: tuple[int, str], words: str
) -> None:
    """What Tryton says is told, and it is asked again later."""
    erp.refusal = refusal
    with pytest.raises(Unavailable, match=words):
        await tryton.poll("")


async def test_what_cannot_be_fetched_is_asked_again_later(connect_tryton: Connect, erp: Any) -> None:
    """With a wrong key, and without an interface at all; a pointer of another system is refused."""
    for api in ({"url": f"{erp.url}/db", "password": "the wrong one"}, None):
        with pytest.raises(Unavailable) as refusal:
            await connect_tryton(api=api).fetch("sale.sale/SO9")
        assert "wrong" not in str(refusal.value)
    with pytest.raises(InvalidRequest):
        await connect_tryton(api=None).fetch("res.user/admin")


async def test_sales_of_one_time_are_all_found_once(tryton: Tryton, erp: Any) -> None:
    """Also where a page ends among them."""
    erp.records["sale.sale"] = [sale(id, 7) for id in range(1, 131)]
    walk = lab.Walk(tryton)
    assert sorted(lab.numbers(await walk())) == sorted(f"SO{id}" for id in range(1, 131))
    erp.records["sale.sale"][0] = sale(1, 7.5)
    erp.records["sale.sale"].append(sale(131, 7))
    assert sorted(lab.numbers(await walk())) == ["SO1", "SO131"]


async def test_what_is_committed_late_is_found(tryton: Tryton, erp: Any) -> None:
    """A transaction tells the time of its start, which the poll before it ended had passed already."""
    erp.records["sale.sale"] = [sale(1, 1000)]
    walk = lab.Walk(tryton)
    await walk()
    erp.records["sale.sale"].append(sale(2, 500))
    assert lab.numbers(await walk()) == ["SO2"]


async def test_a_line_that_is_written_is_found(tryton: Tryton, erp: Any) -> None:
    """As the sale's own time does not move then."""
    erp.records["sale.sale"] = [sale(1, 1000), sale(2, 90_000)]
    walk = lab.Walk(tryton)
    await walk()
    erp.records["sale.sale"][0]["lines"][0] |= {"write_date": moment(91_000), "quantity": 8.0}
    page = await tryton.poll(walk.cursor)
    (change,) = tryton.normalise(page.deliveries[0])
    assert (change.lines[0].quantity, change.version) == (8, int((START.timestamp() + 91_000) * 1000))


async def test_what_changes_while_pages_are_read_is_found(tryton: Tryton, erp: Any) -> None:
    """A sale that was passed already, and is written before the last page comes."""
    erp.records["sale.sale"] = [sale(id, 7) for id in range(1, 131)]
    walk = lab.Walk(tryton)
    walk.cursor = (await tryton.poll("")).cursor
    erp.records["sale.sale"][4] = sale(5, 2000)
    erp.records["sale.sale"][129] = sale(130, 90_000)
    assert {"SO5", "SO130"} <= set(lab.numbers(await walk()))


async def test_a_clock_that_was_ahead_hides_nothing(tryton: Tryton, erp: Any) -> None:
    """A time in Tryton's own future is not where the next poll begins."""
    erp.records["sale.sale"] = [sale(1, 1000), sale(2, 864_000)]
    walk = lab.Walk(tryton)
    await walk()
    erp.records["sale.sale"].append(sale(3, 86_000))
    assert lab.numbers(await walk()) == ["SO3"]


async def test_a_poll_of_more_than_is_remembered_comes_to_an_end(
    tryton: Tryton, erp: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After many sales at once the next poll begins behind them, and finds the next one."""
    monkeypatch.setattr("licentia_integrations.tryton.polling.MOST_SEEN", 20)
    erp.records["sale.sale"] = [sale(id, id) for id in range(1, 131)]
    walk = lab.Walk(tryton)
    assert len(await walk()) == 130
    assert len(walk.cursor) < 2000
    erp.records["sale.sale"].append(sale(131, 131))
    assert lab.numbers(await walk()) == ["SO131"]


async def test_long_sales_come_in_smaller_pages(tryton: Tryton, erp: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a page would be longer than an answer may be."""
    monkeypatch.setattr("licentia_integrations.calls.MAX_BODY_BYTES", 4000)
    erp.records["sale.sale"] = [sale(id, id) for id in range(1, 31)]
    assert sorted(lab.numbers(await lab.Walk(tryton)())) == sorted(f"SO{id}" for id in range(1, 31))
    monkeypatch.setattr("licentia_integrations.calls.MAX_BODY_BYTES", 400)
    with pytest.raises(Unavailable, match="400 bytes"):
        await tryton.poll("")


async def test_an_illegible_sale_stops_no_poll(tryton: Tryton, erp: Any) -> None:
    """It is handed on for a person to see, once."""
    erp.records["sale.sale"] = [sale(1, party="?"), sale(2)]
    page = await tryton.poll("")
    refused = 0
    for delivery in page.deliveries:
        with contextlib.suppress(InvalidRequest):
            tryton.normalise(delivery)
            continue
        refused += 1
    assert (len(page.deliveries), refused) == (2, 1)
    assert (await tryton.poll(page.cursor)).deliveries == ()


@pytest.mark.parametrize("since", ["2026-11-24", date(2026, 11, 24)])
async def test_what_was_sold_before_a_day_is_left_out(connect_tryton: Connect, erp: Any, since: Any) -> None:
    """Neither polled nor fetched nor placed by its return, whose origin it still is."""
    old = {"create_date": moment(-86_400)}
    erp.records["sale.sale"][2] = sale(3, 50, **old)
    connector = connect_tryton(revisions=False, since=since)
    found = lab.numbers(await lab.Walk(connector)())
    assert "SO2" in found
    assert "SO3" not in found
    (delivery,) = await connector.fetch("sale.sale/SO10")
    assert [(each.kind, each.origin) for each in connector.normalise(delivery)] == [("returned", "SO3")]


async def test_subscriptions_are_polled_where_they_are_asked_for(connect_tryton: Connect, erp: Any) -> None:
    """Their module may not be there."""
    erp.records["sale.sale"], erp.records["sale.subscription.line"] = [], []
    connector = connect_tryton(revisions=False, subscriptions=True)
    assert lab.numbers(await lab.Walk(connector)()) == ["subscription/4", "subscription/5"]


async def test_a_cursor_that_is_illegible_begins_anew(tryton: Tryton) -> None:
    """As one of another version may be."""
    assert len((await tryton.poll("[7]")).deliveries) == 8


TICKET = Outcome(order_number="SO9", ticket="7GJDG-J8HPG-QX2MN-4TRWB-9KVCS")


async def test_what_comes_of_it_later_is_a_further_note(tryton: Tryton, erp: Any) -> None:
    """What people write beside it, or into it, stays, and is not taken for ours."""
    own = {"id": 1, "resource": "sale.sale,9", "message": "They say [licentia tryton] Ticket: is empty."}
    erp.records["ir.note"].append(own)
    problem = Outcome(order_number="SO9", problem="The article\nCAD is not known.")
    await tryton.write_back(problem)
    waits = erp.records["ir.note"][1]
    assert waits["message"] == "[licentia tryton] Waits: The article CAD is not known."
    waits["message"] = f"Asked Ann.\n{waits['message']}\nShe knows."
    await tryton.write_back(problem)
    for _ in range(2):
        await tryton.write_back(TICKET)
    ticket = {"id": 3, "resource": "sale.sale,9", "message": f"[licentia tryton] Ticket: {TICKET.ticket}"}
    assert erp.records["ir.note"] == [own, waits, ticket]
    await tryton.write_back(problem)
    assert len(erp.records["ir.note"]) == 4


async def test_nothing_is_written_where_nothing_came(tryton: Tryton, erp: Any) -> None:
    """An order without a ticket and without a problem needs no note."""
    await tryton.write_back(Outcome(order_number="SO9"))
    assert erp.requests == []


async def test_a_number_that_is_not_one_sale_is_told(tryton: Tryton, erp: Any) -> None:
    """None, or one of another company as well: nothing is written anywhere."""
    erp.records["sale.sale"].append(sale(9))
    for number, words in (("SO9", "more than one"), ("SO77", "no sale.sale")):
        with pytest.raises(Unavailable, match=words):
            await tryton.write_back(msgspec.structs.replace(TICKET, order_number=number))
    assert erp.records["ir.note"] == []
