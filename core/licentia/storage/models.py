"""The tables. Seats, leases, events and chains are written by raw SQL in `ledger` and `eventlog` only.

The first line of each docstring becomes the table's comment: no semicolon there, as Tortoise splits
SQLite's statements at it.
"""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model

from licentia.storage.fields import InstantField


class Product(Model):
    """What is sold. `items` is a JSON list of `licentia.contract.products.Item`."""

    sku = fields.CharField(max_length=64, primary_key=True)
    name = fields.CharField(max_length=200)
    items = fields.TextField()
    updated_at = InstantField()

    class Meta:
        table = "product"


class ProductCode(Model):
    """Every product code that was ever sold or offered: asking for another is `product_unknown`."""

    code = fields.CharField(max_length=64, primary_key=True)

    class Meta:
        table = "product_code"


class Order(Model):
    """An order: `digest` tells whether a repeat has the same content. `lines` is the JSON of the newest version."""

    id = fields.CharField(max_length=64, primary_key=True)
    source = fields.CharField(max_length=64)
    order_number = fields.CharField(max_length=64)
    cancelled = fields.BooleanField(default=False)
    test = fields.BooleanField(default=False)
    version = fields.IntField(default=1)
    digest = fields.CharField(max_length=64)
    customer = fields.TextField()
    lines = fields.TextField()
    created_at = InstantField()
    updated_at = InstantField()

    class Meta:
        table = "purchase_order"
        unique_together = (("source", "order_number"),)


class Ticket(Model):
    """The pick-up code of an order."""

    id = fields.CharField(max_length=64, primary_key=True)
    code = fields.CharField(max_length=29, unique=True)
    order_id = fields.CharField(max_length=64, unique=True)

    class Meta:
        table = "ticket"


class License(Model):
    """The right sold by one line for one item: `terms` is the JSON it was sold with."""

    id = fields.CharField(max_length=64, primary_key=True)
    order_id = fields.CharField(max_length=64, db_index=True)
    ticket_id = fields.CharField(max_length=64, db_index=True)
    line_id = fields.CharField(max_length=64)
    sku = fields.CharField(max_length=64)
    product_code = fields.CharField(max_length=64)
    name = fields.CharField(max_length=200)
    terms = fields.TextField()
    quantity = fields.BigIntField()
    placed = fields.BigIntField(default=0)
    to_reclaim = fields.BigIntField(default=0)
    standing = fields.CharField(max_length=16, default="live")
    overdraft_placed = fields.BigIntField(default=0)
    restores = fields.IntField(default=0)
    renewals = fields.IntField(default=0)
    first_activated_at = InstantField(null=True)
    first_used_at = InstantField(null=True)
    created_at = InstantField()

    class Meta:
        table = "license"


class Meter(Model):
    """The units of one kind that a license has, and how many are used. The nameless one is that of the term `units`."""

    id = fields.BigIntField(primary_key=True, generated=True)
    license_id = fields.CharField(max_length=64)
    name = fields.CharField(max_length=64, default="")
    total = fields.BigIntField()
    used = fields.BigIntField(default=0)

    class Meta:
        table = "meter"
        unique_together = (("license_id", "name"),)


class Container(Model):
    """A container that licenses are in: `binding` is what makes it the same one next time."""

    id = fields.CharField(max_length=64, primary_key=True)
    kind = fields.CharField(max_length=32)
    binding = fields.CharField(max_length=255)
    user_id = fields.CharField(max_length=255, null=True)
    sequence = fields.IntField(default=0)
    created_at = InstantField()

    class Meta:
        table = "container"
        unique_together = (("kind", "binding"),)


class ContainerState(Model):
    """What the plugin of a container keeps of it, encrypted. `facts` is JSON for people to read.

    It may be there before the container is: a request is taken before licenses are put in.
    """

    id = fields.CharField(max_length=64, primary_key=True)
    state = fields.TextField()
    facts = fields.TextField()

    class Meta:
        table = "container_state"


class Identity(Model):
    """A machine that a binding has named, `id` hashes both, and the container that its evidence was used for."""

    id = fields.CharField(max_length=64, primary_key=True)
    container = fields.CharField(max_length=255, db_index=True)

    class Meta:
        table = "identity"


