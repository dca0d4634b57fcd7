"""Orders as Shopify's Admin API answers them by GraphQL, and what they mean.

Where GraphQL has a connection there is a plain list here: its pages are put together when an order is fetched.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from licentia.connectors import Change
from licentia_integrations.shopify.documents import (
    Address,
    Buyer,
    Document,
    Item,
    Property,
    Refund,
    Returned,
    Transaction,
)
from licentia_integrations.shops import Id, Sku


class Ref(msgspec.Struct, rename="camel"):
    """Something that has a number."""

    legacy_resource_id: Id | None = None


class Attribute(msgspec.Struct):
    """What a buyer chose with a line."""

    key: str | None = None
    value: str | None = None


class LineNode(msgspec.Struct, rename="camel"):
    """A line; the last part of its `id` is its number."""

    id: str
    quantity: Decimal | None = None
    sku: Sku | None = None
    variant_title: str | None = None
    product: Ref | None = None
    variant: Ref | None = None
    custom_attributes: list[Attribute] | None = None

    def item(self) -> Item:
        """The line as a webhook has it."""
        return Item(
            id=number(self.id),
            quantity=self.quantity,
            sku=self.sku,
            product_id=self.product.legacy_resource_id if self.product else None,
            variant_id=self.variant.legacy_resource_id if self.variant else None,
            variant_title=self.variant_title,
            properties=[Property(each.key, each.value) for each in self.custom_attributes or ()],
        )


class RefundedNode(msgspec.Struct, rename="camel"):
    """A line of a refund."""

    line_item: LineNode
    quantity: Decimal | None = None


class PaymentNode(msgspec.Struct):
    """A payment back."""

    status: str = ""
    test: bool = False


class Payments(msgspec.Struct):
    """The payments back of a refund."""

    nodes: list[PaymentNode]


class RefundNode(msgspec.Struct, rename="camel"):
    """A refund."""

    legacy_resource_id: Id
    refund_line_items: list[RefundedNode]
    transactions: Payments
    created_at: str | None = None

    def refund(self, order: Id) -> Refund:
        """The refund as a webhook has it."""
        lines = [(number(each.line_item.id), each) for each in self.refund_line_items]
        return Refund(
            refund_line_items=[Returned(id, each.quantity, each.line_item.item()) for id, each in lines],
            id=self.legacy_resource_id,
            order_id=order,
            created_at=self.created_at,
            transactions=[Transaction(each.status.lower(), each.test) for each in self.transactions.nodes],
        )


class CustomerNode(Ref, rename="camel"):
    """Who bought."""

    first_name: str | None = None
    last_name: str | None = None


class OrderNode(msgspec.Struct, rename="camel"):
    """An order with its refunds."""

    legacy_resource_id: Id
    line_items: list[LineNode]
    refunds: list[RefundNode] = []
    display_financial_status: str | None = None
    cancelled_at: str | None = None
    updated_at: str | None = None
    test: bool = False
    email: str | None = None
    customer: CustomerNode | None = None
    billing_address: Address | None = None

    def changes(self) -> tuple[Change, ...]:
        """What the order means now, and its refunds."""
        buyer = self.customer
        document = Document(
            line_items=[each.item() for each in self.line_items],
            id=self.legacy_resource_id,
            financial_status=(self.display_financial_status or "").lower(),
            cancelled_at=self.cancelled_at,
            updated_at=self.updated_at,
            test=self.test,
            email=self.email,
            customer=Buyer(buyer.legacy_resource_id, buyer.first_name, buyer.last_name) if buyer else None,
            billing_address=self.billing_address,
            refunds=[each.refund(self.legacy_resource_id) for each in self.refunds],
        )
        return document.changes()


def number(gid: str) -> str:
    """The number in an id such as `gid://shopify/LineItem/466157049`."""
    return gid.partition("?")[0].rpartition("/")[2]
