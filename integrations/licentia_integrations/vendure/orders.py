"""The orders of a shop by its Admin API: which have changed, and what is written into them."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from licentia.connectors import Outcome
from licentia_integrations.calls import delivered
from licentia_integrations.changed import Asked, Row, moment
from licentia_integrations.offsets import Counted
from licentia_integrations.remote import Api
from licentia_integrations.shops import milliseconds
from licentia_integrations.vendure.admin import Admin, names

TICKET, PROBLEM = "licentiaTicket", "licentiaProblem"
"""The custom fields of an order that Licentia's plugin makes."""

MOST_PROBLEM = 2000
NOTES = 100

CHANGED = """query ($options: OrderListOptions) {
  orders(options: $options) {
    totalItems
    items {
      code state updatedAt
      customer { id emailAddress firstName lastName }
      lines { id quantity %s productVariant { sku %s } }
      payments { method state }
    }
  }
}"""
FOUND = """query ($code: String!) {
  orders(options: {take: 1, filter: {code: {eq: $code}}}) {
    items { id customFields { licentiaTicket licentiaProblem } }
  }
}"""
NOTED = """query ($code: String!, $notes: Int!) {
  orders(options: {take: 1, filter: {code: {eq: $code}}}) {
    items {
      id
      history(options: {take: $notes, sort: {createdAt: DESC}, filter: {type: {eq: "ORDER_NOTE"}}}) { items { data } }
    }
  }
}"""
SET = "mutation ($input: UpdateOrderInput!) { setOrderCustomFields(input: $input) { id } }"
ADD = "mutation ($input: AddNoteToOrderInput!) { addNoteToOrder(input: $input) { id } }"


class _Listed(msgspec.Struct, rename="camel"):
    total_items: int
    items: list[msgspec.Raw]


class _Orders(msgspec.Struct):
    orders: _Listed


class _Head(msgspec.Struct, rename="camel"):
    code: str
    updated_at: str


class _Data(msgspec.Struct):
    data: dict[str, Any]


class _History(msgspec.Struct, frozen=True):
    items: tuple[_Data, ...] = ()


class _Known(msgspec.Struct, rename="camel"):
    id: str
    custom_fields: dict[str, Any] | None = None
    history: _History = _History()


class _Items(msgspec.Struct):
    items: list[_Known]


class _Found(msgspec.Struct):
    orders: _Items


class Orders:
    """The orders of the shop that `admin` belongs to."""

    def __init__(self, admin: Admin, api: Api) -> None:
        self._admin, self._api = admin, api

    async def changed(self, asked: Asked, skip: int) -> Counted:
        """Orders that have changed, without carts; see `licentia_integrations.offsets`."""
        custom = await self._admin.custom()
        text = CHANGED % (_selected(names(custom.line)), _selected(names(custom.variant)))
        when, order = {"after": moment(asked.since - 1)}, {"updatedAt": "ASC"}
        if asked.after is not None:
            when["before"], order = moment(asked.since + 1), {"id": "ASC"}
        both = [{"updatedAt": {name: value}} for name, value in when.items()]
        options = {
            "take": asked.most,
            "skip": skip,
            "sort": order,
            "filter": {"_and": [{"active": {"eq": False}}, *both]},
        }
        found = (await self._admin.ask(text, _Orders, options=options)).orders
        rows = [self._row(bytes(each)) for each in found.items]
        return Counted(rows, found.total_items, self._admin.now)

    async def write(self, outcome: Outcome) -> None:
        """Write into an order what came of it, if it does not stand there."""
        if TICKET in names((await self._admin.custom()).order):
            await self._write_fields(outcome)
        else:
            await self._write_note(outcome)

    async def _write_fields(self, outcome: Outcome) -> None:
        for order in (await self._admin.ask(FOUND, _Found, code=outcome.order_number)).orders.items:
            known = order.custom_fields or {}
            wanted = {PROBLEM: outcome.problem and outcome.problem[:MOST_PROBLEM]}
            if outcome.ticket:
                wanted[TICKET] = outcome.ticket
            if any(known.get(name) != value for name, value in wanted.items()):
                await self._admin.ask(SET, dict[str, Any], input={"id": order.id, "customFields": wanted})

    async def _write_note(self, outcome: Outcome) -> None:
        """The buyer sees a ticket, and only the shop a problem; there is one note of each text."""
        told = f"License ticket: {outcome.ticket}" if outcome.ticket else ""
        note = told or f"Licentia: {(outcome.problem or '')[:MOST_PROBLEM]}"
        found = await self._admin.ask(NOTED, _Found, code=outcome.order_number, notes=NOTES)
        for order in found.orders.items:
            if note not in [entry.data.get("note") for entry in order.history.items]:
                added = {"id": order.id, "note": note, "isPublic": bool(told)}
                await self._admin.ask(ADD, dict[str, Any], input=added)

    def _row(self, document: bytes) -> Row:
        head = Admin.read(document, _Head)
        delivery = delivered(document, self._api.url, f"orders/{head.code}")
        return Row("", milliseconds(head.updated_at), delivery, hashlib.sha256(document).hexdigest())


def _selected(fields: list[str]) -> str:
    return f"customFields {{ {' '.join(fields)} }}" if fields else ""