class Activation(Model):
    """Licenses put into a container by one call.

    `change` is the number of the container's contents with which the state takes effect: those that have
    the licenses, or in the state `returning` those that have them no more. `request_id` is the
    container's own name of the request that they were put in for.
    """

    id = fields.CharField(max_length=64, primary_key=True)
    ticket_id = fields.CharField(max_length=64, db_index=True)
    container_id = fields.CharField(max_length=64, db_index=True)
    state = fields.CharField(max_length=16)
    change = fields.IntField(default=0)
    request_id = fields.CharField(max_length=64, null=True)
    activated_at = InstantField()
    ended_at = InstantField(null=True)
    restore_asked_at = InstantField(null=True)
    restore_approved = fields.BooleanField(default=False)

    class Meta:
        table = "activation"


class Allotment(Model):
    """Units that went away with an activation: `units` of them are off the meter, `used` is what was told so far."""

    id = fields.BigIntField(primary_key=True, generated=True)
    activation_id = fields.CharField(max_length=64)
    license_id = fields.CharField(max_length=64)
    meter = fields.CharField(max_length=64, default="")
    units = fields.BigIntField()
    used = fields.BigIntField(default=0)

    class Meta:
        table = "allotment"
        unique_together = (("activation_id", "license_id", "meter"),)


class SeatPool(Model):
    """The seats of one license in one activation, and how many are in use: the row that every lease locks.

    `user_id` repeats the container's, so that a checkout finds its pools without a join; a container
    that belongs to no user has none, and leases nothing. `valid_until` is the earliest end that was
    known at the activation. A pool that is closing (withdrawn) or closed (given back) grants nothing.
    """

    id = fields.CharField(max_length=64, primary_key=True)
    activation_id = fields.CharField(max_length=64, db_index=True)
    license_id = fields.CharField(max_length=64, db_index=True)
    container_id = fields.CharField(max_length=64, db_index=True)
    user_id = fields.CharField(max_length=255, null=True)
    product_code = fields.CharField(max_length=64)
    leasing = fields.BooleanField()
    state = fields.CharField(max_length=16, default="open")
    seats = fields.BigIntField()
    overdraft = fields.BigIntField(default=0)
    unlimited = fields.BooleanField(default=False)
    in_use = fields.BigIntField(default=0)
    waiters = fields.BigIntField(default=0)
    valid_until = InstantField(null=True)

    class Meta:
        table = "seat_pool"
        indexes = (("user_id", "product_code"),)


class Lease(Model):
    """What a lease holds in one pool. `charged` seats of it are counted: those of one `share_key` in a pool count once.

    A lease over several licenses has `parts` of these rows, each with the lease's id as `whole`. The
    state `assigned` is no lease: it keeps a seat for its named user or node.
    """

    id = fields.CharField(max_length=80, primary_key=True)
    whole = fields.CharField(max_length=64, null=True)
    parts = fields.IntField(default=1)
    pool_id = fields.CharField(max_length=64)
    user_id = fields.CharField(max_length=255)
    station = fields.CharField(max_length=200, null=True)
    feature = fields.CharField(max_length=64, null=True)
    share_key = fields.CharField(max_length=270, null=True)
    seats = fields.BigIntField()
    charged = fields.BigIntField()
    granted_at = InstantField()
    expires_at = InstantField()
    state = fields.CharField(max_length=16, default="live")

    class Meta:
        table = "lease"
        indexes = (("pool_id", "expires_at"),)


class PastLease(Model):
    """What a lease held in one pool until it ended, for the usage report.

    A migration adds the index by length and end, so that what touches a time long ago is found.
    """

    id = fields.BigIntField(primary_key=True, generated=True)
    lease_id = fields.CharField(max_length=64)
    pool_id = fields.CharField(max_length=64)
    share_key = fields.CharField(max_length=270)
    seats = fields.BigIntField()
    granted_at = InstantField()
    ended_at = InstantField()

    class Meta:
        table = "past_lease"


