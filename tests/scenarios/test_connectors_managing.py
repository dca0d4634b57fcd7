"""Connections, mappings and the inbox as their administrator manages them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from licentia.connectors import Delivery
from licentia.errors import Conflict, InvalidRequest, NotFound, Unavailable
from licentia.services.connections import is_secret
from licentia.services.inbox import MOST_TRIES
from licentia.settings import Settings
from licentia_gateways.app import create_app

SECRET = "a secret of the file drop"
HEADER = "order_number,line_id,sku,quantity,customer_id\n"


WRITES = """
from decimal import Decimal
from licentia.connectors import Change, Connector, Customer, Line, WriteBack
class Plugin(Connector, WriteBack):
    written = []
    async def _authenticate(self, delivery):
        pass
    def _normalise(self, delivery):
        line = Line(line_id="1", sku="cad", quantity=Decimal(1))
        customer = Customer(id="acme")
        return (Change(kind="placed", order_number="1", full_snapshot=True, customer=customer, lines=(line,)),)
    async def _write_back(self, outcome):
        self.written.append(outcome.ticket)
"""


DOWN = """
from decimal import Decimal
from licentia.connectors import Change, Connector, Customer, Delivery, Fetching, Line
from licentia.errors import Unavailable
class Plugin(Connector, Fetching):
    down = True
    async def _authenticate(self, delivery):
        pass
    def _normalise(self, delivery):
        if not delivery.pointer:
            return (Change(kind="pointer", order_number="1", pointer="orders/1"),)
        line = Line(line_id="1", sku="cad", quantity=Decimal(1))
        customer = Customer(id="acme")
        return (Change(kind="placed", order_number="1", full_snapshot=True, customer=customer, lines=(line,)),)
    async def _fetch(self, pointer):
        if self.down:
            raise Unavailable("The shop is down.")
        from datetime import UTC, datetime
        return (Delivery(body=b"", pointer=pointer, received_at=datetime.now(UTC)),)
"""


ACKNOWLEDGES = """
from licentia.connectors import Answer, Answering
{down}
class Acknowledging(Plugin, Answering):
    waits = False
    def _answer(self, delivery, outcomes):
        assert outcomes == ()
        return Answer(status=200, body=b"taken")
Plugin = Acknowledging
"""


async def add(desk: Any, name: str = "drop", **settings: str) -> Any:
    """Add a connection for files."""
    desk.secrets.add(SECRET)
    given = {"secret": SECRET} | settings
    pairs = [{"name": key, "value": value} for key, value in given.items()]
    return await desk("PutConnector", name=name, plugin="csv", settings=pairs)


async def drop(desk: Any, rows: str, name: str = "drop") -> str:
    """Deliver a file and have it processed; the delivery's id."""
    chain = desk.application.chain
    delivery = Delivery(body=(HEADER + rows).encode(), received_at=datetime.now(UTC))
    (id,) = await chain.inbox.keep(await chain.connections.get(name), [delivery], "sent")
    await chain.inbox.process(id)
    return str(id)


async def test_a_connection_is_added_changed_and_removed(desk: Any) -> None:
    """Its settings are shown without secrets; a masked one stays as it was; what is removed takes no more."""
    added = await add(desk, poll_seconds="60")
    assert (added.plugin, added.origin, added.address) == ("csv", "server", "/connectors/drop")
    assert {each.name: each.value for each in added.settings} == {"secret": "***"}
    (row,) = await desk.sql("SELECT settings FROM connection")
    assert SECRET not in row["settings"]
    pairs = [{"name": "secret", "value": "***"}, {"name": "delimiter", "value": ";"}]
    await desk("PutConnector", name="drop", plugin="csv", settings=pairs)
    changed = await desk.application.chain.connections.get("drop")
    assert dict(changed.settings) == {"secret": SECRET, "delimiter": ";"}
    assert [each.name for each in (await desk("ListConnectors")).connectors] == ["drop"]
    await desk("DeleteConnector", name="drop")
    assert (await desk("ListConnectors")).connectors == []
    for name in ("DeleteConnector", "TestConnector", "PollConnector"):
        await desk.refused(NotFound, name, name="drop")


