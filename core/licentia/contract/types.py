"""The bounded types that requests and replies are made of.

A bound is declared once, here, and every face derives from it: msgspec checks it, OpenAPI and XSD
publish it. A pattern is written without anchors, in the syntax that Python, ECMA 262 and XSD share.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta

WHOLE = r"(?!\n)"
"""Follows the `$` of every pattern here."""


def matching(pattern: str, description: str, *, max_length: int, min_length: int = 1) -> Meta:
    """A bounded string whose whole text must match `pattern`.

    Python's `$` also matches before a final newline, which JSON Schema's does not: `WHOLE` closes
    that gap, and what publishes a pattern leaves it out.
    """
    return Meta(
        pattern=f"^(?:{pattern})${WHOLE}",
        min_length=min_length,
        max_length=max_length,
        description=description,
        extra={"xsd_pattern": pattern},
    )


def text(description: str, *, max_length: int, min_length: int = 0) -> Meta:
    """Free text without the control characters that XML 1.0 cannot carry (section 2.2, Char)."""
    return Meta(
        pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]*$" + WHOLE,
        min_length=min_length,
        max_length=max_length,
        description=description,
    )


Id = Annotated[str, matching(r"[A-Za-z0-9._~\-]+", "An opaque identifier.", max_length=64)]
Sku = Annotated[str, matching(r"[A-Za-z0-9._~\-]+", "What is sold: the article number.", max_length=64)]
ProductCode = Annotated[
    str, matching(r"[A-Za-z0-9._~\-]+", "What is licensed: the code the application asks for.", max_length=64)
]
ContainerKind = Annotated[
    str, matching(r"[a-z][a-z0-9\-]*", "The kind of a container, the name of its plugin.", max_length=32)
]
Feature = Annotated[str, matching(r"[A-Za-z0-9._~\-]+", "The name of a feature.", max_length=64)]
User = Annotated[
    str,
    matching(
        r"[!-.0-~\u00a1-\ud7ff\ue000-\ufffd]+", "A user, by the id in the vendor's user management.", max_length=255
    ),
]
Station = Annotated[str, text("Where the application runs, for a person to read.", max_length=200, min_length=1)]
TicketCode = Annotated[
    str,
    matching(
        r"[A-Za-z0-9 \-]+",
        "A ticket, five groups of five characters; case, spaces, missing dashes and I/1, O/0 are forgiven.",
        max_length=64,
    ),
]
Name = Annotated[str, text("A name for a person to read.", max_length=200, min_length=1)]
Text = Annotated[str, text("Free text.", max_length=1000)]
ProtectedData = Annotated[str, text("Data of the vendor's own.", max_length=8192)]
Email = Annotated[str, text("An e-mail address; not checked further.", max_length=254)]
Content = Annotated[
    str, matching(r"[A-Za-z0-9+/= \t\r\n]*", "Bytes in base64 (RFC 4648).", max_length=196_608, min_length=0)
]
Delivered = Annotated[
    str, matching(r"[A-Za-z0-9+/= \t\r\n]*", "Bytes in base64 (RFC 4648).", max_length=4_194_304, min_length=0)
]
Cursor = Annotated[
    str,
    matching(r"[A-Za-z0-9._~\-]*", "Where to go on: `next_cursor` of the page before.", max_length=1024, min_length=0),
]

Quantity = Annotated[int, Meta(ge=1, le=1_000_000, description="How many.")]
Count = Annotated[int, Meta(ge=0, le=2**53 - 1, description="A number of things, none included.")]
Units = Annotated[int, Meta(ge=1, le=1_000_000_000_000, description="A number of units.")]
Days = Annotated[int, Meta(ge=1, le=36_525, description="A number of days.")]
Seconds = Annotated[int, Meta(ge=0, le=31_622_400, description="A number of seconds.")]
TtlSeconds = Annotated[int, Meta(ge=1, le=604_800, description="How long a lease lives, in seconds.")]
PageSize = Annotated[int, Meta(ge=1, le=500, description="How many entries a page has at most.")]
Instant = Annotated[datetime, Meta(tz=True, description="A time (RFC 3339), answered in UTC.")]

LicenseModel = Literal["floating", "named_user", "node_locked", "exclusive", "station_share", "unlimited"]
WithdrawMode = Literal["now", "at_next_contact"]
OrderStatus = Literal["fulfilled", "cancelled", "cancel_pending"]
LicenseState = Literal["available", "activated", "expired", "withdraw_pending", "withdrawn"]
LeaseState = Literal["live", "borrowed", "lingering"]
ActivationState = Literal["delivered", "confirmed", "returning", "returned", "restoring", "restored", "withdrawn"]
