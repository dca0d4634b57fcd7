"""The settings of `[connector.csv]`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from licentia_integrations.incoming import Secrets

Heading = Annotated[str, Meta(min_length=1, max_length=100)]
Kind = Literal["placed", "changed", "cancelled", "returned", "renewed"]
Meaning = Kind | Literal["ignored"]

KINDS: Mapping[str, Meaning] = {
    "placed": "placed",
    "new": "placed",
    "paid": "placed",
    "completed": "placed",
    "complete": "placed",
    "processing": "placed",
    "shipped": "placed",
    "delivered": "placed",
    "activated": "placed",
    "closedwon": "placed",
    "bezahlt": "placed",
    "abgeschlossen": "placed",
    "order": "placed",
    "changed": "changed",
    "updated": "changed",
    "cancelled": "cancelled",
    "canceled": "cancelled",
    "voided": "cancelled",
    "storniert": "cancelled",
    "returned": "returned",
    "refunded": "returned",
    "renewed": "renewed",
    "renewal": "renewed",
    "pending": "ignored",
    "pendingpayment": "ignored",
    "onhold": "ignored",
    "draft": "ignored",
    "unpaid": "ignored",
    "authorized": "ignored",
    "partiallypaid": "ignored",
    "failed": "ignored",
    "expired": "ignored",
    "offen": "ignored",
}
"""What the words of a column of states mean, unless `kinds` says otherwise; `ignored` is not paid, or not yet."""

YES = frozenset({"1", "y", "yes", "true", "x", "test"})


class Headings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the columns are called in the file; what is not set may have any of the usual names."""

    order_number: Heading | None = None
    line_id: Heading | None = None
    sku: Heading | None = None
    quantity: Heading | None = None
    customer_id: Heading | None = None
    customer_name: Heading | None = None
    customer_email: Heading | None = None
    kind: Heading | None = None
    version: Heading | None = None
    origin: Heading | None = None
    test: Heading | None = None


class CsvSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the file is written; docs/plugins/csv.md explains each."""

    secret: Secrets
    columns: Headings = Headings()
    kinds: dict[str, Meaning] = {}
    delimiter: Literal["auto", ",", ";", "\t", "|"] = "auto"
    decimal: Literal["auto", ".", ","] = "auto"
    encoding: Literal["auto", "utf-8", "utf-16", "windows-1252", "iso-8859-1"] = "auto"
    complete: bool = False
