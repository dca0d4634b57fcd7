"""How each shop calls a key generator: the names of its fields, its signature, and the reply that it takes.

Sources: the key generator SDK of MyCommerce (4.5), cleverbridge's page on license key generators, FastSpring's
remote license fulfillment, 2Checkout's page on key generators, and Plesk's ISV protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from licentia.connectors import ChangeKind

Names = tuple[str, ...]
Signature = Literal["values-md5", "lengths-hmac-md5"]


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """One shop. Of several names of a field the first that has a value counts; their case does not.

    Attributes:
        marks: fields that only this shop sends; one of them is enough.
        order: what the order's number is called.
        line: what the line's id is called; without one, the line is called by its article, or `1` if `whole`.
        sku: what the article number is called; the others are alternatives.
        quantity: what the quantity is called; empty if the shop sells one at a time.
        customer: what the buyer's own id is called.
        name: what the buyer's name is put together from, if `company` is empty.
        test: the field that marks an order nobody paid for, with the values that say so.
        version: what the date is called that grows with each state of the order, day first.
        action: the field that tells what is to be done; without it, all is a purchase.
        actions: what each action means; None if it is not about orders.
        signature: how the fields are signed, and the field that holds the signature.
        whole: a call has all of the order.
        reply: the reply with the ticket.
        media_type: of the reply.
        failure: the status where there is no ticket.
    """

    marks: Names
    order: Names
    sku: Names
    line: Names = ()
    quantity: Names = ()
    customer: Names = ()
    company: Names = ("COMPANY",)
    name: Names = ("FIRSTNAME", "LASTNAME")
    email: Names = ("EMAIL",)
    test: tuple[str, frozenset[str]] = ("", frozenset())
    version: Names = ()
    action: str = ""
    actions: Mapping[str, ChangeKind | None] = {}
    signature: tuple[Signature, str] | None = None
    whole: bool = False
    reply: str = "{ticket}"
    media_type: str = "text/plain; charset=utf-8"
    failure: int = 500


YES = frozenset({"Y", "YES", "TRUE", "1"})

ELEMENT5 = Dialect(
    marks=("PURCHASE_ID",),
    order=("PURCHASE_ID",),
    line=("RUNNING_NO",),
    sku=("PRODUCT_ID",),
    quantity=("QUANTITY",),
    company=("COMPANY", "REG_NAME"),
)
"""The form of element5, whose successors MyCommerce and cleverbridge have kept its names."""

DIALECTS: Mapping[str, Dialect] = {
    "plesk": Dialect(
        marks=("APS_ACTION",),
        order=("PURCHASE_ID",),
        sku=("PRODUCT_ID",),
        customer=("REG_NAME",),
        company=(),
        name=(),
        email=(),
        test=("APS_TEST_MODE", YES),
        version=("PURCHASE_DATE", "APS_TERMINATION_DATE"),
        action="APS_ACTION",
        actions={
            "PURCHASE": "placed",
            "RENEW": "renewed",
            "UPGRADE": "changed",
            "TERMINATE": "cancelled",
            "GET-INFO": None,
        },
        whole=True,
        media_type="application/octet-stream",
        failure=400,
    ),
    "fastspring": Dialect(
        marks=("security_request_hash", "reference"),
        order=("reference", "orderReference"),
        sku=("internalProductName", "product", "sku"),
        quantity=("quantity",),
        company=("company",),
        name=("name", "firstName", "lastName"),
        email=("email",),
        test=("test", YES),
        signature=("values-md5", "security_request_hash"),
    ),
    "2checkout": Dialect(
        marks=("REFNO",),
        order=("REFNO",),
        sku=("PCODE", "PID"),
        quantity=("QUANTITY",),
        test=("TESTORDER", YES),
        signature=("lengths-hmac-md5", "HASH"),
        reply='<?xml version="1.0" encoding="UTF-8"?><Data><Line>{ticket}</Line></Data>',
        media_type="application/xml",
    ),
    "mycommerce": ELEMENT5,
    "cleverbridge": ELEMENT5,
}
"""The shops by name. The first of whose marks a call has one is the caller, so the commonest mark is the last."""
