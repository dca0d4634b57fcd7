"""Webhooks: define endpoints, look at what became of their deliveries, send again."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import msgspec
from tortoise.queryset import QuerySet

from licentia.contract.webhooks import (
    DeleteWebhook,
    GetWebhook,
    ListWebhookDeliveries,
    ListWebhooks,
    PutWebhook,
    PutWebhookReply,
    ReplayedWebhook,
    ReplayWebhookDeliveries,
    ReplayWebhookDelivery,
    RotateWebhookSecret,
    TestedWebhook,
    TestWebhook,
    Webhook,
    WebhookDelivery,
    WebhookDeliveryPage,
    WebhookPage,
    WebhookWithSecret,
)
from licentia.crypto.webhookkeys import WebhookKeys
from licentia.domain.webhooks import TEST_KIND, Message, is_pattern
from licentia.errors import Conflict, InvalidRequest, NotFound
from licentia.services.context import Context
from licentia.services.posting import KeyPeriod
from licentia.storage import eventlog, webhook_models, webhookstore

MOST = 100
"""How many endpoints there are at most: each may have several connections open."""

SIGNS_ALONG = timedelta(hours=24)
"""How long an old key signs beside the new one."""

PERIODS = 3
"""How many keys sign at once at most, however often they are changed."""


async def put_webhook(request: PutWebhook, context: Context) -> PutWebhookReply:
    """Create or replace an endpoint."""
    if (problem := context.post.refusal(request.endpoint_url)) is not None:
        raise InvalidRequest.at("/endpoint_url", problem)
    for place, pattern in enumerate(request.kinds):
        if not is_pattern(pattern):
            raise InvalidRequest.at(f"/kinds/{place}", "neither a kind as `order.placed`, nor `order.*`, nor `*`")
    now = await context.tx.now()
    stored = await webhook_models.Webhook.filter(id=request.webhook_id).select_for_update().first()
    created = stored is None
    secret = None
    if stored is None:
        if await webhook_models.Webhook.all().count() >= MOST:
            raise Conflict(f"There are {MOST} webhooks already.", help="Delete one that is not needed any more.")
        keys = WebhookKeys.generate()
        secret = keys.shown_secret
        stored = webhook_models.Webhook(
            id=request.webhook_id,
            keys=context.post.sealed(request.webhook_id, [KeyPeriod(keys)]),
            cursor=await eventlog.end(context.tx),
            created_at=now,
        )
    elif stored.state != "enabled" or request.endpoint_url != stored.url:
        stored.update_from_dict({"reason": None, "failing_since": None, "paused_until": None})
        await webhookstore.again(_deliveries(stored, state="waiting"), context.tx)
    wanted = {name: getattr(request, name) for name in ("format", "payload", "description", "state")}
    kinds = msgspec.json.encode(request.kinds).decode()
    stored.update_from_dict(wanted | {"url": request.endpoint_url, "kinds": kinds, "updated_at": now})
    await stored.save(force_create=created)
    told = {name: wanted[name] for name in ("format", "payload", "state")}
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(request.endpoint_url))  # the rest may hold a secret
    context.record("webhook.put", webhook_id=stored.id, created=created, origin=origin, kinds=request.kinds, **told)
    return PutWebhookReply(**await _one(stored, context), created=created, secret=secret)


async def list_webhooks(request: ListWebhooks, context: Context) -> WebhookPage:
    """The endpoints, by id."""
    if request.cursor is not None and len(request.cursor) > 64:
        raise InvalidRequest.at("/cursor", "not a cursor that this server gave")
    query = webhook_models.Webhook.filter(id__gt=request.cursor or "").order_by("id").limit(request.limit + 1)
    found = await query
    page = found[: request.limit]
    return WebhookPage(
        webhooks=[Webhook(**members) for members in await _members(page, context)],
        next_cursor=page[-1].id if len(found) > len(page) else None,
    )


async def get_webhook(request: GetWebhook, context: Context) -> Webhook:
    """One endpoint."""
    return Webhook(**await _one(await _existing(request.webhook_id), context))


async def delete_webhook(request: DeleteWebhook, context: Context) -> None:
    """Forget an endpoint and its deliveries."""
    stored = await _existing(request.webhook_id, lock=True)
    await stored.delete()
    await _deliveries(stored).delete()
    context.record("webhook.deleted", webhook_id=stored.id)


async def rotate_webhook_secret(request: RotateWebhookSecret, context: Context) -> WebhookWithSecret:
    """Sign with new keys, and for a while with the old ones too."""
    stored = await _existing(request.webhook_id, lock=True)
    now = await context.tx.now()
    ends = now + SIGNS_ALONG
    keys = WebhookKeys.generate()
    old = [KeyPeriod(each.keys, min(ends, each.until or ends)) for each in context.post.keys(stored, now)]
    stored.keys = context.post.sealed(stored.id, [KeyPeriod(keys), *old][:PERIODS])
    stored.updated_at = now
    await stored.save(update_fields=["keys", "updated_at"])
    context.record("webhook.rotated", webhook_id=stored.id)
    return WebhookWithSecret(**await _one(stored, context), secret=keys.shown_secret)


async def test_webhook(request: TestWebhook, context: Context) -> TestedWebhook:
    """Send a test and wait for the answer; nothing is kept of it."""
    stored = await _existing(request.webhook_id)
    message = Message(
        id=f"test_{secrets.token_hex(13)}",
        kind=TEST_KIND,
        at=await context.db.now(),
        data=msgspec.Raw(msgspec.json.encode({"webhook_id": stored.id})),
    )
    answer = await context.post.send(stored, message)
    return TestedWebhook(
        delivered=answer.good, status=answer.status, answer=answer.text or None, problem=answer.problem
    )


async def list_webhook_deliveries(request: ListWebhookDeliveries, context: Context) -> WebhookDeliveryPage:
    """The deliveries, newest first."""
    stored = await _existing(request.webhook_id)
    query = _deliveries(stored)
    if request.state is not None:
        query = query.filter(state=request.state)
    if request.cursor:
        if not (request.cursor.isdecimal() and len(request.cursor) <= 18):
            raise InvalidRequest.at("/cursor", "not a cursor that this server gave")
        query = query.filter(number__lt=int(request.cursor))
    found = await query.order_by("-number").limit(request.limit + 1)
    page = found[: request.limit]
    return WebhookDeliveryPage(
        deliveries=[_delivery(each) for each in page],
        next_cursor=str(page[-1].number) if len(found) > len(page) else None,
    )


async def replay_webhook_delivery(request: ReplayWebhookDelivery, context: Context) -> WebhookDelivery:
    """Send one again."""
    stored = await _existing(request.webhook_id, lock=True)
    found = _deliveries(stored, id=request.delivery_id)
    if not await _replay(found, stored, context):
        raise NotFound(f"There is no delivery {request.delivery_id!r} to the webhook {stored.id!r}.")
    return _delivery(await found.get())


async def replay_webhook_deliveries(request: ReplayWebhookDeliveries, context: Context) -> ReplayedWebhook:
    """Send again what happened since a time."""
    stored = await _existing(request.webhook_id, lock=True)
    found = _deliveries(stored, state=request.state)
    if request.since is not None:
        found = found.filter(at__gte=request.since)
    return ReplayedWebhook(count=await _replay(found, stored, context))


def _deliveries(webhook: webhook_models.Webhook, **which: Any) -> QuerySet[webhook_models.WebhookDelivery]:
    return webhook_models.WebhookDelivery.filter(webhook_id=webhook.id, **which)


async def _replay(
    found: QuerySet[webhook_models.WebhookDelivery], webhook: webhook_models.Webhook, context: Context
) -> int:
    count = await webhookstore.again(found, context.tx)
    if count:
        context.record("webhook.replayed", webhook_id=webhook.id, count=count)
    return count


async def _existing(webhook_id: str, *, lock: bool = False) -> webhook_models.Webhook:
    query = webhook_models.Webhook.filter(id=webhook_id)
    stored = await (query.select_for_update() if lock else query).first()
    if stored is None:
        raise NotFound(f"There is no webhook {webhook_id!r}.")
    return stored


async def _one(stored: webhook_models.Webhook, context: Context) -> dict[str, Any]:
    (members,) = await _members([stored], context)
    return members


async def _members(page: Sequence[webhook_models.Webhook], context: Context) -> list[dict[str, Any]]:
    now = await context.db.now()
    counts = await webhookstore.counts([stored.id for stored in page])
    return [
        {
            "webhook_id": stored.id,
            "endpoint_url": stored.url,
            "kinds": msgspec.json.decode(stored.kinds, type=list[str]),
            "format": stored.format,
            "payload": stored.payload,
            "description": stored.description,
            "state": stored.state,
            "reason": stored.reason,
            "public_keys": [each.keys.public_key for each in context.post.keys(stored, now)],
            "failing_since": stored.failing_since,
            "waiting": counts.get((stored.id, "waiting"), 0),
            "failed": counts.get((stored.id, "failed"), 0),
            "created_at": stored.created_at,
            "updated_at": stored.updated_at,
        }
        for stored in page
    ]


def _delivery(stored: webhook_models.WebhookDelivery) -> WebhookDelivery:
    return WebhookDelivery(
        delivery_id=stored.id,
        event_id=stored.event_id,
        kind=stored.kind,
        at=stored.at,
        state=stored.state,  # type: ignore[arg-type]
        attempts=stored.attempts,
        last_attempt_at=stored.attempted_at,
        next_attempt_at=stored.due_at,
        status=stored.status,
        answer=stored.answer,
        problem=stored.problem,
    )
