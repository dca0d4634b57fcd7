"""Webhooks: endpoints of others that are told of events, and what became of each delivery."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from licentia.contract.operation import Operation, Reply, Request
from licentia.contract.types import Count, Cursor, Id, Instant, PageSize, Text, matching
from licentia.errors import Conflict, NotFound

Format = Literal["standard", "cloudevents"]
Payload = Literal["thin", "full"]
State = Literal["enabled", "disabled"]
DeliveryState = Literal["waiting", "delivered", "failed"]

Kinds = Annotated[
    list[
        Annotated[
            str,
            matching("[a-z_.*]+", "A kind of event, as `order.placed`, or `order.*`, or `*`.", max_length=64),
        ]
    ],
    Meta(
        min_length=1,
        max_length=50,
        description="Which events are told. `*` is all but those of `lease`, `seat` and `units`, which come with every "
        "use, and those of `authentication`, `ticket`, `delivery` and `webhook`: ask for these by name.",
    ),
]
Url = Annotated[
    str,
    matching("[!-~]+", "The address that is called by POST: `https://`, no credentials, no fragment.", max_length=2048),
]
Status = Annotated[int, Meta(ge=100, le=999)]
WebhookFormat = Annotated[
    Format, Meta(description="The body: of Standard Webhooks 1.0, or structured JSON of CloudEvents 1.0.")
]
Detail = Annotated[Payload, Meta(description="`thin` tells identifiers only, `full` all facts of the event.")]


class PutWebhook(Request):
    """Create an endpoint under an id of your own, or replace it.

    A new one is told of what happens from now on. Disabled, it stands still: when it is enabled again
    it is told of everything since.
    """

    webhook_id: Id
    endpoint_url: Url
    kinds: Kinds = field(default_factory=lambda: ["*"])
    format: WebhookFormat = "standard"
    payload: Detail = "thin"
    description: Text | None = None
    state: Annotated[State, Meta(description="Whether it is told of anything.")] = "enabled"


class ListWebhooks(Request):
    """The endpoints, in the order of their ids."""

    cursor: Cursor | None = None
    limit: PageSize = 100


class GetWebhook(Request):
    """One endpoint."""

    webhook_id: Id


class DeleteWebhook(Request):
    """Forget an endpoint with all its deliveries; it is told of nothing any more."""

    webhook_id: Id


class RotateWebhookSecret(Request):
    """Give an endpoint new keys. The old ones sign along for 24 hours, so that the receiver can change over."""

    webhook_id: Id


class TestWebhook(Request):
    """Send an event `webhook.test` to an endpoint now, once, and tell what it answers."""

    webhook_id: Id


class ListWebhookDeliveries(Request):
    """The deliveries to an endpoint, newest first."""

    webhook_id: Id
    state: Annotated[DeliveryState | None, Meta(description="Absent: all.")] = None
    cursor: Cursor | None = None
    limit: PageSize = 100


class ReplayWebhookDelivery(Request):
    """Send a delivery again, whatever became of it, under the same `webhook-id`, from the first attempt on."""

    webhook_id: Id
    delivery_id: Id


class ReplayWebhookDeliveries(Request):
    """Send again what happened since a time, under the same ids, as `ReplayWebhookDelivery`."""

    webhook_id: Id
    since: Annotated[Instant | None, Meta(description="Events of this time and later; absent: all that are kept.")] = None
    state: Annotated[Literal["failed", "delivered"], Meta(description="Which of them.")] = "failed"


class Webhook(Reply, kw_only=True):
    """An endpoint. Signatures `v1a` are checked with one of `public_keys`, the newest first."""

    webhook_id: Id
    endpoint_url: Url
    kinds: Kinds
    format: WebhookFormat
    payload: Detail
    description: Text | None = None
    state: State
    reason: Annotated[Text | None, Meta(description="Why the server has disabled it.")] = None
    public_keys: Annotated[list[str], Meta(description="`whpk_` and an Ed25519 key in base64.")]
    failing_since: Annotated[Instant | None, Meta(description="Since when no attempt has succeeded.")] = None
    waiting: Annotated[Count, Meta(description="Deliveries that will be tried.")]
    failed: Annotated[Count, Meta(description="Deliveries that were given up.")]
    created_at: Instant
    updated_at: Instant


class WebhookWithSecret(Webhook, kw_only=True):
    """An endpoint with the secret of its signatures `v1`, which is shown this once."""

    told_once = ("secret",)

    secret: Annotated[str | None, Meta(description="`whsec_` and 32 bytes in base64; absent if it was shown.")] = None


class PutWebhookReply(WebhookWithSecret, kw_only=True):
    """The endpoint as it is now; a new one has its secret, shown this once."""

    created: bool


class WebhookPage(Reply):
    """A page of endpoints; without `next_cursor` it is the last."""

    webhooks: list[Webhook]
    next_cursor: Cursor | None = None


class TestedWebhook(Reply):
    """What an endpoint answered: any 2xx counts as delivered, and nothing else."""

    delivered: bool
    status: Annotated[Status | None, Meta(description="The status of HTTP, if there was an answer.")] = None
    answer: Annotated[Text | None, Meta(description="The beginning of the answer's body.")] = None
    problem: Annotated[Text | None, Meta(description="Why it does not count.")] = None


class WebhookDelivery(Reply, kw_only=True):
    """An event on its way to an endpoint. `delivery_id` is the `webhook-id` of all its attempts."""

    delivery_id: Id
    event_id: Id
    kind: Annotated[str, Meta(description="What happened, as `noun.verb`.")]
    at: Annotated[Instant, Meta(description="When it happened.")]
    state: DeliveryState
    attempts: Count
    last_attempt_at: Instant | None = None
    next_attempt_at: Annotated[Instant | None, Meta(description="When it is tried next, at the earliest.")] = None
    status: Annotated[Status | None, Meta(description="The last answer's status of HTTP.")] = None
    answer: Annotated[Text | None, Meta(description="The beginning of the last answer's body.")] = None
    problem: Annotated[Text | None, Meta(description="Why the last attempt does not count.")] = None


class WebhookDeliveryPage(Reply):
    """A page of deliveries; without `next_cursor` it is the last."""

    deliveries: list[WebhookDelivery]
    next_cursor: Cursor | None = None


class ReplayedWebhook(Reply):
    """How many deliveries are sent again."""

    count: Count


OPERATIONS = (
    Operation(
        "PutWebhook", "admin", "PUT", "/v1/webhooks/{webhook_id}", "webhooks:put_webhook", PutWebhook, PutWebhookReply,
        "Create or replace a webhook.", (Conflict,), mutates=True,
    ),
    Operation(
        "ListWebhooks", "admin", "GET", "/v1/webhooks", "webhooks:list_webhooks", ListWebhooks, WebhookPage,
        "List the webhooks.",
    ),
    Operation(
        "GetWebhook", "admin", "GET", "/v1/webhooks/{webhook_id}", "webhooks:get_webhook", GetWebhook, Webhook,
        "Read one webhook.", (NotFound,),
    ),
    Operation(
        "DeleteWebhook", "admin", "DELETE", "/v1/webhooks/{webhook_id}", "webhooks:delete_webhook", DeleteWebhook, None,
        "Delete a webhook.", (NotFound,), mutates=True,
    ),
    Operation(
        "RotateWebhookSecret", "admin", "POST", "/v1/webhooks/{webhook_id}/rotate", "webhooks:rotate_webhook_secret",
        RotateWebhookSecret, WebhookWithSecret, "Give a webhook new keys.", (NotFound,), mutates=True, keyed=True,
    ),
    Operation(
        "TestWebhook", "admin", "POST", "/v1/webhooks/{webhook_id}/test", "webhooks:test_webhook", TestWebhook,
        TestedWebhook, "Send a test to a webhook now.", (NotFound,), mutates=True, batched=True,
    ),
    Operation(
        "ListWebhookDeliveries", "admin", "GET", "/v1/webhooks/{webhook_id}/deliveries",
        "webhooks:list_webhook_deliveries", ListWebhookDeliveries, WebhookDeliveryPage,
        "List the deliveries to a webhook.", (NotFound,),
    ),
    Operation(
        "ReplayWebhookDelivery", "admin", "POST", "/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/replay",
        "webhooks:replay_webhook_delivery", ReplayWebhookDelivery, WebhookDelivery, "Send a delivery again.",
        (NotFound,), mutates=True,
    ),
    Operation(
        "ReplayWebhookDeliveries", "admin", "POST", "/v1/webhooks/{webhook_id}/replay",
        "webhooks:replay_webhook_deliveries", ReplayWebhookDeliveries, ReplayedWebhook,
        "Send again what happened since a time.", (NotFound,), mutates=True, keyed=True,
    ),
)
