"""Connections to business systems: what they sent, what became of it, and what their articles are sold as."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from licentia.contract.operation import Operation, Reply, Request
from licentia.contract.types import Count, Cursor, Delivered, Id, Instant, PageSize, Quantity, Sku, Text, matching, text
from licentia.errors import Conflict, NotFound

ConnectionName = Annotated[
    str, matching(r"[a-z][a-z0-9\-]*", "The name of a connection; it is the source of its orders.", max_length=32)
]
PluginName = Annotated[str, matching(r"[a-z][a-z0-9\-]*", "The name of a connector.", max_length=32)]
Article = Annotated[str, text("An article number of the business system.", max_length=200, min_length=1)]
Told = Annotated[str, text("A number as the business system writes it.", max_length=200)]
Line = Annotated[str, text("A text of one or more lines.", max_length=4000)]
InboxState = Literal["waiting", "done", "parked", "dead", "discarded"]
WriteBackState = Literal["waiting", "written", "dead"]


class Setting(Request):
    """A setting or an option, by its name. A setting's value is read as TOML where it is TOML, else as a text."""

    name: Annotated[str, text("Its name; a dot leads into a table, as in `api.url`.", max_length=200, min_length=1)]
    value: Annotated[str, text("Its value.", max_length=8192)]


class ListConnectors(Request):
    """Every connection, with what waits in it."""


class Connection(Reply, kw_only=True):
    """A connection. `file` is one of the settings file, `server` one that was added; secrets are not shown."""

    name: ConnectionName
    plugin: PluginName
    origin: Literal["file", "server"]
    address: Annotated[str, Meta(description="The path that the system calls.")]
    capabilities: list[str] = []
    connected: Annotated[bool, Meta(description="Whether it is set up to call the system.")]
    settings: list[Setting] = []
    waiting: Annotated[Count, Meta(description="Deliveries that will be tried.")]
    parked: Annotated[Count, Meta(description="Deliveries that wait for a person, or for another order.")]
    dead: Annotated[Count, Meta(description="Deliveries, and tickets to write back, that were given up.")]
    to_write_back: Annotated[Count, Meta(description="Orders whose outcome the system does not have yet.")]
    polled_at: Instant | None = None
    polled_next_at: Instant | None = None
    problem: Annotated[str | None, Meta(description="Why the last poll failed, or why it cannot be used.")] = None


class Connections(Reply):
    """All connections, by name."""

    connectors: list[Connection]


class PutConnector(Request):
    """Add a connection, or replace its settings."""

    name: ConnectionName
    plugin: Annotated[PluginName | None, Meta(description="The connector; absent: that of the same name.")] = None
    settings: Annotated[list[Setting], Meta(max_length=100, description="As the connector's page has them.")] = []


class DeleteConnector(Request):
    """Remove a connection that was added. Its orders and deliveries stay."""

    name: ConnectionName


class TestConnector(Request):
    """Try a connection, without keeping or changing anything."""

    name: ConnectionName


class Check(Reply):
    """One thing that was tried."""

    name: str
    ok: bool
    detail: Annotated[str, Meta(description="What was found, or what to do.")]


class Tested(Reply):
    """What was tried of a connection; `ok` if all is."""

    ok: bool
    checks: list[Check]


class PollConnector(Request):
    """Ask the business system now what is new."""

    name: ConnectionName


class Polled(Reply):
    """How many documents were found; those that were there already are counted too. `more` has to be polled again."""

    found: Count
    more: bool


class PutMapping(Request):
    """Say what an article is sold as: so many of a product, or nothing, if `sku` is absent.

    Without a mapping an article is the product of the same SKU. Of several mappings that fit, the one of
    the connection wins over one for all, then the one with more options.
    """

    article: Article
    connector: Annotated[ConnectionName | None, Meta(description="Absent: for all connections.")] = None
    options: Annotated[list[Setting], Meta(max_length=32, description="The variation: options it must have.")] = []
    sku: Annotated[Sku | None, Meta(description="The product. Absent: nothing is licensed by this article.")] = None
    factor: Annotated[Quantity, Meta(description="Units of the product in a piece of the article.")] = 1


class Mapping(Reply, kw_only=True):
    """What an article is sold as."""

    mapping_id: Id
    article: Article
    connector: ConnectionName | None = None
    options: list[Setting] = []
    sku: Sku | None = None
    factor: Quantity


class MappingReply(Mapping, kw_only=True):
    """The mapping as it is now, and how many parked deliveries may be replayed."""

    created: bool
    parked: Count


class ListMappings(Request):
    """The mappings of a connection and those for all, by article."""

    connector: ConnectionName | None = None
    cursor: Cursor | None = None
    limit: PageSize = 100


class Mappings(Reply):
    """A page of mappings; without `next_cursor` it is the last."""

    mappings: list[Mapping]
    next_cursor: Cursor | None = None


class DeleteMapping(Request):
    """Remove a mapping. Lines of orders that are known keep what they are."""

    mapping_id: Id


class TryMapping(Request):
    """Say what so many pieces of an article would be, without an order."""

    connector: ConnectionName
    article: Article
    alternatives: Annotated[list[Article], Meta(max_length=32, description="Other numbers of the article.")] = []
    options: Annotated[list[Setting], Meta(max_length=32, description="What was chosen with it.")] = []
    quantity: Annotated[Quantity, Meta(description="Pieces.")] = 1


