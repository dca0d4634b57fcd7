"""The orders of a shop by the Admin API: which have changed, all of one, and what is written into it.

An order's lines and refunds are asked for apart, each list page by page, so that no query costs more than 1000 points.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from licentia.connectors import Delivery, Outcome
from licentia.errors import Unavailable
from licentia_integrations.calls import delivered
from licentia_integrations.changed import Asked, Row, Told, moment
from licentia_integrations.shopify.admin import Admin, read
from licentia_integrations.shops import milliseconds

LISTED = "orders"
"""The pointer of what a poll finds: only which order has changed."""

ORDER = re.compile(r"orders/(\d{1,20})")
NAMESPACE, TICKET, PROBLEM = "licentia", "ticket", "problem"
MOST_PROBLEM = 2000
MOST_PAGES = 20
SECOND = 1000
NOTHING = b"null"

LIST = """query ($first: Int!, $after: String, $sort: OrderSortKeys!, $query: String!) {
  pages: orders(first: $first, after: $after, sortKey: $sort, query: $query) {
    nodes { legacyResourceId updatedAt } pageInfo { hasNextPage endCursor }
  }
}"""
LINE = """id quantity sku variantTitle product { legacyResourceId } variant { legacyResourceId }
      customAttributes { key value }"""
ONE = f"""query ($id: ID!, $after: String) {{
  it: order(id: $id) {{
    legacyResourceId displayFinancialStatus cancelledAt updatedAt test email
    customer {{ legacyResourceId firstName lastName }}
    billingAddress {{ name company }}
    refunds {{ id }}
    pages: lineItems(first: 100, after: $after) {{
      nodes {{ {LINE} }}
      pageInfo {{ hasNextPage endCursor }}
    }}
  }}
}}"""
REFUND = f"""query ($id: ID!, $after: String) {{
  it: refund(id: $id) {{
    legacyResourceId createdAt
    transactions(first: 50) {{ nodes {{ status test }} }}
    pages: refundLineItems(first: 100, after: $after) {{
      nodes {{ quantity lineItem {{ {LINE} }} }}
      pageInfo {{ hasNextPage endCursor }}
    }}
  }}
}}"""
NOTED = """query ($id: ID!) {
  it: order(id: $id) {
    ticket: metafield(namespace: "licentia", key: "ticket") { value }
    problem: metafield(namespace: "licentia", key: "problem") { value }
  }
}"""
SET = """mutation ($fields: [MetafieldsSetInput!]!) {
  done: metafieldsSet(metafields: $fields) { userErrors { message } }
}"""
DELETE = """mutation ($fields: [MetafieldIdentifierInput!]!) {
  done: metafieldsDelete(metafields: $fields) { userErrors { message } }
}"""


class _PageInfo(msgspec.Struct, rename="camel"):
    has_next_page: bool
    end_cursor: str | None = None


class _Pages(msgspec.Struct, rename="camel"):
    nodes: list[dict[str, Any]]
    page_info: _PageInfo


class _Listed(msgspec.Struct):
    pages: _Pages


class _Found(msgspec.Struct):
    it: msgspec.Raw


class _Head(msgspec.Struct, rename="camel"):
    legacy_resource_id: str
    updated_at: str


class _Refunds(msgspec.Struct):
    refunds: list[dict[str, str]]

    def ids(self) -> list[str]:
        """The ids of the refunds."""
        return [each.get("id", "") for each in self.refunds]


class _Value(msgspec.Struct):
    value: str


class _Noted(msgspec.Struct):
    ticket: _Value | None = None
    problem: _Value | None = None


class _UserError(msgspec.Struct):
    message: str


class _Result(msgspec.Struct, rename="camel"):
    user_errors: list[_UserError]


class _Done(msgspec.Struct):
    done: _Result


class Orders:
    """The orders of the shop that `admin` belongs to."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin

    async def changed(self, asked: Asked) -> Told:
        """Which orders have changed. Their times are whole seconds; the number of a row is a cursor."""
        begin = -(-asked.since // SECOND) * SECOND
        query = f"updated_at:>='{moment(begin)}'"
        if asked.after is not None:
            query += f" updated_at:<'{moment(begin + SECOND)}'"
        variables = {"sort": "UPDATED_AT" if asked.after is None else "ID", "after": asked.after or None}
        page = (await self._admin.ask(LIST, _Listed, first=asked.most, query=query, **variables)).pages
        rows = [self._row(each, page.page_info.end_cursor or "") for each in page.nodes]
        return Told(rows, page.page_info.has_next_page, self._admin.now)

    async def one(self, pointer: str) -> Delivery | None:
        """An order with all its lines and refunds; None if it is gone."""
        path = ORDER.fullmatch(pointer)
        order = await self._whole(ONE, "lineItems", f"gid://shopify/Order/{path[1]}") if path else None
        if order is None:
            return None
        refunds = [await self._whole(REFUND, "refundLineItems", id) for id in msgspec.convert(order, _Refunds).ids()]
        order["refunds"] = [refund for refund in refunds if refund is not None]
        return delivered(msgspec.json.encode(order), self._admin.url, pointer)

    async def write(self, outcome: Outcome) -> None:
        """Write into an order what came of it, if it does not stand there."""
        if not ORDER.fullmatch(f"orders/{outcome.order_number}"):
            return
        id = f"gid://shopify/Order/{outcome.order_number}"
        found = bytes((await self._admin.ask(NOTED, _Found, id=id)).it)
        if found == NOTHING:
            return
        noted = read(found, _Noted)
        problem = (outcome.problem or "")[:MOST_PROBLEM]
        wanted = [(TICKET, outcome.ticket, noted.ticket, "single_line_text_field")]
        wanted += [(PROBLEM, problem, noted.problem, "multi_line_text_field")]
        fields = [
            {"ownerId": id, "namespace": NAMESPACE, "key": key, "type": kind, "value": value}
            for key, value, known, kind in wanted
            if value and (known is None or known.value != value)
        ]
        if fields:
            await self._do(SET, fields)
        if noted.problem is not None and not problem:
            await self._do(DELETE, [{"ownerId": id, "namespace": NAMESPACE, "key": PROBLEM}])

    async def _do(self, text: str, fields: list[dict[str, str]]) -> None:
        for error in (await self._admin.ask(text, _Done, fields=fields)).done.user_errors:
            raise Unavailable(f"The shop refuses: {error.message[:200]}", help="Look at the order's metafields.")

    async def _whole(self, text: str, name: str, id: str) -> dict[str, Any] | None:
        """An order or a refund, with all pages of its list under the name of that."""
        nodes: list[Any] = []
        after: str | None = None
        for _ in range(MOST_PAGES):
            found = bytes((await self._admin.ask(text, _Found, id=id, after=after)).it)
            if found == NOTHING:
                return None
            listed = read(found, _Listed)
            nodes += listed.pages.nodes
            if not listed.pages.page_info.has_next_page:
                return {**read(found, dict[str, Any]), name: nodes}
            after = listed.pages.page_info.end_cursor
        raise Unavailable(f"An order of the shop has more than {MOST_PAGES * 100} lines.")

    def _row(self, told: dict[str, Any], cursor: str) -> Row:
        document = msgspec.json.encode(told)
        head = read(document, _Head)
        delivery = delivered(document, self._admin.url, LISTED)
        return Row(cursor, milliseconds(head.updated_at), delivery, f"{head.legacy_resource_id}@{head.updated_at}")