class Waiter(Model):
    """A checkout that waits for a seat of a pool. Who was not seen for some seconds has gone away."""

    id = fields.BigIntField(primary_key=True, generated=True)
    lease_id = fields.CharField(max_length=64)
    pool_id = fields.CharField(max_length=64, db_index=True)
    seats = fields.BigIntField()
    seen_at = InstantField()

    class Meta:
        table = "waiter"


class Denial(Model):
    """How often a use was refused, by code, per license (empty: the user has none), product code and minute."""

    id = fields.BigIntField(primary_key=True, generated=True)
    license_id = fields.CharField(max_length=64)
    product_code = fields.CharField(max_length=64)
    minute = InstantField(db_index=True)
    reason = fields.CharField(max_length=32)
    count = fields.BigIntField(default=0)

    class Meta:
        table = "denial"
        unique_together = (("license_id", "product_code", "minute", "reason"),)


class UsagePeriod(Model):
    """What leases, or denials for one `reason`, add up to in a whole hour, day or month (UTC) that is final.

    `scope` says whose sums they are: 0 of a product code, 1 of a customer (its source, a slash, its id) in
    a product code, 2 of a license. Where `reason` is empty, `amount` counts checkouts, else denials.
    Seat time is `seat_seconds` and `seat_micros` on top, as the sum in microseconds could pass 64 bits.
    """

    id = fields.BigIntField(primary_key=True, generated=True)
    level = fields.CharField(max_length=8)
    start = InstantField()
    scope = fields.IntField()
    product_code = fields.CharField(max_length=64)
    customer = fields.CharField(max_length=129)
    license_id = fields.CharField(max_length=64)
    reason = fields.CharField(max_length=32)
    amount = fields.BigIntField()
    seat_seconds = fields.BigIntField()
    seat_micros = fields.BigIntField()
    peak = fields.BigIntField()

    class Meta:
        table = "usage_period"
        indexes = (("level", "start"),)


class UsageMark(Model):
    """Up to where the periods of a level are all there. `kept` says from where on past leases are."""

    level = fields.CharField(max_length=8, primary_key=True)
    until = InstantField()

    class Meta:
        table = "usage_mark"


class UnitConsumption(Model):
    """One consumption of units: the caller's request id makes it happen once."""

    request_id = fields.CharField(max_length=64, primary_key=True)
    digest = fields.CharField(max_length=64)
    remaining = fields.BigIntField()
    at = InstantField()

    class Meta:
        table = "unit_consumption"


class Chain(Model):
    """The head of one event chain."""

    id = fields.IntField(primary_key=True, generated=False)
    seq = fields.BigIntField(default=0)
    hash = fields.CharField(max_length=64)

    class Meta:
        table = "chain"


class Event(Model):
    """The changes of one commit, numbered `first_seq` to `last_seq` in their chain.

    `entries` is a JSON list of them, each as [kind, actor, data]; `hash` is that of the last one.
    """

    id = fields.CharField(max_length=32, primary_key=True)
    chain = fields.IntField()
    first_seq = fields.BigIntField()
    last_seq = fields.BigIntField()
    at = InstantField()
    previous_hash = fields.CharField(max_length=64)
    hash = fields.CharField(max_length=64)
    entries = fields.TextField()

    class Meta:
        table = "event"
        unique_together = (("chain", "last_seq"),)


class ApiKey(Model):
    """A key: only a hash of its secret is here."""

    id = fields.CharField(max_length=32, primary_key=True)
    name = fields.CharField(max_length=200, default="")
    scopes = fields.CharField(max_length=100)
    secret_hash = fields.CharField(max_length=64)
    created_at = InstantField()
    revoked_at = InstantField(null=True)

    class Meta:
        table = "api_key"


class Nonce(Model):
    """A nonce of a password digest that was used."""

    id = fields.CharField(max_length=64, primary_key=True)
    expires_at = InstantField(db_index=True)

    class Meta:
        table = "nonce"


class Answer(Model):
    """The first answer under an idempotency key: `id` hashes caller, operation and key."""

    id = fields.CharField(max_length=64, primary_key=True)
    digest = fields.CharField(max_length=64)
    reply = fields.TextField()
    at = InstantField(db_index=True)

    class Meta:
        table = "answer"
