"""What the scenarios of the core share: a desk to call operations at, which checks every answer and the books."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from licentia.contract import BY_NAME, parse
from licentia.contract.events import Event
from licentia.directories import Subject
from licentia.domain.events import verify_chain
from licentia.errors import LicensingError
from licentia.services.identity import OPERATOR, Caller
from licentia.settings import Settings

if TYPE_CHECKING:
    from licentia.services.application import Application


class Desk:
    """Calls operations by name.

    A reply that breaks its own contract, or an error that the operation does not declare, fails the test.
    """

    def __init__(self, application: Application) -> None:
        self.application = application
        self.secrets: set[str] = set()

    async def __call__(self, name: str, /, *, caller: Caller = OPERATOR, key: str | None = None, **fields: Any) -> Any:
        """Call an operation with the fields of its request; `key` is the idempotency key."""
        operation = BY_NAME[name]
        try:
            reply = await self.application.call(operation, parse(operation, fields), caller, idempotency_key=key)
        except LicensingError as error:
            if type(error) not in operation.all_errors:
                pytest.fail(f"{name} does not declare {error.code}: {error.detail}")
            raise
        if operation.reply is None:
            assert reply is None
        else:
            assert msgspec.convert(msgspec.to_builtins(reply), operation.reply) == reply
            self.secrets |= {getattr(reply, name) for name in ("ticket", "token") if hasattr(reply, name)}
        return reply

    async def refused(self, error: type[LicensingError], name: str, /, **fields: Any) -> LicensingError:
        """Call an operation that must be refused with this error."""
        with pytest.raises(LicensingError) as caught:
            await self(name, **fields)
        assert type(caught.value) is error, (caught.value.code, caught.value.detail)
        return caught.value

    async def product(self, sku: str = "cad", **terms: Any) -> Any:
        """Define a product of one item, whose product code is the SKU."""
        return await self("PutProduct", sku=sku, name=sku.upper(), items=[{"product_code": sku} | terms])

    async def order(self, number: str = "1", *lines: tuple[Any, ...], caller: Caller = OPERATOR) -> Any:
        """Place an order; a line is its id, SKU and quantity, and one unit of `cad` is the default."""
        shown = [
            {"line_id": line_id, "sku": sku, "quantity": quantity}
            for line_id, sku, quantity in lines or (("1", "cad", 1),)
        ]
        return await self(
            "CreateOrder", caller=caller, source="erp", order_number=number, customer={"id": "acme"}, lines=shown
        )

    async def activate(self, ticket: str, user: str = "ada", **fields: Any) -> Any:
        """Put licenses of a ticket into the user's container."""
        return await self("ActivateTicket", code=ticket, container={"kind": "cloud-lite", "user": user}, **fields)

    async def sold(self, sku: str = "cad", user: str = "ada", quantity: int = 1, **terms: Any) -> Any:
        """Define a product, sell it, activate it for a user; the activation."""
        await self.product(sku, **terms)
        order = await self.order(f"{sku}-{user.replace(':', '-')}", ("1", sku, quantity))
        return await self.activate(order.ticket, user)

    async def checkout(self, lease_id: str = "l1", user: str = "ada", product_code: str = "cad", **fields: Any) -> Any:
        """Claim a seat or renew the claim."""
        return await self("CheckoutLicense", lease_id=lease_id, user=user, product_code=product_code, **fields)

    async def full(self, error: type[LicensingError], lease_id: str = "no", **fields: Any) -> LicensingError:
        """Fail to claim a seat."""
        given = {"user": "ada", "product_code": "cad"} | fields
        return await self.refused(error, "CheckoutLicense", lease_id=lease_id, **given)

    async def leases(self) -> list[str]:
        """The ids of the live leases."""
        return [lease.lease_id for lease in (await self("ListLeases", limit=500)).leases]

    async def events(self) -> list[Event]:
        """The whole trail."""
        found: list[Event] = []
        cursor = ""
        while True:
            page = await self("ListEvents", cursor=cursor, limit=500)
            if not page.events:
                return found
            found += page.events
            cursor = page.next_cursor

    async def kinds(self) -> list[str]:
        """What happened, by kind."""
        return [event.kind for event in await self.events()]

    async def sql(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """Look into the database, or let time pass in it."""
        async with self.application.database.write() as tx:
            return await tx.rows(statement, *values)

    async def key(self, *scopes: str, name: str = "") -> tuple[str, str]:
        """A new API key: its id and the whole key."""
        key_id, key = await self.application.create_key(frozenset(scopes), name)
        self.secrets |= {key, key.split("_", 2)[2]}
        return key_id, key

    async def audit(self) -> None:
        """Check the books: the seats of every pool and license add up, and the trail is whole and holds no secret."""
        pools = {row["id"]: row for row in await self.sql("SELECT * FROM seat_pool")}
        charged: dict[str, int] = defaultdict(int)
        groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
        for lease in await self.sql("SELECT * FROM lease"):
            charged[lease["pool_id"]] += lease["charged"]
            groups[lease["pool_id"], lease["share_key"] or lease["id"]].append(lease)
        for pool in pools.values():
            assert pool["in_use"] == charged[pool["id"]], pool
            assert pool["unlimited"] or pool["in_use"] <= pool["seats"] + pool["overdraft"], pool
        for group in groups.values():
            assert sum(lease["charged"] for lease in group) == max(lease["seats"] for lease in group), group
        placed: dict[str, int] = defaultdict(int)
        for pool in pools.values():
            placed[pool["license_id"]] += pool["seats"] if pool["state"] != "closed" else 0
        for license in await self.sql("SELECT * FROM license"):
            assert license["placed"] == placed[license["id"]], license
            assert 0 <= license["to_reclaim"] <= license["placed"] <= license["quantity"], license
        assert verify_chain(await self.events()) == []
        self.secrets |= {row["code"] for row in await self.sql("SELECT code FROM ticket")}
        written = "\n".join(str(row) for row in await self.sql("SELECT entries FROM event"))
        assert [secret for secret in self.secrets if secret in written] == []


@pytest.fixture
async def desk(application_on_both: Application) -> AsyncIterator[Desk]:
    """A desk on either database; the books are checked at the end."""
    desk = Desk(application_on_both)
    yield desk
    await desk.audit()


@pytest.fixture
async def small_desk(application: Application) -> AsyncIterator[Desk]:
    """A desk on SQLite, for what does not depend on the database."""
    desk = Desk(application)
    yield desk
    await desk.audit()


@pytest.fixture
async def open_desk(data: Path) -> AsyncIterator[Callable[..., Any]]:
    """Opens desks on one SQLite database, with settings of the test's own."""
    from licentia.services.application import Application

    opened: list[Desk] = []

    async def open_one(**settings: Any) -> Desk:
        opened.append(Desk(await Application.open(Settings(data=data, **settings))))
        return opened[-1]

    yield open_one
    try:
        for desk in opened[-1:]:
            await desk.audit()
    finally:
        for desk in opened:
            await desk.application.close()


@pytest.fixture
def user() -> Callable[..., Caller]:
    """Makes the caller that an end user's own token stands for."""

    def make(name: str, *groups: str) -> Caller:
        subject = Subject(user=name, groups=groups)
        scopes = frozenset({"depot", "licensing"})
        return Caller(actor=f"user:{name}", scopes=scopes, address="192.0.2.7", subject=subject)

    return make


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str, str], None]:
    """Installs a plugin of somebody else: its group, its name, and the code of its module with a class `Plugin`."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def put(group: str, name: str, code: str) -> None:
        module = f"third_party_{name.replace('-', '_')}"
        monkeypatch.delitem(sys.modules, module, raising=False)
        (site / f"{module}.py").write_text(code)
        info = site / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[licentia.{group}]\n{name} = {module}:Plugin\n")

    return put
