"""A stand-in for Vendure: the part of its Admin API's schema that a connector needs, for tests without a real shop."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from graphql_shop import answered
from loopback_shop import Request, Response

SCHEMA = """
scalar DateTime
scalar JSON
enum SortOrder { ASC DESC }
input DateOperators { eq: DateTime before: DateTime after: DateTime }
input BooleanOperators { eq: Boolean }
input StringOperators { eq: String }
input OrderFilterParameter {
  _and: [OrderFilterParameter!] active: BooleanOperators updatedAt: DateOperators code: StringOperators
}
input OrderSortParameter { id: SortOrder updatedAt: SortOrder }
input OrderListOptions { skip: Int take: Int sort: OrderSortParameter filter: OrderFilterParameter }
type OrderCustomFields { licentiaTicket: String licentiaProblem: String }
type ProductVariantCustomFields { licenceItem: String }
type OrderLineCustomFields { domain: String }
type Customer { id: ID! emailAddress: String! firstName: String! lastName: String! }
type ProductVariant { sku: String! customFields: ProductVariantCustomFields }
type OrderLine { id: ID! quantity: Int! productVariant: ProductVariant! customFields: OrderLineCustomFields }
type Payment { method: String! state: String! }
type Order {
  id: ID! code: String! state: String! updatedAt: DateTime! customer: Customer lines: [OrderLine!]!
  payments: [Payment!] customFields: OrderCustomFields
}
type OrderList { items: [Order!]! totalItems: Int! }
type Query { orders(options: OrderListOptions): OrderList! }
input UpdateOrderCustomFieldsInput { licentiaTicket: String licentiaProblem: String }
input UpdateOrderInput { id: ID! customFields: UpdateOrderCustomFieldsInput }
type CurrentUser { identifier: String! }
interface ErrorResult { message: String! }
type InvalidCredentialsError implements ErrorResult { message: String! }
union AuthenticationResult = CurrentUser | InvalidCredentialsError
type Mutation {
  login(username: String!, password: String!, rememberMe: Boolean): AuthenticationResult!
  setOrderCustomFields(input: UpdateOrderInput!): Order
}
"""


class VendureShop:
    """A shop with orders as its Admin API has them."""

    def __init__(self, *orders: dict[str, Any]) -> None:
        self.requests: list[Request] = []
        self.orders = {order["code"]: order for order in orders}
        self.clock = datetime(2026, 1, 5, 10, tzinfo=UTC)
        self.writes = 0
        self.schema = SCHEMA

    def answer(self, request: Request) -> Response:
        """What the shop answers to somebody with its key, or who has logged in."""
        headers = {"date": format_datetime(self.clock, usegmt=True)}
        known = request.headers.get("vendure-api-key") == "key" or request.headers.get("cookie") == "session=1"
        if not known and "login(" not in request.json()["query"]:
            error = {"message": "You are not authorized", "extensions": {"code": "FORBIDDEN"}}
            return Response({"errors": [error], "data": None}, headers=headers)
        response = answered(
            self.schema, {"orders": self._orders, "login": self._login, "setOrderCustomFields": self._set}, request
        )
        return Response(response.value, headers=headers if known else {**headers, "set-cookie": "session=1"})

    def _login(self, info: Any, username: str, password: str, **others: Any) -> Any:
        if (username, password) == ("licentia", "right"):
            return {"__typename": "CurrentUser", "identifier": username}
        return {"__typename": "InvalidCredentialsError", "message": "The provided credentials are invalid"}

    def _orders(self, info: Any, options: dict[str, Any]) -> Any:
        conditions = [options["filter"], *options["filter"].get("_and", [])]
        found = [order for order in self.orders.values() if all(_fits(order, each) for each in conditions)]
        if sort := options.get("sort"):
            (name,) = sort
            found.sort(key=lambda order: (order[name], order["id"]))
        skip = options.get("skip", 0)
        return {"items": found[skip : skip + options["take"]], "totalItems": len(found)}

    def _set(self, info: Any, input: dict[str, Any]) -> Any:
        (order,) = (each for each in self.orders.values() if each["id"] == input["id"])
        order["customFields"] = {**order.get("customFields", {}), **input["customFields"]}
        self.writes += 1
        return order


def _fits(order: dict[str, Any], condition: dict[str, Any]) -> bool:
    bounds = condition.get("updatedAt", {})
    at = order["updatedAt"]
    return condition.get("code", {}).get("eq", order["code"]) == order["code"] and bounds.get(
        "after", ""
    ) < at < bounds.get("before", "9999")
