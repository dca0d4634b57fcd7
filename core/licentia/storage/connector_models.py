"""The tables of connectors: what business systems sent, what it meant, and what is to be told to them."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model

from licentia.storage.fields import InstantField


class Connection(Model):
    """A connection that was added while the server ran. `settings` is JSON, encrypted, as it has secrets in it."""

    name = fields.CharField(max_length=32, primary_key=True)
    settings = fields.TextField()
    changed_at = InstantField()

    class Meta:
        table = "connection"


class Delivery(Model):
    """What a connection received, once per `key`, a hash of the system's own id of it.

    `results` is a JSON list of what came of each change it means. `awaits` is the number of the order that
    has to come first. `due_at` says when somebody next looks at it; who takes it sets it ahead.
    """

    id = fields.CharField(max_length=64, primary_key=True)
    connection = fields.CharField(max_length=32)
    key = fields.CharField(max_length=64)
    way = fields.CharField(max_length=16)
    method = fields.CharField(max_length=16)
    url = fields.TextField()
    headers = fields.TextField()
    body = fields.BinaryField()
    pointer = fields.TextField()
    received_at = InstantField()
    state = fields.CharField(max_length=16, default="waiting")
    due_at = InstantField(null=True)
    attempts = fields.IntField(default=0)
    awaits = fields.CharField(max_length=64, null=True)
    results = fields.TextField()
    problem = fields.TextField(null=True)

    class Meta:
        table = "delivery"
        unique_together = (("connection", "key"),)
        indexes = (("state", "due_at"), ("connection", "received_at"), ("connection", "awaits"))


class DeliveryOrder(Model):
    """Which orders a delivery is about."""

    id = fields.BigIntField(primary_key=True, generated=True)
    connection = fields.CharField(max_length=32)
    order_number = fields.CharField(max_length=64)
    delivery_id = fields.CharField(max_length=64)

    class Meta:
        table = "delivery_order"
        unique_together = (("connection", "order_number", "delivery_id"),)


class SourceOrder(Model):
    """What a connection has told about an order so far: `ledger` is the JSON of `licentia.domain.ledger.Ledger`."""

    id = fields.CharField(max_length=64, primary_key=True)
    connection = fields.CharField(max_length=32)
    order_number = fields.CharField(max_length=64)
    ledger = fields.TextField()

    class Meta:
        table = "source_order"
        unique_together = (("connection", "order_number"),)


class OrderReference(Model):
    """Another number by which a connection names an order: of its subscription, of a renewal, of a return."""

    id = fields.BigIntField(primary_key=True, generated=True)
    connection = fields.CharField(max_length=32)
    number = fields.CharField(max_length=64)
    order_number = fields.CharField(max_length=64)

    class Meta:
        table = "order_reference"
        unique_together = (("connection", "number"),)


class SkuMapping(Model):
    """What an article of a connection is sold as: so many of a product per piece, or nothing where that is null."""

    id = fields.CharField(max_length=64, primary_key=True)
    connection = fields.CharField(max_length=32)
    article = fields.CharField(max_length=200)
    options = fields.TextField()
    sku = fields.CharField(max_length=64, null=True)
    factor = fields.IntField()
    changed_at = InstantField()

    class Meta:
        table = "sku_mapping"
        indexes = (("connection", "article"),)


class WriteBack(Model):
    """What a connection is to be told of an order: the newest `outcome`, as JSON."""

    id = fields.CharField(max_length=64, primary_key=True)
    connection = fields.CharField(max_length=32)
    order_number = fields.CharField(max_length=64)
    outcome = fields.TextField()
    state = fields.CharField(max_length=16)
    due_at = InstantField(null=True)
    attempts = fields.IntField(default=0)
    written_at = InstantField(null=True)
    problem = fields.TextField(null=True)

    class Meta:
        table = "write_back"
        unique_together = (("connection", "order_number"),)
        indexes = (("state", "due_at"),)


class Poll(Model):
    """How far a connection has been asked for what is new."""

    connection = fields.CharField(max_length=32, primary_key=True)
    cursor = fields.TextField()
    due_at = InstantField()
    attempts = fields.IntField(default=0)
    polled_at = InstantField(null=True)
    problem = fields.TextField(null=True)

    class Meta:
        table = "poll"


class OrderImport(Model):
    """How far a file of orders was read in. `id` hashes the file, its connection and that one's settings.

    `place` counts the orders of the file that are done, `tally` is the JSON of what came of them.
    """

    id = fields.CharField(max_length=64, primary_key=True)
    connection = fields.CharField(max_length=32)
    file = fields.CharField(max_length=255)
    place = fields.IntField()
    tally = fields.TextField()
    started_at = InstantField()
    changed_at = InstantField()
    ended_at = InstantField(null=True)

    class Meta:
        table = "order_import"


class OrderEvent(Model):
    """Which events are about an order."""

    id = fields.BigIntField(primary_key=True, generated=True)
    source = fields.CharField(max_length=64)
    order_number = fields.CharField(max_length=64)
    chain = fields.IntField()
    seq = fields.BigIntField()

    class Meta:
        table = "order_event"
        indexes = (("source", "order_number"),)
