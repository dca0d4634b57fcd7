"""keygen-http: shops that call a key generator while the buyer waits, and show what it replies.

The call is a form, in the body or in the address; the reply's text is what the buyer gets. So the ticket goes
back at once, and a call that is repeated gets the same one.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

import msgspec
from msgspec import Meta

from licentia.connectors import Answer, Answering, Change, Connector, Delivery, Line, Outcome
from licentia.errors import InvalidRequest, Unauthenticated
from licentia_integrations.incoming import (
    Secrets,
    check_shown,
    customer,
    identifier,
    quantity,
    query_of,
    secrets_of,
    settings_of,
)
from licentia_integrations.keygen_http.dialects import DIALECTS, Dialect, Names

MAX_BYTES = 262_144
MAX_FIELDS = 200
DATE = re.compile(r"(\d{1,2})[\\/.-](\d{1,2})[\\/.-](\d{4})")


class KeygenSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of the shop; docs/plugins/keygen-http.md explains each."""

    secret: Secrets
    dialect: Literal["auto", "mycommerce", "cleverbridge", "fastspring", "2checkout", "plesk"] = "auto"
    reply: Annotated[str, Meta(max_length=2000)] = ""

    def __post_init__(self) -> None:
        if self.reply and "{ticket}" not in self.reply:
            raise ValueError("`reply` must contain {ticket}")


class Form:
    """The fields of a call by name, whatever the case of their letters, and in the order in which they came."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self.pairs = pairs
        self._by_name = {name.lower(): value.strip() for name, value in reversed(pairs)}

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._by_name

    def get(self, name: str) -> str:
        """The value of a field; empty if there is none."""
        return self._by_name.get(name.lower(), "")

    def first(self, names: Names) -> str:
        """The first of these fields that has a value."""
        return next(filter(None, map(self.get, names)), "")


class KeyGenerator(Connector, Answering):
    """Settings: `secret`, which the shop shows or signs with; `dialect`: which shop; `reply`: another form of it."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(name, settings)
        given = settings_of(KeygenSettings, name, settings)
        self._secrets = secrets_of(given.secret)
        self._dialect = given.dialect
        self._reply = given.reply

    async def _authenticate(self, delivery: Delivery) -> None:
        form = _form(delivery, Unauthenticated)
        dialect = self._spoken(form, Unauthenticated)
        if dialect.signature and form.get(dialect.signature[1]):
            how, field = dialect.signature
            signed = [(name, value) for name, value in form.pairs if name.lower() != field.lower()]
            given, right = form.get(field).lower().encode("utf-8", "replace"), False
            for secret in self._secrets:
                right |= hmac.compare_digest(SIGNATURES[how](signed, secret).encode(), given)
            if right:
                return
        check_shown(delivery, self._secrets)

    def _normalise(self, delivery: Delivery) -> tuple[Change, ...]:
        form = _form(delivery, InvalidRequest)
        dialect = self._spoken(form, InvalidRequest)
        action = form.get(dialect.action).upper()
        if dialect.action and action not in dialect.actions:
            raise InvalidRequest(f"{dialect.action} is {action[:40]!r}, which this version does not know.")
        kind = dialect.actions[action] if dialect.action else "placed"
        if kind is None:
            return ()
        number = identifier(form.first(dialect.order), f"The order number ({dialect.order[0]})")
        name = " ".join(filter(None, map(form.get, dialect.name)))
        return (
            Change(
                kind=kind,
                order_number=number,
                version=_version(form.first(dialect.version)),
                full_snapshot=dialect.whole and kind != "cancelled",
                customer=customer(
                    form.first(dialect.customer), form.first(dialect.company) or name, form.first(dialect.email)
                ),
                lines=() if kind == "cancelled" else (_line(form, dialect),),
                origin=number if kind == "renewed" else None,
                test=form.get(dialect.test[0]).upper() in dialect.test[1],
            ),
        )

    def _delivery_id(self, delivery: Delivery) -> str:
        fields = sorted((name, value) for name, value in _pairs(delivery) if name.lower() != "secret")
        return hashlib.sha256(msgspec.json.encode(fields) if fields else delivery.body).hexdigest()

    def _answer(self, delivery: Delivery, outcomes: tuple[Outcome, ...]) -> Answer:
        try:
            dialect = self._spoken(_form(delivery, InvalidRequest), InvalidRequest)
            needed = any(change.kind != "cancelled" for change in self._normalise(delivery))
        except InvalidRequest as refusal:
            return Answer(status=400, body=refusal.detail.encode())
        problems = [each.problem for each in outcomes if each.problem]
        tickets = list(dict.fromkeys(each.ticket for each in outcomes if each.ticket))
        if problems or (needed and not tickets):
            return Answer(status=dialect.failure, body=(" ".join(problems) or "There is no ticket yet.").encode())
        if not tickets:
            return Answer(status=204)
        reply, text = self._reply or dialect.reply, "\n".join(tickets)
        shown = escape(text) if "xml" in dialect.media_type else text
        return Answer(status=200, body=reply.replace("{ticket}", shown).encode(), media_type=dialect.media_type)

    def _spoken(self, form: Form, refusal: type[InvalidRequest | Unauthenticated]) -> Dialect:
        """The dialect of the settings, or the one whose marks the call has."""
        if self._dialect != "auto":
            return DIALECTS[self._dialect]
        found = next((each for each in DIALECTS.values() if any(mark in form for mark in each.marks)), None)
        if found is None:
            raise refusal("This is no call of a shop that is known here.")
        return found