async def test_a_secret_is_a_text_whatever_it_looks_like(small_desk: Any) -> None:
    """One of digits only is no number, and a list stays a list; the address of a token is no secret."""
    for told, taken in (
        ("0123456789", "0123456789"),
        ("2026-11-24", "2026-11-24"),
        ('["a secret", "b"]', ["a secret", "b"]),
    ):
        await small_desk("PutConnector", name="drop", plugin="csv", settings=[{"name": "secret", "value": told}])
        connection = await small_desk.application.chain.connections.get("drop")
        assert connection.settings["secret"] == taken
    assert (is_secret("api_key"), is_secret("token_url")) == (True, False)


async def test_wrong_settings_are_named(small_desk: Any) -> None:
    """A connector that is not there, a setting that it does not know, and one that is missing: each is told."""
    for given, told in (
        ({"plugin": "nope"}, "There is no connector 'nope'"),
        ({"plugin": "csv"}, "secret"),
        (
            {"plugin": "csv", "settings": [{"name": "secret", "value": SECRET}, {"name": "colour", "value": "1"}]},
            "colour",
        ),
        ({"plugin": "csv", "settings": [{"name": "test_orders", "value": "perhaps"}]}, "test_orders"),
        ({"plugin": "csv", "settings": [{"name": "a", "value": "1"}, {"name": "a.b", "value": "1"}]}, "table"),
    ):
        refusal = await small_desk.refused(InvalidRequest, "PutConnector", name="drop", **given)
        assert told in refusal.detail
        assert SECRET not in refusal.detail
    assert (await small_desk("ListConnectors")).connectors == []


async def test_a_connection_of_the_file_is_not_changed_from_outside(open_desk: Any) -> None:
    """It is listed with its origin, and refuses to be replaced or removed."""
    desk = await open_desk(connector={"drop": {"plugin": "csv", "secret": SECRET}})
    (shown,) = (await desk("ListConnectors")).connectors
    assert (shown.name, shown.origin) == ("drop", "file")
    await desk.refused(Conflict, "PutConnector", name="drop", plugin="csv")
    await desk.refused(Conflict, "DeleteConnector", name="drop")
    assert (await desk("TestConnector", name="drop")).ok
    await desk.refused(Conflict, "PollConnector", name="drop")


async def test_a_connection_whose_plugin_is_gone_is_listed_with_the_reason(small_desk: Any) -> None:
    """Its deliveries wait, and nobody is told that it does not exist."""
    await add(small_desk)
    id = await drop(small_desk, "1,1,cad,1,acme\n")
    connections = small_desk.application.chain.connections
    broken = connections._plugins._found
    connections._plugins._found = [found for found in broken if found.name != "csv"]
    connections._added.clear()
    (shown,) = (await small_desk("ListConnectors")).connectors
    assert "There is no connector 'csv'" in (shown.problem or "")
    with pytest.raises(Unavailable, match="There is no connector 'csv'"):
        await connections.get("drop")
    assert (await small_desk("GetDelivery", delivery_id=id)).state == "parked"


