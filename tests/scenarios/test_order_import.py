"""Importing the orders of a file: each as if its system had delivered it, many in one transaction."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from licentia.connectors import Delivery
from licentia.contract import BY_NAME, parse
from licentia.errors import Conflict
from licentia.services.application import Application
from licentia.services.identity import OPERATOR
from licentia.services.importing import Import, Imported
from licentia.settings import Settings

HEAD = "order_number,line_id,sku,quantity,customer_id,kind,origin,version,test\n"
SHOP = {"plugin": "csv", "secret": "not shown to anybody"}


class Office:
    """An application with a connection that reads files."""

    def __init__(self, application: Application, folder: Path) -> None:
        self.application, self.folder = application, folder

    async def call(self, name: str, /, **members: Any) -> Any:
        """Call an operation as the operator."""
        return await self.application.call(BY_NAME[name], parse(BY_NAME[name], members), OPERATOR)

    def file(self, *rows: str, head: str = HEAD, name: str = "orders.csv") -> Path:
        """A file of these rows."""
        path = self.folder / name
        path.write_text(head + "".join(f"{row}\n" for row in rows), "utf-8")
        return path

    async def imported(
        self, file: Path, *, batch: int = 3, dry_run: bool = False, restart: bool = False, name: str = "shop"
    ) -> Imported:
        """Import a file."""
        connection = await self.application.chain.connections.get(name)
        running = Import(self.application, self.application.chain.inbox, connection, file, dry_run=dry_run)
        await running.begin(restart=restart)
        return await running.run(batch, lambda place, of: None)

    async def sql(self, statement: str) -> list[dict[str, Any]]:
        """Look into the database."""
        async with self.application.database.read() as connection:
            return await connection.rows(statement)


def counts(done: Imported) -> dict[str, int]:
    """What came of the orders, without what did not come."""
    return {name: value for name, value in msgspec.to_builtins(done.tally).items() if isinstance(value, int) and value}


@pytest.fixture
async def office(data: Path, database_url: str) -> Any:
    """An office on either database that sells `cad` and `viewer`."""
    settings = Settings(data=data, database=database_url, connector={"shop": SHOP, "other": SHOP})
    application = await Application.open(settings)
    try:
        office = Office(application, data)
        for sku in ("cad", "viewer"):
            await office.call("PutProduct", sku=sku, name=sku, items=[{"product_code": sku, "expires_after_days": 30}])
        yield office
    finally:
        await application.close()


async def test_each_order_gets_its_ticket(office: Office) -> None:
    """Orders of one and several lines, more than a batch, are placed with licenses, and traced to the file."""
    rows = [f"{number},{line},cad,{number},c{number}" for number in range(1, 8) for line in range(1 + number % 2)]
    done = await office.imported(office.file(*rows))
    assert (counts(done), done.orders, done.resumed_at) == ({"placed": 7}, 7, 0)
    order = await office.call("GetOrder", source="shop", order_number="7")
    assert [(one.sku, one.quantity) for one in order.licenses] == [("cad", 7), ("cad", 7)]
    assert order.ticket
    trace = (await office.call("TraceOrder", order_number="7")).orders[0]
    assert trace.ticket == order.ticket
    kinds = [step.kind for step in trace.steps]
    assert sorted(kinds) == ["delivery.applied", "delivery.arrived", "license.issued", "license.issued", "order.placed"]


async def test_the_rows_of_an_order_may_lie_anywhere(office: Office) -> None:
    """Rows that are not beside each other are one order all the same, without ids of lines too."""
    file = office.file("1,cad,1,c", "2,cad,5,c", "1,viewer,2,c", "1,cad,4,c", head="order,sku,quantity,customer\n")
    assert counts(await office.imported(file, batch=1)) == {"placed": 2}
    lines = (await office.call("GetOrder", source="shop", order_number="1")).lines
    assert [(line.sku, line.quantity) for line in lines] == [("cad", 1), ("viewer", 2), ("cad", 4)]


async def test_the_same_file_twice_changes_nothing(office: Office) -> None:
    """A file that was imported to its end and comes again finds every order as it is, ticket and licenses too."""
    file = office.file(*(f"{number},1,cad,2,c" for number in range(5)))
    await office.imported(file)
    before = await office.sql("SELECT id, version, digest, updated_at FROM purchase_order ORDER BY id")
    assert counts(await office.imported(file)) == {"unchanged": 5}
    assert await office.sql("SELECT id, version, digest, updated_at FROM purchase_order ORDER BY id") == before
    assert (await office.sql("SELECT count(*) AS n FROM license"))[0]["n"] == 5
    assert (await office.sql("SELECT count(*) AS n FROM delivery"))[0]["n"] == 5


async def test_a_changed_file_changes_the_orders_that_differ(office: Office) -> None:
    """Other quantities give a new version on the same ticket, new orders are placed, the rest is as it was."""
    await office.imported(office.file("1,1,cad,2,c", "2,1,cad,2,c", "3,1,cad,2,c"))
    ticket = (await office.call("GetOrder", source="shop", order_number="2")).ticket
    done = await office.imported(office.file("1,1,cad,2,c", "2,1,cad,5,c", "4,1,cad,1,c"))
    assert counts(done) == {"placed": 1, "changed": 1, "unchanged": 1}
    order = await office.call("GetOrder", source="shop", order_number="2")
    assert (order.ticket, order.version, order.licenses[0].quantity) == (ticket, 2, 5)
    back = await office.imported(office.file("1,1,cad,2,c", "2,1,cad,2,c", "3,1,cad,2,c"))
    assert counts(back) == {"changed": 1, "unchanged": 2}
    assert (await office.call("GetOrder", source="shop", order_number="2")).lines[0].quantity == 2


async def test_an_unknown_article_waits_and_the_others_go_in(office: Office) -> None:
    """What no product is known for is parked in the inbox with its line, and a replay places it later."""
    done = await office.imported(office.file("1,1,cad,1,c", "2,1,gone,1,c", "3,1,cad,1,c"))
    assert counts(done) == {"placed": 2, "parked": 1}
    assert done.tally.reasons == {"product_unknown": 1}
    (problem,) = done.tally.parked_first
    assert (problem.line, problem.order_number, problem.code) == (3, "2", "product_unknown")
    assert "'gone'" in problem.detail
    (waiting,) = (await office.call("ListDeliveries", state="parked")).deliveries
    assert (waiting.delivery_id, waiting.way) == (problem.delivery_id, "imported")
    await office.call("PutMapping", article="gone", sku="viewer", factor=2)
    await office.call("ReplayDeliveries", connector="shop")
    order = await office.call("GetOrder", source="shop", order_number="2")
    assert [(one.sku, one.quantity) for one in order.licenses] == [("viewer", 2)]


async def test_rows_that_cannot_be_read_are_told_by_line(office: Office) -> None:
    """A bad quantity or a missing number spoils its own order only; nothing of that is kept."""
    done = await office.imported(
        office.file("1,1,cad,1,c", "2,1,cad,two,c", ",1,cad,1,c", "2,2,cad,1,c", "4,1,cad,1,c")
    )
    assert counts(done) == {"placed": 2, "illegible": 2}
    told = {problem.line: problem.detail for problem in done.tally.illegible_first}
    assert list(told) == [3, 4]
    assert told[3].startswith("Row 3: the quantity is 'two'")
    assert told[4].startswith("Row 4: the order number is missing")
    assert (await office.sql("SELECT count(*) AS n FROM delivery"))[0]["n"] == 2


async def test_returns_find_their_orders_wherever_these_are_in_the_file(office: Office) -> None:
    """A return that stands above its order waits for it; one below, and one in the same batch, is applied at once."""
    file = office.file(
        "r1,1,cad,2,c,returned,3", "1,1,cad,5,c", "r2,1,cad,1,c,returned,1", "2,1,cad,5,c", "3,1,cad,5,c",
        "r3,1,cad,5,c,returned,2", "r4,1,cad,1,c,returned,gone",
    )  # fmt: skip
    done = await office.imported(file, batch=2)
    assert counts(done) == {"placed": 3, "changed": 3, "parked": 1}
    assert [problem.order_number for problem in done.tally.parked_first] == ["gone"]
    left = {
        number: sum(
            one.quantity for one in (await office.call("GetOrder", source="shop", order_number=number)).licenses
        )
        for number in ("1", "2", "3")
    }
    assert left == {"1": 4, "2": 0, "3": 3}


async def test_a_dry_run_changes_nothing(office: Office) -> None:
    """It tells the same, and the database is as it was."""
    tables = ("purchase_order", "license", "ticket", "delivery", "source_order", "event", "order_import")
    before = [await office.sql(f"SELECT * FROM {table}") for table in tables]
    done = await office.imported(office.file("1,1,cad,1,c", "2,1,gone,1,c", "3,1,cad,x,c"), dry_run=True)
    assert counts(done) == {"placed": 1, "parked": 1, "illegible": 1}
    assert [await office.sql(f"SELECT * FROM {table}") for table in tables] == before


async def test_an_interrupted_import_goes_on_and_two_at_once_do_not_mix(office: Office) -> None:
    """What a first run has done is not done again; a second one beside it is refused; `restart` begins anew."""
    file = office.file(*(f"{number},1,cad,2,c" for number in range(9)))
    connection = await office.application.chain.connections.get("shop")

    class Killed(Exception):
        """Ends a run after its second batch."""

    def tell(place: int, of: int) -> None:
        if place == 6:
            raise Killed

    first, beside = (
        Import(office.application, office.application.chain.inbox, connection, file, dry_run=False) for _ in range(2)
    )
    assert (await first.begin(restart=False), await beside.begin(restart=False)) == (0, 0)
    with pytest.raises(Killed):
        await first.run(3, tell)
    with pytest.raises(Conflict):
        await beside.run(3, tell)
    done = await office.imported(file)
    assert (done.resumed_at, done.orders, counts(done)) == (6, 9, {"placed": 9})
    assert (await office.sql("SELECT count(*) AS n FROM purchase_order"))[0]["n"] == 9
    again = await office.imported(file, restart=True)
    assert (again.resumed_at, counts(again)) == (0, {"unchanged": 9})


@pytest.mark.parametrize("seed", range(4))
async def test_it_comes_to_the_same_as_one_delivery_after_the_other(office: Office, seed: int) -> None:
    """Random orders, changes, returns, cancellations and tests: licenses and parked reasons are the same."""
    chance = random.Random(seed)
    for upload in range(3):
        rows = []
        for number in chance.sample(range(12), 8):
            kind, origin = chance.choice([("", "")] * 6 + [("cancelled", ""), ("returned", str(chance.randrange(12)))])
            name = f"r{upload}-{number}" if origin else str(number)
            test = chance.choice(["", "", "", "yes"])
            for line in range(chance.choice([1, 1, 2])):
                sku, quantity = chance.choice(["cad", "cad", "viewer", "gone"]), chance.choice([1, 2, 3])
                rows.append(f"{name},{line},{sku},{quantity},c{number % 3},{kind},{origin},,{test}")
        await office.imported(office.file(*rows), batch=chance.choice([1, 3, 20]))
        await one_by_one(office, rows)
    assert await state(office, "shop") == await state(office, "other")


async def one_by_one(office: Office, rows: list[str]) -> None:
    """Deliver each order of the rows alone."""
    connection = await office.application.chain.connections.get("other")
    for number in dict.fromkeys(row.split(",")[0] for row in rows):
        mine = "".join(f"{row}\n" for row in rows if row.startswith(f"{number},"))
        delivery = Delivery(body=(HEAD + mine).encode(), received_at=datetime.now(UTC))
        inbox = office.application.chain.inbox
        (id,) = await inbox.keep(connection, [delivery], "sent")
        async with office.application.database.write() as tx:  # a file that comes again is applied again
            await tx.rows(f"UPDATE delivery SET state = 'waiting' WHERE id = '{id}'")
            at = int(delivery.received_at.timestamp() * 1e6)
            await tx.rows(f"UPDATE delivery SET received_at = {at} WHERE id = '{id}'")
        await inbox.process(id)
    for _ in range(3):
        while await office.application.chain.inbox.work(8):
            pass


async def state(office: Office, source: str) -> list[Any]:
    """What there is of a source, whatever its ids."""
    licenses = await office.sql(
        "SELECT o.order_number, o.cancelled, o.test, l.line_id, l.sku, l.quantity FROM license l"
        f" JOIN purchase_order o ON o.id = l.order_id WHERE o.source = '{source}' ORDER BY 1, 4, 5, 6"
    )
    orders = await office.sql(
        "SELECT order_number, cancelled, test, version, customer, lines FROM purchase_order"
        f" WHERE source = '{source}' ORDER BY 1"
    )
    numbers = await office.sql(f"SELECT order_number FROM source_order WHERE connection = '{source}' ORDER BY 1")
    # How often one waited differs.
    events = await office.sql(f"SELECT DISTINCT order_number FROM order_event WHERE source = '{source}' ORDER BY 1")
    return [licenses, orders, numbers, events]


def test_the_command(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It adds the connection where there is none, says what came of the file, and exits with 2 if something waits."""
    from click.testing import CliRunner

    from licentia.cli import root

    config = data / "licentia.toml"
    config.write_text('data = "."\n', "utf-8")
    file = tmp_path / "orders.csv"
    file.write_text(HEAD + "1,1,cad,1,c\n2,1,gone,1,c\n3,1,cad,x,c\n", "utf-8")
    monkeypatch.setenv("LICENTIA_CONFIG", str(config))

    def licentia(*words: str, code: int) -> Any:
        done = CliRunner().invoke(root.licentia, [*words], prog_name="licentia")
        assert done.exit_code == code, (done.stdout, done.stderr)
        return done

    licentia("product", "put", "cad", "--name", "CAD", "--item", "code=cad", code=0)
    tried = licentia("order", "import", str(file), "--dry-run", code=2)
    assert "Nothing was changed." in tried.stdout
    assert "'csv' was added" not in tried.stderr
    done = licentia("order", "import", str(file), code=2)
    assert "'csv' was added" in done.stderr
    assert "line 3, order 2: No product is known" in done.stdout
    assert "line 4: Row 4: the quantity is 'x'" in done.stdout
    again = msgspec.json.decode(licentia("order", "import", str(file), "-o", "json", code=2).stdout)
    assert (again["unchanged"], again["parked"], again["illegible"], again["resumed_at"]) == (1, 1, 1, 0)
    file.write_text(HEAD + "1,1,cad,1,c\n", "utf-8")
    licentia("order", "import", str(file), code=0)
    assert "no connection 'nowhere'" in licentia("order", "import", str(file), "--connector", "nowhere", code=2).stderr