class TriedMapping(Reply):
    """What it would be: so many of a product, nothing, or a problem that would park the order."""

    sku: Sku | None = None
    quantity: Count = 0
    problem: str | None = None


class ListDeliveries(Request):
    """The inbox, newest first: everything that business systems sent, and what became of it."""

    connector: ConnectionName | None = None
    state: InboxState | None = None
    order_number: Annotated[Told | None, Meta(description="Of one order only.")] = None
    cursor: Cursor | None = None
    limit: PageSize = 50


class Outcome(Reply):
    """What came of one change that a delivery means."""

    told: Annotated[str, Meta(description="`placed`, `changed`, `cancelled`, `returned` or `renewed`.")]
    order_number: Told
    state: Literal["applied", "stale", "ignored", "parked"]
    ticket: str | None = None
    code: str | None = None
    problem: Line | None = None


class InboxDelivery(Reply):
    """A delivery. `waiting` is tried at `due_at`, `parked` waits for a person or another order, `dead` was given up."""

    delivery_id: Id
    connector: ConnectionName
    state: InboxState
    way: Annotated[str, Meta(description="`sent` by the system, `polled`, or `imported`.")]
    received_at: Instant
    attempts: Count
    due_at: Instant | None = None
    problem: Line | None = None
    outcomes: list[Outcome] = []


class Deliveries(Reply):
    """A page of the inbox; without `next_cursor` it is the last."""

    deliveries: list[InboxDelivery]
    next_cursor: Cursor | None = None


class GetDelivery(Request):
    """One delivery, as it came."""

    delivery_id: Id


class WholeDelivery(InboxDelivery, kw_only=True):
    """A delivery with its content; known secrets are masked."""

    method: str
    url: str
    headers: list[Setting]
    body: Delivered


class ReplayDeliveries(Request):
    """Try parked deliveries or dead letters again: one, or up to `limit` of a connection, oldest first.

    A delivery that was applied is tried too if it is named; it changes nothing then.
    """

    delivery_id: Id | None = None
    connector: ConnectionName | None = None
    state: Literal["parked", "dead"] = "parked"
    limit: PageSize = 50
    dry_run: Annotated[bool, Meta(description="Only say what would come of it.")] = False


class Replayed(Reply):
    """What came of it, and how many are left in that state."""

    deliveries: list[InboxDelivery]
    left: Count


class DiscardDelivery(Request):
    """Let a parked delivery or a dead letter be: nobody tries it again."""

    delivery_id: Id
    reason: Annotated[Text, Meta(description="Why; kept in the audit trail.")]


OPERATIONS = (
    Operation(
        "PutConnector", "admin", "PUT", "/v1/connectors/{name}", "connectors:put_connector", PutConnector, Connection,
        "Add a connection to a business system.", (Conflict,), mutates=True,
    ),
    Operation(
        "ListConnectors", "admin", "GET", "/v1/connectors", "connectors:list_connectors", ListConnectors, Connections,
        "List the connections.",
    ),
    Operation(
        "DeleteConnector", "admin", "DELETE", "/v1/connectors/{name}", "connectors:delete_connector", DeleteConnector,
        None, "Remove a connection.", (NotFound, Conflict), mutates=True,
    ),
    Operation(
        "TestConnector", "admin", "POST", "/v1/connectors/{name}/test", "connectors:test_connector", TestConnector,
        Tested, "Try a connection.", (NotFound,), mutates=True, batched=True,
    ),
    Operation(
        "PollConnector", "admin", "POST", "/v1/connectors/{name}/poll", "connectors:poll_connector", PollConnector,
        Polled, "Ask a business system what is new.", (NotFound, Conflict), mutates=True, batched=True,
    ),
    Operation(
        "PutMapping", "admin", "PUT", "/v1/mappings", "mappings:put_mapping", PutMapping, MappingReply,
        "Say what an article is sold as.", (NotFound,), mutates=True,
    ),
    Operation(
        "ListMappings", "admin", "GET", "/v1/mappings", "mappings:list_mappings", ListMappings, Mappings,
        "List what articles are sold as.",
    ),
    Operation(
        "DeleteMapping", "admin", "DELETE", "/v1/mappings/{mapping_id}", "mappings:delete_mapping", DeleteMapping,
        None, "Remove a mapping.", (NotFound,), mutates=True,
    ),
    Operation(
        "TryMapping", "admin", "POST", "/v1/connectors/{connector}/try", "mappings:try_mapping", TryMapping, TriedMapping,
        "Say what an article would be.", (NotFound,), mutates=True, batched=True,
    ),
    Operation(
        "ListDeliveries", "admin", "GET", "/v1/deliveries", "deliveries:list_deliveries", ListDeliveries, Deliveries,
        "Read the inbox.",
    ),
    Operation(
        "GetDelivery", "admin", "GET", "/v1/deliveries/{delivery_id}", "deliveries:get_delivery", GetDelivery,
        WholeDelivery, "Read one delivery.", (NotFound,),
    ),
    Operation(
        "ReplayDeliveries", "admin", "POST", "/v1/replay", "deliveries:replay_deliveries", ReplayDeliveries,
        Replayed, "Try deliveries again.", (NotFound,), mutates=True, batched=True,
    ),
    Operation(
        "DiscardDelivery", "admin", "POST", "/v1/deliveries/{delivery_id}/discard", "deliveries:discard_delivery",
        DiscardDelivery, InboxDelivery, "Let a delivery be.", (NotFound, Conflict), mutates=True,
    ),
)