async def test_an_unknown_article_is_mapped_and_replayed(desk: Any) -> None:
    """The order waits with its reason; a dry run changes nothing; then it gets its ticket, and it is told how."""
    await add(desk)
    await desk.product("cad")
    await drop(desk, "47/11,1,CAD-5PACK,2,anna@example.com\n47/11,2,SHIP,1,anna@example.com\n")
    (parked,) = (await desk("ListDeliveries", state="parked")).deliveries
    assert "'CAD-5PACK'" in parked.problem
    assert "'SHIP'" in parked.problem
    tried = await desk("TryMapping", connector="drop", article="CAD-5PACK", quantity=2)
    assert (tried.sku, tried.problem) == (None, "No product is known for 'CAD-5PACK'.")
    mapped = await desk("PutMapping", article="CAD-5PACK", connector="drop", sku="cad", factor=5)
    assert (mapped.created, mapped.parked) == (True, 1)
    await desk("PutMapping", article="SHIP")
    tried = await desk("TryMapping", connector="drop", article="CAD-5PACK", quantity=2)
    assert (tried.sku, tried.quantity) == ("cad", 10)
    before = await desk.kinds()
    rehearsed = await desk("ReplayDeliveries", connector="drop", dry_run=True)
    assert [(each.state, each.outcomes[0].state) for each in rehearsed.deliveries] == [("done", "applied")]
    assert await desk.kinds() == before
    replayed = await desk("ReplayDeliveries", connector="drop")
    assert ([each.state for each in replayed.deliveries], replayed.left) == (["done"], 0)
    order = await desk("GetOrder", source="drop", order_number="47~2f11")
    assert [(line.sku, line.quantity) for line in order.lines] == [("cad", 10)]
    assert order.customer.id == "anna~40example.com"
    (traced,) = (await desk("TraceOrder", order_number="47~2f11")).orders
    assert (traced.number_there, traced.status, traced.ticket) == ("47/11", "fulfilled", order.ticket)
    kinds = [step.kind for step in traced.steps]
    assert kinds == ["delivery.arrived", "delivery.parked", "delivery.applied", "order.placed", "license.issued"]


async def test_a_ticket_that_was_given_up_is_written_after_a_replay(open_desk: Any, install: Any) -> None:
    """The trace names the command, and the command has it written although nothing about the order is new."""
    install("connectors", "writes", WRITES)
    desk = await open_desk(connector={"writes": {}})
    await desk.product("cad")
    id = await drop(desk, "", "writes")
    await desk.sql("UPDATE write_back SET state = 'dead', problem = 'it was down'")
    (traced,) = (await desk("TraceOrder", order_number="1")).orders
    assert (traced.write_back, traced.next_step.endswith(f"replay --delivery-id {id}")) == (
        "given up: it was down",
        True,
    )
    await desk("ReplayDeliveries", delivery_id=id)
    assert await desk.application.chain.outbox.work(8) == 1
    (traced,) = (await desk("TraceOrder", order_number="1")).orders
    assert traced.write_back.startswith("written back at ")
    assert (await desk.application.chain.connections.get("writes")).connector.written == [traced.ticket]


async def test_a_delivery_that_was_given_up_has_another_week_after_a_replay(open_desk: Any, install: Any) -> None:
    """As long as the system is down it is tried for about a week, then it is dead, and said so once."""
    install("connectors", "down", DOWN)
    desk = await open_desk(connector={"down": {}})
    await desk.product("cad")
    id = await drop(desk, "", "down")
    assert (await desk("GetDelivery", delivery_id=id)).state == "waiting"
    await desk.sql("UPDATE delivery SET due_at = 0, attempts = $1", MOST_TRIES)
    await desk.application.chain.inbox.work(8)
    given_up = await desk("GetDelivery", delivery_id=id)
    assert (given_up.state, given_up.problem) == ("dead", "The shop is down.")
    assert (await desk("ListConnectors")).connectors[0].dead == 1
    again = await desk("ReplayDeliveries", state="dead")
    assert [each.state for each in again.deliveries] == ["waiting"]
    (await desk.application.chain.connections.get("down")).connector.down = False
    await desk.sql("UPDATE delivery SET due_at = 0")
    await desk.application.chain.inbox.work(8)
    assert (await desk("GetOrder", source="down", order_number="1")).ticket
    kinds = await desk.kinds()
    assert (kinds.count("delivery.dead"), kinds.count("delivery.replayed")) == (1, 1)


