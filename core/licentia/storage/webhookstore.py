"""The deliveries of webhooks: made from the event log, claimed by one process, settled.

A process holds a delivery by its `due_at`, which it has set ahead: one that dies gives it back by itself.
Endpoints are locked before their deliveries, always.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from tortoise.functions import Count
from tortoise.queryset import QuerySet

from licentia.contract.events import Event
from licentia.domain.events import canonical
from licentia.domain.instants import optional_instant, to_micros
from licentia.domain.seats import Happened
from licentia.domain.webhooks import Answer, is_wanted, judge, message_id, payload
from licentia.storage import eventlog
from licentia.storage.database import Connection, Transaction
from licentia.storage.webhook_models import Webhook, WebhookDelivery

HELD = timedelta(seconds=60)
"""How long a claimed delivery is nobody else's; an attempt takes less."""

PAGE = 500
"""How many events are looked at in one go."""

BACKLOG = 10_000
"""With so many waiting deliveries an endpoint gets no more of them; the events wait in their log."""

_DUE = """
SELECT id FROM webhook WHERE state = 'enabled' AND (paused_until IS NULL OR paused_until <= $1) AND EXISTS (
    SELECT 1 FROM webhook_delivery AS due
    WHERE due.webhook_id = webhook.id AND due.state = 'waiting' AND due.due_at <= $1
)"""


async def unread(webhook: Webhook, connection: Connection) -> tuple[list[Event], str] | None:
    """The next events that an endpoint has not been given, and the cursor after them; None if there are none."""
    events, cursor = await eventlog.page(connection, webhook.cursor, PAGE)
    if not events or await WebhookDelivery.filter(webhook_id=webhook.id, state="waiting").count() >= BACKLOG:
        return None
    return events, cursor


async def give(webhook: Webhook, events: Sequence[Event], cursor: str, tx: Transaction) -> None:
    """Make the deliveries of these events and move the cursor, unless somebody else has done so meanwhile."""
    held = await Webhook.filter(id=webhook.id).select_for_update().first()
    if held is None or held.state != "enabled" or held.cursor != webhook.cursor:
        return
    patterns = msgspec.json.decode(held.kinds, type=list[str])
    now = await tx.now()
    made = [
        WebhookDelivery(
            id=message_id(held.id, event.hash),
            webhook_id=held.id,
            event_id=event.event_id,
            kind=event.kind,
            at=event.at,
            data=canonical(payload(event.data, event.event_id, full=held.payload == "full")),
            due_at=now,
        )
        for event in events
        if is_wanted(event.kind, patterns)
    ]
    if made:
        await WebhookDelivery.bulk_create(made)
    await Webhook.filter(id=held.id).update(cursor=cursor)


async def due(connection: Connection) -> set[str]:
    """The endpoints that want something now, and have something to be sent."""
    rows = await connection.rows(_DUE, to_micros(await connection.now()))
    return {row["id"] for row in rows}


async def claim(webhook_id: str, most: int, tx: Transaction) -> list[tuple[Webhook, WebhookDelivery]]:
    """Take deliveries of an endpoint that are due, the longest due first, each with the endpoint as it is now."""
    webhook = await Webhook.get_or_none(id=webhook_id, state="enabled")
    if webhook is None:
        return []
    now = await tx.now()
    found = WebhookDelivery.filter(webhook_id=webhook_id, state="waiting", due_at__lte=now)
    taken = await found.order_by("due_at", "number").limit(most).select_for_update(skip_locked=True)
    await _hold([delivery.number for delivery in taken], now + HELD)
    return [(webhook, delivery) for delivery in taken]


async def again(found: QuerySet[WebhookDelivery], tx: Transaction) -> int:
    """Have deliveries tried now, from the first attempt on; how many these are."""
    return await found.update(state="waiting", due_at=await tx.now(), attempts=0)


async def release(delivery: WebhookDelivery, tx: Transaction) -> None:
    """Give back a claimed delivery that was not tried."""
    await _hold([delivery.number], await tx.now())


async def settle(delivery: WebhookDelivery, answer: Answer, tx: Transaction) -> list[Happened]:
    """Write down what came of an attempt; the events that follow from it."""
    webhook = await Webhook.filter(id=delivery.webhook_id).select_for_update().first()
    if webhook is None:
        return []
    now = await tx.now()
    since = None if webhook.failing_since is None else to_micros(webhook.failing_since)
    verdict = judge(answer, delivery.attempts + 1, since, to_micros(now))
    await WebhookDelivery.filter(number=delivery.number, attempts=delivery.attempts, state="waiting").update(
        state=verdict.state,
        due_at=optional_instant(verdict.due_at),
        attempts=delivery.attempts + 1,
        attempted_at=now,
        status=answer.status,
        answer=answer.text or None,
        problem=answer.problem,
    )
    changes: dict[str, Any] = {}
    if verdict.failing_since != since:
        changes["failing_since"] = optional_instant(verdict.failing_since)
    if verdict.paused_until is not None:
        changes["paused_until"] = optional_instant(verdict.paused_until)
    happened = []
    if verdict.disabled is not None and webhook.state == "enabled":
        changes |= {"state": "disabled", "reason": verdict.disabled, "updated_at": now}
        data = {"webhook_id": webhook.id, "reason": verdict.disabled}
        happened.append(Happened(kind="webhook.disabled", actor="server", data=data))
    if changes:
        await Webhook.filter(id=webhook.id).update(**changes)
    return happened


async def counts(webhook_ids: Sequence[str]) -> dict[tuple[str, str], int]:
    """How many deliveries there are that wait or were given up, by endpoint and state."""
    found = WebhookDelivery.filter(webhook_id__in=[*webhook_ids], state__in=["waiting", "failed"])
    rows = (
        await found.annotate(many=Count("number"))
        .group_by("webhook_id", "state")
        .values_list("webhook_id", "state", "many")
    )
    return {(str(row[0]), str(row[1])): int(row[2]) for row in rows}


async def forget(before: datetime, most: int) -> int:
    """Delete some of the deliveries that were settled before a time; how many were."""
    numbers: list[Any] = []
    for state in ("delivered", "failed"):
        found = WebhookDelivery.filter(state=state, attempted_at__lt=before).limit(most)
        numbers += await found.values_list("number", flat=True)
    if numbers:
        await WebhookDelivery.filter(number__in=numbers).delete()
    return len(numbers)


async def _hold(numbers: list[int], until: datetime) -> None:
    if numbers:
        await WebhookDelivery.filter(number__in=numbers, state="waiting").update(due_at=until)
