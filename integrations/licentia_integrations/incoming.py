"""What connectors that read loose texts have in common: settings, secrets that are only shown, bounded values."""

from __future__ import annotations

import base64
import contextlib
import hmac
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

from msgspec import Meta

from licentia.connectors import Customer, Delivery
from licentia.errors import InvalidRequest, Unauthenticated
from licentia.settings import table

Secret = Annotated[str, Meta(min_length=1)]
Secrets = Secret | Annotated[tuple[Secret, ...], Meta(min_length=1, max_length=8)]
"""One secret, or several of which each is enough, while they are changed."""

LONGEST_ID, LONGEST_EMAIL = 200, 254
NUMBER = re.compile(r"\d{1,12}(\.\d{1,9})?")
T = TypeVar("T")


def settings_of(kind: type[T], name: str, settings: Mapping[str, Any]) -> T:
    """The settings of a connector as its struct.

    Raises:
        SettingsError: one is unknown, missing or wrong; it is named, its value is not repeated.
    """
    return table(settings, kind, f"[connector.{name}]")


def secrets_of(given: Secrets) -> tuple[str, ...]:
    """The secrets of a setting, always as several."""
    return (given,) if isinstance(given, str) else given


def check_shown(delivery: Delivery, secrets: Iterable[str]) -> None:
    """Return if the sender shows one of the secrets: as a bearer token, by Basic, or as `?secret=` in the address.

    Basic authentication (RFC 7617) shows `user:password`: the secret is the password, or both with their colon.

    Raises:
        Unauthenticated: it shows none of them.
    """
    scheme, _, credentials = delivery.headers.get("authorization", "").partition(" ")
    shown = [credentials.strip()] if scheme.lower() == "bearer" else []
    if scheme.lower() == "basic":
        with contextlib.suppress(ValueError):
            both = base64.b64decode(credentials.strip(), validate=True).decode()
            shown += [both, both.partition(":")[2]]
    shown += [value for name, value in query_of(delivery.url) if name == "secret"]
    right = False
    for secret in secrets:
        for given in shown:
            right |= hmac.compare_digest(secret.encode(), given.encode("utf-8", "replace"))
    if not right:
        raise Unauthenticated(
            "The sender shows no secret that is known here.",
            help="Give both sides the same secret: as a bearer token, as password or user:password, or as `?secret=`.",
        )


def query_of(url: str) -> list[tuple[str, str]]:
    """The parameters of an address; none if it is illegible."""
    try:
        return parse_qsl(urlsplit(url).query, keep_blank_values=True, max_num_fields=200)
    except ValueError:
        return []


def identifier(value: str | None, what: str) -> str:
    """An id as it is, without blanks around it.

    Raises:
        InvalidRequest: it is missing, or longer than an id may be.
    """
    text = (value or "").strip()
    if not 0 < len(text) <= LONGEST_ID:
        raise InvalidRequest(f"{what} is {'missing' if not text else f'longer than {LONGEST_ID} characters'}.")
    return text


def quantity(value: str | None, what: str) -> Decimal:
    """A quantity, with a point before its fraction.

    Raises:
        InvalidRequest: it is missing, negative, or no number of at most 12 digits.
    """
    text = (value or "").strip().removeprefix("+")
    if not (text.isascii() and NUMBER.fullmatch(text)):
        raise InvalidRequest(f"{what} is {f'{text[:40]!r}, which is no quantity' if text else 'missing'}.")
    return Decimal(text)


def label(value: str | None) -> str | None:
    """A text for people to read, cut where it is too long; None if there is none."""
    return " ".join((value or "").split())[:LONGEST_ID] or None


def customer(id: str | None, name: str | None, email: str | None) -> Customer | None:
    """Who bought; the mail address is the id of somebody who has no other, and without both there is nobody."""
    address = (email or "").strip()
    known = (id or "").strip() or address
    if not 0 < len(known) <= LONGEST_ID:
        return None
    return Customer(id=known, name=label(name), email=address if 0 < len(address) <= LONGEST_EMAIL else None)
