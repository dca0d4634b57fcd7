"""Dataverse (Dynamics 365 Sales): the context of a step that calls a webhook, and the sales order behind it.

The context is a RemoteExecutionContext as .NET writes it; over 256 KB its parameters are left out, so only
what stands beside them is needed here. Fields of an order are those of the table `salesorder`.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import msgspec

from licentia.connectors import Change, ChangeKind, Line, Short
from licentia_integrations.dynamics.settings import DynamicsSettings
from licentia_integrations.incoming import customer
from licentia_integrations.remote import odd
from licentia_integrations.shops import counted, milliseconds, numbers, required

ORDER, DETAIL = "salesorder", "salesorderdetail"
GUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
POINTER = re.compile(rf"salesorders\({GUID.pattern}\)")
QUERY = (
    "$select=salesorderid,ordernumber,statecode,modifiedon,_customerid_value"
    "&$expand=order_details($select=salesorderdetailid,quantity,_productid_value;"
    "$expand=productid($select=productnumber)),"
    "customerid_account($select=name,emailaddress1),customerid_contact($select=fullname,emailaddress1)"
)
CANCELED = 2


class Pair(msgspec.Struct):
    """One entry of a .NET dictionary."""

    key: str
    value: Any = None


class Context(msgspec.Struct):
    """What a step tells of the record that it ran for."""

    PrimaryEntityName: str
    MessageName: str
    PrimaryEntityId: str | None = None
    OperationId: str | None = None
    InputParameters: list[Pair] | None = None
    PreEntityImages: list[Pair] | None = None
    PostEntityImages: list[Pair] | None = None

    def change(self) -> Change | None:
        """Where to ask for the order; None if the record is none of one."""
        if self.PrimaryEntityName == ORDER:
            if self.MessageName == "Delete" and isinstance(number := self._told("ordernumber"), str):
                return Change(kind="cancelled", order_number=required(number[:200], "The order's number"))
            id: Any = self.PrimaryEntityId
        elif self.PrimaryEntityName == DETAIL:
            reference = self._told("salesorderid")
            id = reference.get("Id") if isinstance(reference, dict) else None
            if id is None:
                raise odd("a line does not tell its order: register an image with `salesorderid`")
        else:
            return None
        if not (isinstance(id, str) and GUID.fullmatch(id)):
            raise odd("the context names no record")
        return Change(kind="pointer", pointer=f"salesorders({id.lower()})")

    def _told(self, name: str) -> Any:
        """An attribute of the record, from where it is told."""
        for pair in (*(self.InputParameters or ()), *(self.PostEntityImages or ()), *(self.PreEntityImages or ())):
            attributes = pair.value.get("Attributes") if isinstance(pair.value, dict) else None
            for each in attributes if isinstance(attributes, list) else ():
                if isinstance(each, dict) and each.get("key") == name and each.get("value") is not None:
                    return each["value"]
        return None


class Product(msgspec.Struct):
    """The article of a line."""

    productnumber: Short | None = None


class Detail(msgspec.Struct):
    """A line; one whose article was written in by hand has no product."""

    salesorderdetailid: Short
    quantity: Decimal | None = None
    product_id: Short | None = msgspec.field(name="_productid_value", default=None)
    productid: Product | None = None

    def line(self) -> Line:
        """The line of a change."""
        known = numbers(self.productid.productnumber if self.productid else None, self.product_id)
        return Line(
            line_id=required(self.salesorderdetailid, "A line's id"),
            sku=known[0] if known else "",
            quantity=counted(self.quantity, f"line {self.salesorderdetailid}"),
            alternatives=known[1:],
        )


class Buyer(msgspec.Struct):
    """An account or a contact."""

    name: str | None = None
    fullname: str | None = None
    emailaddress1: str | None = None


class Order(msgspec.Struct):
    """A sales order as the Web API answers it."""

    salesorderid: str
    ordernumber: Short | None = None
    statecode: int | None = None
    modifiedon: Short | None = None
    buyer_id: Short | None = msgspec.field(name="_customerid_value", default=None)
    customerid_account: Buyer | None = None
    customerid_contact: Buyer | None = None
    order_details: list[Detail] | None = None

    def changes(self, settings: DynamicsSettings) -> tuple[Change, ...]:
        """What the order means; nothing while it is being written."""
        kind: ChangeKind = "cancelled" if self.statecode == CANCELED else "placed"
        if self.statecode not in (CANCELED, *settings.placed_states):
            return ()
        buyer = self.customerid_account or self.customerid_contact or Buyer()
        return (
            Change(
                kind=kind,
                order_number=required(self.ordernumber, "The order's number"),
                version=milliseconds(self.modifiedon),
                full_snapshot=self.order_details is not None,
                customer=customer(self.buyer_id, buyer.name or buyer.fullname, buyer.emailaddress1),
                lines=tuple(each.line() for each in self.order_details or ()),
            ),
        )