def _pairs(delivery: Delivery) -> list[tuple[str, str]]:
    """The fields of the body, then those of the address; none if either is illegible."""
    charset = re.search(r"charset=\"?([\w-]{1,20})", delivery.headers.get("content-type", ""))
    encoding = "latin-1" if charset and charset[1].lower() in ("iso-8859-1", "latin1", "windows-1252") else "utf-8"
    if len(delivery.body) > MAX_BYTES:
        return []
    text = delivery.body.decode(encoding, "replace")
    try:
        fields = parse_qsl(text, keep_blank_values=True, encoding=encoding, errors="replace", max_num_fields=MAX_FIELDS)
    except ValueError:
        return []
    return fields + query_of(delivery.url)


def _form(delivery: Delivery, refusal: type[InvalidRequest | Unauthenticated]) -> Form:
    pairs = _pairs(delivery)
    if not pairs:
        raise refusal(f"This is no form of at most {MAX_FIELDS} fields and {MAX_BYTES} bytes.")
    return Form(pairs)


def _line(form: Form, dialect: Dialect) -> Line:
    skus = list(dict.fromkeys(filter(None, map(form.get, dialect.sku))))
    sku = identifier(skus[0] if skus else "", f"The article number ({dialect.sku[0]})")
    fallback = "1" if dialect.whole else sku
    return Line(
        line_id=identifier(form.first(dialect.line) or fallback, "The line's id"),
        sku=sku,
        quantity=quantity(form.first(dialect.quantity), "The quantity") if dialect.quantity else Decimal(1),
        alternatives=tuple(identifier(each, "An article number") for each in skus[1:]),
    )


def _version(text: str) -> int:
    """Milliseconds since 1970 of a date with the day first; 0 if there is none."""
    found = DATE.fullmatch(text)
    try:
        day = datetime(int(found[3]), int(found[2]), int(found[1]), tzinfo=UTC) if found else None
    except ValueError:
        day = None
    return max(0, int(day.timestamp() * 1000)) if day else 0


def _values_md5(fields: list[tuple[str, str]], secret: str) -> str:
    """FastSpring: the values in the order of their names, then the private key."""
    text = "".join(value for _, value in sorted(fields)) + secret
    return hashlib.md5(text.encode("utf-8", "replace"), usedforsecurity=False).hexdigest()


def _lengths_hmac_md5(fields: list[tuple[str, str]], secret: str) -> str:
    """2Checkout: each value after its length in bytes, in the order in which they came."""
    values = (value.encode("utf-8", "replace") for _, value in fields)
    return hmac.digest(secret.encode(), b"".join(str(len(each)).encode() + each for each in values), "md5").hex()


SIGNATURES = {"values-md5": _values_md5, "lengths-hmac-md5": _lengths_hmac_md5}