async def test_who_wants_only_an_acknowledgement_waits_for_nothing(open_desk: Any, install: Any) -> None:
    """It is there as soon as the delivery is kept, whatever becomes of that."""
    install("connectors", "down", ACKNOWLEDGES.format(down=DOWN))
    desk = await open_desk(connector={"down": {}})
    sent = Delivery(body=b"", received_at=datetime.now(UTC))
    answer = await desk.application.deliver("down", sent, "127.0.0.1")
    assert (answer.status, answer.body) == (200, b"taken")
    (kept,) = (await desk("ListDeliveries")).deliveries
    assert (kept.state, kept.attempts) == ("waiting", 0)
    await desk.application.chain.inbox.work(8)
    (tried,) = (await desk("ListDeliveries")).deliveries
    assert (tried.state, tried.attempts) == ("waiting", 1)


async def test_an_order_that_the_vendor_cancelled_stays_so(small_desk: Any) -> None:
    """The same state again changes nothing, another one waits for a person."""
    await add(small_desk)
    await small_desk.product("cad")
    await drop(small_desk, "1,1,cad,1,acme\n")
    await small_desk("CancelOrder", source="drop", order_number="1", reason="a fraud")
    await drop(small_desk, "1,1,cad,1,acme\n\n")
    assert (await small_desk("GetOrder", source="drop", order_number="1")).status == "cancelled"
    await drop(small_desk, "1,1,cad,2,acme\n")
    assert (await small_desk("GetOrder", source="drop", order_number="1")).status == "cancelled"
    (parked,) = (await small_desk("ListDeliveries", state="parked")).deliveries
    assert parked.outcomes[0].code == "conflict"


async def test_what_was_done_with_the_licenses_is_part_of_the_story(small_desk: Any) -> None:
    """Activation, return and withdrawal stand in the trace of the order, of a pushed one, too."""
    await small_desk.product()
    order = await small_desk.order("1")
    activation = await small_desk.activate(order.ticket)
    await small_desk("ReturnActivation", activation_id=activation.activation_id)
    await small_desk("WithdrawLicense", license_id=order.licenses[0].license_id, reason="a test")
    (traced,) = (await small_desk("TraceOrder", order_number="1", source="erp")).orders
    assert [step.kind for step in traced.steps] == [
        "order.placed", "license.issued", "activation.created", "activation.returned", "license.withdrawn",
    ]  # fmt: skip
    assert "was withdrawn: a test" in traced.steps[-1].summary
    refusal = await small_desk.refused(NotFound, "TraceOrder", order_number="2")
    assert "connector inbox" in refusal.next_step
    await small_desk.refused(NotFound, "TraceOrder", order_number="1", source="shop")


async def test_mappings_come_in_pages_and_the_special_one_wins(small_desk: Any) -> None:
    """One of the connection before one for all, then the one with more options; removed, the next one counts."""
    await add(small_desk)
    for sku in ("basic", "pro", "special"):
        await small_desk.product(sku)
    pro = [{"name": "edition", "value": "pro"}]
    await small_desk("PutMapping", article="X", sku="basic")
    await small_desk("PutMapping", article="X", options=pro, sku="pro")

    async def tried(**options: Any) -> str:
        return str((await small_desk("TryMapping", connector="drop", article="X", **options)).sku)

    assert [await tried(), await tried(options=pro)] == ["basic", "pro"]
    special = await small_desk("PutMapping", article="X", connector="drop", sku="special")
    assert [await tried(), await tried(options=pro)] == ["special", "special"]
    found, cursor = [], None
    while True:
        page = await small_desk("ListMappings", limit=1, **({"cursor": cursor} if cursor else {}))
        found += page.mappings
        if not (cursor := page.next_cursor):
            break
    assert sorted(each.sku for each in found) == ["basic", "pro", "special"]
    await small_desk("DeleteMapping", mapping_id=special.mapping_id)
    assert [await tried(), await tried(options=pro)] == ["basic", "pro"]
    await small_desk.refused(NotFound, "DeleteMapping", mapping_id=special.mapping_id)
    await small_desk.refused(InvalidRequest, "PutMapping", article="X", sku="nope")
    for cursor in ("nope", "x" * 65):
        await small_desk.refused(InvalidRequest, "ListMappings", cursor=cursor)


