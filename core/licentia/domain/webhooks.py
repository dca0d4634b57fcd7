"""Outgoing webhooks, without input and output: who gets which event, in which form, and when it is tried again."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

from licentia.contract.webhooks import Format
from licentia.domain.instants import DAY, SECOND

BUSY = frozenset({"lease", "seat", "units", "authentication", "ticket", "delivery", "webhook"})
"""Nouns of events that `*` leaves out: what comes with every use, what strangers can cause, what is about endpoints."""

NAMING = frozenset({"source", "order_number", "sku", "product_code", "version"})
"""Members of an event that a thin payload keeps beside those that end in `_id`."""

SCHEDULE = (0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds to wait before each attempt, from the one before: three days in all (Standard Webhooks, "Retries")."""

JITTER = 0.2
"""By how much of itself a wait is made longer at most, so that what failed together does not come back together."""

GIVE_UP = 5 * DAY
"""How long an endpoint may fail without a success in between before it is disabled, in microseconds."""

LONGEST_PAUSE = 86_400
"""How many seconds of a `Retry-After` are believed at most."""

TEST_KIND = "webhook.test"
GONE, TOO_MANY, UNAVAILABLE = 410, 429, 503
MEDIA_TYPES: Mapping[Format, str] = {
    "standard": "application/json",
    "cloudevents": "application/cloudevents+json; charset=utf-8",
}


def is_pattern(text: str) -> bool:
    """Whether this asks for events: `order.placed`, `order.*` or `*`."""
    return re.fullmatch(r"\*|[a-z_]+\.(\*|[a-z_]+)", text) is not None


def is_wanted(kind: str, patterns: Iterable[str]) -> bool:
    """Whether an event of a kind is asked for by one of the patterns."""
    noun = kind.partition(".")[0]
    return any(each == kind or each == f"{noun}.*" or (each == "*" and noun not in BUSY) for each in patterns)


def message_id(webhook_id: str, event_hash: str) -> str:
    """The id of the message that tells an endpoint of an event: always the same, and of no other event."""
    return f"msg_{hashlib.sha256(f'{webhook_id} {event_hash}'.encode()).hexdigest()[:25]}"


def payload(data: Mapping[str, Any], event_id: str, *, full: bool) -> dict[str, Any]:
    """What an endpoint is told of an event: its identifiers, or all the facts that the audit trail has."""
    told = {name: value for name, value in data.items() if full or name.endswith("_id") or name in NAMING}
    return {"event_id": event_id, **told}


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent: `data` is JSON, `at` when it happened."""

    id: str
    kind: str
    at: datetime
    data: msgspec.Raw

    def body(self, format: Format, source: str) -> bytes:
        """The body, the same at every attempt.

        `standard` is that of Standard Webhooks 1.0.0; `cloudevents` is the structured mode of CloudEvents 1.0.2
        in JSON, whose `source` is the address of this server.
        """
        if format == "standard":
            return msgspec.json.encode({"type": self.kind, "timestamp": self.at, "data": self.data})
        return msgspec.json.encode(
            {
                "specversion": "1.0",
                "id": self.id,
                "source": source,
                "type": self.kind,
                "time": self.at,
                "datacontenttype": "application/json",
                "data": self.data,
            }
        )


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an attempt: the status and the beginning of the body, or the `problem` that kept us from both."""

    status: int | None = None
    text: str = ""
    problem: str | None = None
    retry_after: int | None = None

    @property
    def good(self) -> bool:
        """Whether the message arrived: any 2xx says so, and nothing else does."""
        return self.problem is None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What follows from an attempt. Times are microseconds since 1970.

    Attributes:
        state: of the delivery.
        due_at: when it is tried again; None if it is not.
        failing_since: when the endpoint began to fail; None if it does not.
        paused_until: before when the endpoint wants nothing.
        disabled: why the endpoint is disabled; None if it is not.
    """

    state: Literal["waiting", "delivered", "failed"]
    due_at: int | None = None
    failing_since: int | None = None
    paused_until: int | None = None
    disabled: str | None = None


def judge(answer: Answer, attempts: int, failing_since: int | None, now: int) -> Verdict:
    """What follows from an attempt.

    Args:
        answer: what came of it.
        attempts: how many there were, this one included.
        failing_since: as it was before this attempt.
        now: the time.
    """
    if answer.good:
        return Verdict(state="delivered")
    since = now if failing_since is None else failing_since
    disabled = None
    if answer.status == GONE:
        disabled = "It answered 410 Gone: it wants no more."
    elif now - since >= GIVE_UP:
        disabled = f"It took nothing for {GIVE_UP // DAY} days. At last: {answer.problem}"
    paused = None
    if answer.retry_after is not None and answer.status in (TOO_MANY, UNAVAILABLE):
        paused = now + min(answer.retry_after, LONGEST_PAUSE) * SECOND
    if attempts >= len(SCHEDULE):
        return Verdict(state="failed", failing_since=since, paused_until=paused, disabled=disabled)
    wait = SCHEDULE[attempts] * (1 + random.uniform(0, JITTER))  # noqa: S311
    due = max(now + int(wait * SECOND), paused or 0)
    return Verdict(state="waiting", due_at=due, failing_since=since, paused_until=paused, disabled=disabled)
