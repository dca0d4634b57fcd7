"""Orders and opportunities as the REST API of Salesforce answers a query, and what they mean.

Fields are those of the Object Reference for the Salesforce Platform: Order, OrderItem, Opportunity and
OpportunityLineItem.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from licentia.connectors import Change, ChangeKind, Line, Short
from licentia_integrations.incoming import customer
from licentia_integrations.remote import odd
from licentia_integrations.salesforce.settings import SalesforceSettings
from licentia_integrations.shops import counted, milliseconds, numbers, required

PRODUCT = "Product2Id, Product2.ProductCode, Product2.StockKeepingUnit"
SHARED = "Id, SystemModstamp, IsDeleted, AccountId, Account.Name"
ORDER = f"{SHARED}, OrderNumber, Status, StatusCode"
DEAL = f"{SHARED}, StageName, IsWon, IsClosed"
PAST = "IsReductionOrder, OriginalOrderId, OriginalOrder.OrderNumber"
LINES = f"(SELECT Id, Quantity, {PRODUCT} FROM "  # noqa: S608 - of constants, for SOQL
REDUCED = LINES.replace("Quantity", "Quantity, OriginalOrderItemId")
LEFT = "WHERE IsDeleted = false)"
QUERIES = {
    "Opportunity": f"SELECT {DEAL}, {LINES}OpportunityLineItems {LEFT} FROM Opportunity",  # noqa: S608
    "Order": f"SELECT {ORDER}, {LINES}OrderItems {LEFT} FROM Order",  # noqa: S608
    "Reduction": f"SELECT {ORDER}, {PAST}, {REDUCED}OrderItems {LEFT} FROM Order",  # noqa: S608
}
"""What is asked for an object, without its condition; only organizations with reduction orders know the last."""


class Attributes(msgspec.Struct, frozen=True):
    """What the API says of a record."""

    type: str = ""


class Account(msgspec.Struct):
    """Who buys."""

    Name: str | None = None


class Product(msgspec.Struct):
    """The article of a line."""

    ProductCode: Short | None = None
    StockKeepingUnit: Short | None = None


class Item(msgspec.Struct):
    """A line of either object."""

    Id: Short
    Quantity: Decimal | None = None
    ProductCode: Short | None = None
    Product2Id: Short | None = None
    Product2: Product | None = None
    OriginalOrderItemId: Short | None = None

    def line(self, returned: bool) -> Line:
        """The line of a change; a reduction order has negative quantities."""
        product = self.Product2 or Product()
        known = numbers(product.StockKeepingUnit, product.ProductCode or self.ProductCode, self.Product2Id)
        quantity = -self.Quantity if returned and self.Quantity is not None else self.Quantity
        return Line(
            line_id=required((returned and self.OriginalOrderItemId) or self.Id, "A line's Id"),
            sku=known[0] if known else "",
            quantity=counted(quantity, f"line {self.Id}"),
            alternatives=known[1:],
        )


class Items(msgspec.Struct):
    """The lines, as far as one answer holds them."""

    records: list[Item] = []
    done: bool = True


class Original(msgspec.Struct):
    """The order that a reduction order takes from."""

    OrderNumber: Short | None = None


class Record(msgspec.Struct):
    """An Order or an Opportunity, or an answer with several; UNSET are lines that were not asked for."""

    Id: Short = ""
    records: list[Record] | None = None
    attributes: Attributes = Attributes()
    SystemModstamp: Short | None = None
    LastModifiedDate: Short | None = None
    AccountId: Short | None = None
    Account: Account | None = None
    IsDeleted: bool | None = False
    StageName: Short | None = None
    IsWon: bool | None = None
    IsClosed: bool | None = None
    OrderNumber: Short | None = None
    Status: Short | None = None
    StatusCode: Short | None = None
    IsReductionOrder: bool | None = False
    OriginalOrderId: Short | None = None
    OriginalOrder: Original | None = None
    OrderItems: Items | msgspec.UnsetType | None = msgspec.UNSET
    OpportunityLineItems: Items | msgspec.UnsetType | None = msgspec.UNSET

    def changes(self, settings: SalesforceSettings, sandbox: bool) -> tuple[Change, ...]:
        """What the record means; nothing if it is still open."""
        records = [self] if self.records is None else self.records
        return tuple(change for each in records for change in each._one(settings, sandbox))

    def _one(self, settings: SalesforceSettings, sandbox: bool) -> tuple[Change, ...]:
        required(self.Id, "The record's Id")
        if self.attributes.type == "Order" or (not self.attributes.type and self.Id.startswith("801")):
            return self._change(self._order_kind(), self.OrderNumber or self.Id, self.OrderItems, sandbox)
        if self.attributes.type == "Opportunity" or (not self.attributes.type and self.Id.startswith("006")):
            return self._change(self._deal_kind(settings), self.Id, self.OpportunityLineItems, sandbox)
        return ()

    def _order_kind(self) -> ChangeKind | None:
        status = (self.StatusCode or self.Status or "").lower()
        if self.IsDeleted or status in ("canceled", "cancelled"):
            return "cancelled"
        if status not in ("activated", "expired"):
            return None
        return "returned" if self.IsReductionOrder else "placed"

    def _deal_kind(self, settings: SalesforceSettings) -> ChangeKind | None:
        won = self.StageName in settings.won_stages if self.IsWon is None else self.IsWon
        closed = self.StageName in settings.lost_stages if self.IsClosed is None else self.IsClosed
        if self.IsDeleted or (closed and not won):
            return "cancelled"
        return "placed" if won else None

    def _change(self, kind: ChangeKind | None, number: str, items: Any, sandbox: bool) -> tuple[Change, ...]:
        if kind is None:
            return ()
        if isinstance(items, Items) and not items.done:
            raise odd("the order has more lines than Salesforce puts into one answer")
        returned = kind == "returned"
        original = (self.OriginalOrder and self.OriginalOrder.OrderNumber) or self.OriginalOrderId
        return (
            Change(
                kind=kind,
                order_number=required(number, "The order's number"),
                version=milliseconds(self.SystemModstamp or self.LastModifiedDate),
                full_snapshot=items is not msgspec.UNSET,
                customer=customer(self.AccountId, self.Account.Name if self.Account else None, None),
                lines=tuple(each.line(returned) for each in items.records) if isinstance(items, Items) else (),
                origin=original if returned else None,
                test=sandbox,
            ),
        )