async def test_the_inbox_comes_in_pages_newest_first(desk: Any) -> None:
    """Each delivery is shown once, with its content on demand and its secrets masked; of one order on demand."""
    await add(desk)
    await desk.product("cad")
    ids = [await drop(desk, f"{number},1,cad,1,acme\n") for number in range(5)]
    found, cursor = [], None
    while True:
        page = await desk("ListDeliveries", limit=2, **({"cursor": cursor} if cursor else {}))
        found += [each.delivery_id for each in page.deliveries]
        if not (cursor := page.next_cursor):
            break
    assert found == ids[::-1]
    (one,) = (await desk("ListDeliveries", order_number="3")).deliveries
    assert one.delivery_id == ids[3]
    assert (await desk("ListDeliveries", connector="other")).deliveries == []
    whole = await desk("GetDelivery", delivery_id=ids[0])
    assert (whole.method, whole.way) == ("POST", "sent")
    for cursor in ("yesterday", "9" * 17, "1~" + "x" * 65):
        await desk.refused(InvalidRequest, "ListDeliveries", cursor=cursor)


async def test_what_is_discarded_is_tried_no_more(small_desk: Any) -> None:
    """Only what waits for a person can be discarded; by its name it can still be replayed."""
    await add(small_desk)
    id = await drop(small_desk, "1,1,cad,1,acme\n")
    gone = await small_desk("DiscardDelivery", delivery_id=id, reason="a test of the shop")
    assert gone.state == "discarded"
    assert (await small_desk("ReplayDeliveries")).deliveries == []
    await small_desk.product("cad")
    replayed = await small_desk("ReplayDeliveries", delivery_id=id)
    assert [each.state for each in replayed.deliveries] == ["done"]
    await small_desk.refused(Conflict, "DiscardDelivery", delivery_id=id, reason="")
    await small_desk.refused(NotFound, "DiscardDelivery", delivery_id="no", reason="")


async def test_the_gateway_keeps_what_is_authentic_only(data: Any) -> None:
    """A secret shown is masked in what is kept; a wrong one is 401 and leaves a word in the trail and no delivery."""
    from licentia.services.application import Application

    application = await Application.open(Settings(data=data, connector={"drop": {"plugin": "csv", "secret": SECRET}}))
    try:
        transport = httpx.ASGITransport(create_app(application))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            body = HEADER + "1,1,cad,1,acme\n"
            refused = await client.post("/connectors/drop", content=body, headers={"authorization": "Bearer no"})
            assert (refused.status_code, refused.json()["code"]) == (401, "unauthenticated")
            unknown = await client.post("/connectors/nobody", content=body)
            assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")
            trace = await client.request("TRACE", "/connectors/drop")
            assert (trace.status_code, "POST" in trace.headers["allow"]) == (405, True)
            large = await client.post("/connectors/drop", content=b"x" * (8 * 2**20 + 1))
            assert large.status_code == 413
            taken = await client.post("/connectors/drop", content=body, headers={"authorization": f"Bearer {SECRET}"})
            assert (taken.status_code, taken.content) == (204, b"")
            again = await client.post("/connectors/drop", content=body, headers={"authorization": f"Bearer {SECRET}"})
            assert again.status_code == 204
        async with application.database.write() as tx:
            (row,) = await tx.rows("SELECT headers, url FROM delivery")
            kinds = [each["entries"] for each in await tx.rows("SELECT entries FROM event")]
        assert SECRET not in row["headers"] + row["url"]
        assert '"authorization":"***"' in row["headers"]
        assert sum("delivery.refused" in each for each in kinds) == 1
    finally:
        await application.close()
