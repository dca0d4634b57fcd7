"""The tables of outgoing webhooks."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model

from licentia.storage.fields import InstantField


class Webhook(Model):
    """An endpoint that is told of events.

    `cursor` says up to where in each event chain it has deliveries: only while it is enabled does it go
    on. `keys` is encrypted. `failing_since` is there from a failed attempt to the next good one, and
    before `paused_until` nothing is sent.
    """

    id = fields.CharField(max_length=64, primary_key=True)
    url = fields.CharField(max_length=2048)
    kinds = fields.TextField()
    format = fields.CharField(max_length=16)
    payload = fields.CharField(max_length=16)
    description = fields.TextField(null=True)
    state = fields.CharField(max_length=16)
    reason = fields.TextField(null=True)
    keys = fields.TextField()
    cursor = fields.TextField()
    failing_since = InstantField(null=True)
    paused_until = InstantField(null=True)
    created_at = InstantField()
    updated_at = InstantField()

    class Meta:
        table = "webhook"


class WebhookDelivery(Model):
    """An event for an endpoint. `id` is derived from both, so that none is there twice.

    While the state is `waiting`, `due_at` says when it is tried next; who tries sets it ahead, so that
    nobody else does, and somebody will if that one dies.
    """

    number = fields.BigIntField(primary_key=True, generated=True)
    id = fields.CharField(max_length=64, unique=True)
    webhook_id = fields.CharField(max_length=64)
    event_id = fields.CharField(max_length=64)
    kind = fields.CharField(max_length=64)
    at = InstantField()
    data = fields.TextField()
    state = fields.CharField(max_length=16, default="waiting")
    due_at = InstantField(null=True)
    attempts = fields.IntField(default=0)
    attempted_at = InstantField(null=True)
    status = fields.IntField(null=True)
    answer = fields.TextField(null=True)
    problem = fields.TextField(null=True)

    class Meta:
        table = "webhook_delivery"
        indexes = (("webhook_id", "state", "due_at"), ("state", "due_at"), ("state", "attempted_at"))
