"""A stand-in for Shopify: the part of its Admin API's schema that a connector needs, strict about what it is asked."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs

from graphql_shop import answered, connection
from loopback_shop import Request, Response

TOKEN = "shpat_1"
QUERY = re.compile(r"updated_at:>='([^']+)'(?: updated_at:<'([^']+)')?")
PATH = re.compile(r"/admin/api/20\d\d-\d\d/graphql\.json")
SCHEMA = """
scalar DateTime
scalar UnsignedInt64
enum OrderSortKeys { CREATED_AT ID PROCESSED_AT UPDATED_AT }
enum OrderDisplayFinancialStatus { AUTHORIZED EXPIRED PAID PARTIALLY_PAID PARTIALLY_REFUNDED PENDING REFUNDED VOIDED }
enum OrderTransactionStatus { AWAITING_RESPONSE ERROR FAILURE PENDING SUCCESS UNKNOWN }
type PageInfo { hasNextPage: Boolean! endCursor: String }
type Attribute { key: String! value: String }
type Product { legacyResourceId: UnsignedInt64! }
type ProductVariant { legacyResourceId: UnsignedInt64! }
type Customer { legacyResourceId: UnsignedInt64! firstName: String lastName: String }
type MailingAddress { name: String company: String }
type LineItem {
  id: ID! quantity: Int! sku: String variantTitle: String product: Product variant: ProductVariant
  customAttributes: [Attribute!]!
}
type LineItemConnection { nodes: [LineItem!]! pageInfo: PageInfo! }
type RefundLineItem { quantity: Int! lineItem: LineItem! }
type RefundLineItemConnection { nodes: [RefundLineItem!]! pageInfo: PageInfo! }
type OrderTransaction { status: OrderTransactionStatus! test: Boolean! }
type OrderTransactionConnection { nodes: [OrderTransaction!]! pageInfo: PageInfo! }
type Refund {
  id: ID! legacyResourceId: UnsignedInt64! createdAt: DateTime
  refundLineItems(first: Int, after: String): RefundLineItemConnection!
  transactions(first: Int, after: String): OrderTransactionConnection!
}
type Metafield { value: String! }
type Order {
  id: ID! legacyResourceId: UnsignedInt64! updatedAt: DateTime! cancelledAt: DateTime test: Boolean! email: String
  displayFinancialStatus: OrderDisplayFinancialStatus customer: Customer billingAddress: MailingAddress
  refunds(first: Int): [Refund!]! metafield(namespace: String, key: String!): Metafield
  lineItems(first: Int, after: String): LineItemConnection!
}
type OrderConnection { nodes: [Order!]! pageInfo: PageInfo! }
type Query {
  order(id: ID!): Order
  refund(id: ID!): Refund
  orders(first: Int, after: String, query: String, sortKey: OrderSortKeys, reverse: Boolean): OrderConnection!
}
input MetafieldsSetInput {
  ownerId: ID! namespace: String key: String! value: String! type: String compareDigest: String
}
input MetafieldIdentifierInput { ownerId: ID! namespace: String! key: String! }
type UserError { field: [String!] message: String! }
type MetafieldsSetPayload { userErrors: [UserError!]! }
type MetafieldsDeletePayload { userErrors: [UserError!]! }
type Mutation {
  metafieldsSet(metafields: [MetafieldsSetInput!]!): MetafieldsSetPayload
  metafieldsDelete(metafields: [MetafieldIdentifierInput!]!): MetafieldsDeletePayload
}
"""


class ShopifyShop:
    """A shop whose orders are those of webhooks, by their numbers; `throttled` is how many queries are too many."""

    def __init__(self, *orders: dict[str, Any]) -> None:
        self.requests: list[Request] = []
        self.orders = {str(order["id"]): order for order in orders}
        self.fields: dict[tuple[str, str], str] = {}
        self.clock = datetime(2026, 1, 5, 10, tzinfo=UTC)
        self.throttled = 0
        self.writes = 0

    def answer(self, request: Request) -> Response:
        """What the documented API answers."""
        response = self._answered(request)
        response.headers = {"date": format_datetime(self.clock, usegmt=True), **response.headers}
        return response

    def _answered(self, request: Request) -> Response:
        if request.path == "/admin/oauth/access_token":
            form = parse_qs(request.body.decode())
            right = form["grant_type"] == ["client_credentials"] and form["client_secret"] == ["cs"]
            return Response(
                {"access_token": TOKEN, "scope": "read_orders,write_orders", "expires_in": 86399}, 200 if right else 400
            )
        if not PATH.fullmatch(request.path):
            return Response({"errors": "Not Found"}, 404)
        if request.headers.get("x-shopify-access-token") != TOKEN or "authorization" in request.headers:
            return Response(
                {"errors": "[API] Invalid API key or access token (unrecognized login or wrong password)"}, 401
            )
        if self.throttled:
            self.throttled -= 1
            return Response({"errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}]})
        resolvers = {"orders": self._orders, "order": self._order, "refund": self._refund}
        return answered(SCHEMA, {**resolvers, "metafieldsSet": self._set, "metafieldsDelete": self._delete}, request)

    def _orders(self, info: Any, first: int, query: str, sortKey: str, **page: Any) -> Any:  # noqa: N803
        bounds = QUERY.fullmatch(query)
        assert bounds is not None
        assert first <= 250
        since, before = (datetime.fromisoformat(each) if each else None for each in bounds.groups())
        changed = {number: datetime.fromisoformat(order["updated_at"]) for number, order in self.orders.items()}
        numbers = [n for n, at in changed.items() if at >= since and (before is None or at < before)]  # type: ignore[operator]
        numbers.sort(key=lambda n: int(n) if sortKey == "ID" else (changed[n], -int(n)))  # type: ignore[return-value, arg-type]
        return connection([self._order(info, f"gid://shopify/Order/{n}") for n in numbers])(info, first, **page)

    def _order(self, info: Any, id: str) -> Any:
        order = self.orders.get(id.rpartition("/")[2])
        if order is None:
            return None
        refunds = [self._refund(info, f"gid://shopify/Refund/{each['id']}") for each in order.get("refunds", [])]
        buyer = order.get("customer")
        return {
            "id": id,
            "legacyResourceId": str(order["id"]),
            "updatedAt": order["updated_at"],
            "cancelledAt": order.get("cancelled_at"),
            "test": bool(order.get("test")),
            "email": order.get("email"),
            "displayFinancialStatus": order["financial_status"].upper(),
            "customer": buyer and {"legacyResourceId": str(buyer["id"]), **named(buyer)},
            "billingAddress": order.get("billing_address"),
            "refunds": refunds,
            "lineItems": connection([line(each) for each in order["line_items"]]),
            "metafield": lambda info, key, namespace: self._field(f"{id}/{namespace}", key),
        }

    def _refund(self, info: Any, id: str) -> Any:
        known = [each for order in self.orders.values() for each in order.get("refunds", [])]
        for refund in known:
            if id == f"gid://shopify/Refund/{refund['id']}":
                lines = [
                    {"quantity": each["quantity"], "lineItem": line(each["line_item"])}
                    for each in refund["refund_line_items"]
                ]
                paid = [
                    {"status": each["status"].upper(), "test": bool(each.get("test"))}
                    for each in refund.get("transactions", [])
                ]
                return {
                    "id": id,
                    "legacyResourceId": str(refund["id"]),
                    "createdAt": refund["created_at"],
                    "refundLineItems": connection(lines),
                    "transactions": connection(paid),
                }
        return None

    def _field(self, owner: str, key: str) -> Any:
        value = self.fields.get((owner, key))
        return None if value is None else {"value": value}

    def _set(self, info: Any, metafields: list[dict[str, str]]) -> Any:
        for field in metafields:
            if not field["value"] or not field["type"].endswith("_line_text_field"):
                return {"userErrors": [{"message": "Value can't be blank."}]}
            self.fields[f"{field['ownerId']}/{field['namespace']}", field["key"]] = field["value"]
        self.writes += 1
        return {"userErrors": []}

    def _delete(self, info: Any, metafields: list[dict[str, str]]) -> Any:
        for field in metafields:
            del self.fields[f"{field['ownerId']}/{field['namespace']}", field["key"]]
        self.writes += 1
        return {"userErrors": []}


def named(buyer: dict[str, Any]) -> dict[str, Any]:
    """The names of a customer."""
    return {"firstName": buyer.get("first_name"), "lastName": buyer.get("last_name")}


def line(item: dict[str, Any]) -> dict[str, Any]:
    """A line of a webhook, as GraphQL has it."""
    return {
        "id": f"gid://shopify/LineItem/{item['id']}",
        "quantity": item["quantity"],
        "sku": item.get("sku"),
        "variantTitle": item.get("variant_title"),
        "product": {"legacyResourceId": str(item["product_id"])} if item.get("product_id") else None,
        "variant": {"legacyResourceId": str(item["variant_id"])} if item.get("variant_id") else None,
        "customAttributes": [{"key": each["name"], "value": each["value"]} for each in item.get("properties") or []],
    }
