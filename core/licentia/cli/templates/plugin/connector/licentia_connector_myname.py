"""myname: a shop that sends each state of an order as JSON, signed with a secret that both sides know."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from decimal import Decimal
from hashlib import sha256
from typing import Annotated, Any, Literal

import msgspec

from licentia.connectors import Change, Connector, Customer, Delivery, Line
from licentia.errors import InvalidRequest, Unauthenticated


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table `[connector.myname]`: the secret that the shop signs with."""

    secret: str


Count = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """A line of an order, as the shop writes it; what else it writes is not needed."""

    id: str
    article: str
    amount: Count


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order, as the shop writes it."""

    number: str
    state: Literal["open", "paid", "cancelled"]
    revision: Count
    buyer: str
    email: str | None = None
    items: tuple[Item, ...] = ()
    sandbox: bool = False


class MyNamePlugin(Connector):
    """An order earns licenses when it is paid; the shop signs the body, in the header `X-Shop-Signature`."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(name, settings)
        self.secret = msgspec.convert(settings, Settings).secret.encode()

    async def _authenticate(self, delivery: Delivery) -> None:
        wanted = hmac.digest(self.secret, delivery.body, sha256).hex()
        given = delivery.headers.get("x-shop-signature", "")
        if not hmac.compare_digest(wanted.encode(), given.encode("utf-8", "replace")):
            raise Unauthenticated("The shop has not signed this.", help="Give both sides the same secret.")

    def _normalise(self, delivery: Delivery) -> tuple[Change, ...]:
        try:
            order = msgspec.json.decode(delivery.body, type=Order)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidRequest(f"This is no order of the shop: {error}") from None
        if order.state == "open":
            return ()
        lines = (Line(line_id=item.id, sku=item.article, quantity=Decimal(item.amount)) for item in order.items)
        return (
            Change(
                kind="placed" if order.state == "paid" else "cancelled",
                order_number=order.number,
                version=order.revision,
                full_snapshot=True,
                customer=Customer(id=order.buyer, email=order.email),
                lines=tuple(lines),
                test=order.sandbox,
            ),
        )
