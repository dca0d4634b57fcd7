"""Outgoing webhooks without a network: who is told what, in which form, and when again."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from licentia.domain.instants import DAY, SECOND
from licentia.domain.webhooks import (
    BUSY,
    GIVE_UP,
    JITTER,
    MEDIA_TYPES,
    SCHEDULE,
    Answer,
    Message,
    is_pattern,
    is_wanted,
    judge,
    message_id,
    payload,
)

NOW = 1_800_000_000 * SECOND
GOOD, BAD = Answer(status=204), Answer(status=500, problem="It answered with status 500.")
DATA = {"order_id": "o", "source": "erp", "order_number": "1", "version": 2, "user": "ada", "lines": [{"sku": "cad"}]}


@pytest.mark.parametrize(
    ("kind", "patterns", "wanted"),
    [
        ("order.placed", ["*"], True),
        ("order.placed", ["order.*"], True),
        ("order.placed", ["order.placed"], True),
        ("order.placed", ["license.*", "order.placed"], True),
        ("order.placed", ["order.cancelled"], False),
        ("order.placed", ["license.*"], False),
        ("order.placed", ["orde.*", "order", "order.p*", ""], False),
        ("orders.placed", ["order.*"], False),
        ("lease.granted", ["*"], False),
        ("lease.granted", ["*", "lease.*"], True),
        ("lease.granted", ["lease.granted"], True),
        ("webhook.disabled", ["*"], False),
        ("webhook.disabled", ["webhook.*"], True),
    ],
)
def test_patterns(kind: str, patterns: list[str], wanted: bool) -> None:
    """A kind, all of a noun, or all but what is busy."""
    assert is_wanted(kind, patterns) is wanted


@pytest.mark.parametrize("noun", sorted(BUSY))
def test_what_is_busy_is_asked_for_by_name(noun: str) -> None:
    """`*` never means what comes with every use or what strangers cause."""
    assert not is_wanted(f"{noun}.done", ["*"])
    assert is_wanted(f"{noun}.done", [f"{noun}.*"])


@pytest.mark.parametrize("text", ["*", "order.*", "order.placed", "lease_key.rotated"])
def test_what_is_a_pattern(text: str) -> None:
    """Three forms."""
    assert is_pattern(text)


@pytest.mark.parametrize("text", ["", "order", "*.placed", "order.p*", "order.", ".placed", "a.b.c", "**", "order.*\n"])
def test_what_is_no_pattern(text: str) -> None:
    """Everything else is refused rather than never matching."""
    assert not is_pattern(text)


def test_a_thin_payload_names_things() -> None:
    """It has identifiers; the full one has every fact. Both name the event in the audit trail."""
    names = {"event_id": "3-7", "order_id": "o", "source": "erp", "order_number": "1", "version": 2}
    assert payload(DATA, "3-7", full=False) == names
    assert payload(DATA, "3-7", full=True) == {"event_id": "3-7", **DATA}


def test_an_id_belongs_to_one_event_and_one_endpoint() -> None:
    """Always the same, never shared, and of the form that receivers keep."""
    ids = {message_id(endpoint, event) for endpoint in ("a", "b") for event in ("0" * 64, "1" * 64)}
    assert len(ids) == 4
    assert message_id("a", "0" * 64) in ids
    assert all(len(each) == 29 and each.startswith("msg_") and "." not in each for each in ids)


def message() -> Message:
    """One that has all."""
    at = datetime(2026, 11, 24, 2, 0, 0, 5, UTC)
    return Message(id="msg_1", kind="order.placed", at=at, data=msgspec.Raw(b'{"order_id":"o"}'))


def test_the_standard_form() -> None:
    """Exactly type, timestamp and data."""
    assert msgspec.json.decode(message().body("standard", "https://x.example")) == {
        "type": "order.placed",
        "timestamp": "2026-11-24T02:00:00.000005Z",
        "data": {"order_id": "o"},
    }
    assert MEDIA_TYPES["standard"] == "application/json"


def test_the_form_of_cloud_events() -> None:
    """All attributes that CloudEvents 1.0 requires, in its structured mode, with the id of the message."""
    assert msgspec.json.decode(message().body("cloudevents", "https://x.example")) == {
        "specversion": "1.0",
        "id": "msg_1",
        "source": "https://x.example",
        "type": "order.placed",
        "time": "2026-11-24T02:00:00.000005Z",
        "datacontenttype": "application/json",
        "data": {"order_id": "o"},
    }
    assert MEDIA_TYPES["cloudevents"].startswith("application/cloudevents+json")


def test_a_good_answer_ends_it() -> None:
    """It is delivered, and the endpoint fails no more."""
    verdict = judge(GOOD, 3, NOW - DAY, NOW)
    assert (verdict.state, verdict.due_at, verdict.failing_since, verdict.disabled) == ("delivered", None, None, None)


@pytest.mark.parametrize("attempts", range(1, len(SCHEDULE)))
def test_the_schedule(attempts: int) -> None:
    """After each failure it waits as the standard suggests, or up to a fifth longer."""
    verdict = judge(BAD, attempts, None, NOW)
    wait = SCHEDULE[attempts] * SECOND
    assert verdict.state == "waiting"
    assert verdict.failing_since == NOW
    assert verdict.due_at is not None
    assert wait <= verdict.due_at - NOW <= wait * (1 + JITTER)


def test_waits_differ() -> None:
    """What failed together does not come back together."""
    assert len({judge(BAD, 3, None, NOW).due_at for _ in range(50)}) > 40


def test_the_last_attempt_is_the_last() -> None:
    """After ten attempts, three days, it is given up; the endpoint is not."""
    verdict = judge(BAD, len(SCHEDULE), NOW - DAY, NOW)
    assert (verdict.state, verdict.due_at, verdict.disabled) == ("failed", None, None)
    assert sum(SCHEDULE) < 4 * DAY // SECOND


@pytest.mark.parametrize(("since", "disabled"), [(NOW - GIVE_UP + 1, False), (NOW - GIVE_UP, True)])
def test_an_endpoint_that_fails_for_days_is_disabled(since: int, disabled: bool) -> None:
    """Five days without a success, and the reason tells the last failure."""
    verdict = judge(BAD, 1, since, NOW)
    assert (verdict.disabled is not None) is disabled
    if verdict.disabled:
        assert "5 days" in verdict.disabled
        assert "500" in verdict.disabled


def test_gone_is_believed_at_once() -> None:
    """410 disables the endpoint; the delivery waits for whoever enables it again."""
    verdict = judge(Answer(status=410, problem="It answered with status 410."), 1, None, NOW)
    assert verdict.disabled is not None
    assert "410" in verdict.disabled
    assert verdict.state == "waiting"


@pytest.mark.parametrize(
    ("status", "after", "paused"),
    [(429, 120, 120), (503, 120, 120), (429, 0, 0), (429, None, None), (500, 120, None), (503, 10**9, 86_400)],
)
def test_a_wish_to_wait_is_respected(status: int, after: int | None, paused: int | None) -> None:
    """`Retry-After` of a 429 or a 503 holds for the whole endpoint, up to a day, and never shortens the wait."""
    verdict = judge(Answer(status=status, problem="no", retry_after=after), 1, None, NOW)
    assert verdict.paused_until == (None if paused is None else NOW + paused * SECOND)
    assert verdict.due_at is not None
    assert verdict.due_at >= max(NOW + SCHEDULE[1] * SECOND, verdict.paused_until or 0)


@given(
    answer=st.builds(
        Answer,
        status=st.none() | st.integers(300, 599),
        problem=st.just("no"),
        retry_after=st.none() | st.integers(0, 10**9),
    ),
    attempts=st.integers(1, 12),
    since=st.none() | st.integers(0, NOW),
)
def test_a_failure_is_tried_again_or_given_up(answer: Answer, attempts: int, since: int | None) -> None:
    """Never delivered, never tried in the past, and the first failure is remembered."""
    verdict = judge(answer, attempts, since, NOW)
    assert verdict.state == ("failed" if attempts >= len(SCHEDULE) else "waiting")
    assert (verdict.due_at is None) is (verdict.state == "failed")
    assert verdict.due_at is None or verdict.due_at > NOW
    assert verdict.failing_since == (NOW if since is None else since)
