"""Connections: add, list, test, poll them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from licentia.connectors import Fetching, Polling
from licentia.contract.connectors import (
    Check,
    Connection,
    Connections,
    DeleteConnector,
    ListConnectors,
    PollConnector,
    Polled,
    PutConnector,
    Setting,
    TestConnector,
    Tested,
)
from licentia.errors import Conflict, InvalidRequest, LicensingError, NotFound
from licentia.services import connections
from licentia.services.connections import is_secret
from licentia.services.context import Context
from licentia.services.inbox import MASK
from licentia.services.poller import is_polled
from licentia.settings import value_of
from licentia.storage import connector_models as models


async def list_connectors(request: ListConnectors, context: Context) -> Connections:
    """All connections, by name, with what waits in each."""
    known = context.chain.connections
    shown = [await _shown(connection) for connection in await known.all()]
    names = {each.name for each in shown}
    for row in await models.Connection.exclude(name__in=[*names]) if names else await models.Connection.all():
        shown.append(await _broken(row.name, context))
    return Connections(connectors=sorted(shown, key=lambda each: each.name))


async def put_connector(request: PutConnector, context: Context) -> Connection:
    """Add a connection or replace its settings; a secret given as `***` stays as it is."""
    known = context.chain.connections
    if known.of_file(request.name):
        raise Conflict(
            f"The connection {request.name!r} is in the settings file.",
            help=f"Change [connector.{request.name}] there, or add one of another name.",
        )
    row = await models.Connection.filter(name=request.name).select_for_update().first()
    before = {} if row is None else known.values_of(row)
    values = settings_of(request.settings, before)
    if request.plugin is not None:
        values["plugin"] = request.plugin
    sealed = known.checked(request.name, values)
    now = await context.tx.now()
    if row is None:
        await models.Connection.create(name=request.name, settings=sealed, changed_at=now)
    else:
        await models.Connection.filter(name=request.name).update(settings=sealed, changed_at=now)
    context.record(
        "connector.put", connection=request.name, plugin=values.get("plugin", request.name), settings=sorted(values)
    )
    return await _shown(await known.get(request.name))


async def delete_connector(request: DeleteConnector, context: Context) -> None:
    """Remove a connection that was added."""
    if context.chain.connections.of_file(request.name):
        raise Conflict(
            f"The connection {request.name!r} is in the settings file.",
            help=f"Delete [connector.{request.name}] there and restart the server.",
        )
    if not await models.Connection.filter(name=request.name).delete():
        raise NotFound(f"There is no connection {request.name!r}.", help="`licentia connector list` shows them.")
    await models.Poll.filter(connection=request.name).delete()
    context.record("connector.deleted", connection=request.name)


async def test_connector(request: TestConnector, context: Context) -> Tested:
    """Try what a connection is set up for."""
    connection = await context.chain.connections.get(request.name)
    connector, checks = connection.connector, [Check(name="settings", ok=True, detail="The connector takes them.")]
    calls = isinstance(connector, Polling | Fetching) or "write-back" in connector.capabilities
    if calls and not connector.connected:
        detail = "It does not know where the system is, so it takes only what is sent. Set the table `api`."
        checks.append(Check(name="system", ok=True, detail=detail))
    elif is_polled(connection):
        assert isinstance(connector, Polling)
        row = await models.Poll.get_or_none(connection=request.name)
        try:
            page = await connector.poll("" if row is None else row.cursor)
            meant = sum(len(connector.normalise(each)) for each in page.deliveries)
            detail = (
                f"It answers: {len(page.deliveries)} documents are new, which mean {meant} changes. Nothing is kept."
            )
            checks.append(Check(name="poll", ok=True, detail=detail))
        except LicensingError as error:
            checks.append(Check(name="poll", ok=False, detail=str(error)))
    return Tested(ok=all(check.ok for check in checks), checks=checks)


async def poll_connector(request: PollConnector, context: Context) -> Polled:
    """Ask a system what is new."""
    connection = await context.chain.connections.get(request.name)
    polled = await context.chain.poller.poll(connection)
    context.chain.wake()
    return Polled(found=polled.found, more=polled.more)


async def _shown(connection: connections.Connection) -> Connection:
    poll = await models.Poll.get_or_none(connection=connection.name)
    return Connection(
        name=connection.name,
        plugin=connection.plugin,
        origin=connection.origin,
        address=f"/connectors/{connection.name}",
        capabilities=connection.connector.capabilities,
        connected=connection.connector.connected,
        settings=flat(connection.settings),
        polled_at=None if poll is None else poll.polled_at,
        polled_next_at=poll.due_at if poll and is_polled(connection) and connection.options.poll_seconds else None,
        problem=None if poll is None else poll.problem,
        **await _counts(connection.name),
    )


async def _broken(name: str, context: Context) -> Connection:
    """A connection whose plugin is gone, or takes its settings no more."""
    try:
        await context.chain.connections.get(name)
        problem = None
    except LicensingError as error:
        problem = str(error)
    return Connection(
        name=name, plugin=name, origin="server", address=f"/connectors/{name}", connected=False, problem=problem,
        **await _counts(name),
    )  # fmt: skip


async def _counts(name: str) -> dict[str, Any]:
    deliveries, outbox = models.Delivery.filter(connection=name), models.WriteBack.filter(connection=name)
    return {
        "waiting": await deliveries.filter(state="waiting").count(),
        "parked": await deliveries.filter(state="parked").count(),
        "dead": await deliveries.filter(state="dead").count() + await outbox.filter(state="dead").count(),
        "to_write_back": await outbox.filter(state="waiting").count(),
    }


def settings_of(given: Iterable[Setting], before: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as a table: `api.url` is `url` in the table `api`. What is masked is as it was before.

    Raises:
        InvalidRequest: a name is a table and a value, or names nothing.
    """
    values: dict[str, Any] = {}
    for place, setting in enumerate(given):
        *tables, name = setting.name.split(".")
        table, old = values, before
        for each in tables:
            table, old = table.setdefault(each, {}), old.get(each, {})
            if not isinstance(table, dict) or not isinstance(old, Mapping):
                raise InvalidRequest.at(f"/settings/{place}/name", f"{each!r} is a table and a value")
        if not name or isinstance(table.get(name), dict):
            raise InvalidRequest.at(f"/settings/{place}/name", f"{setting.name!r} names no value")
        table[name] = old[name] if setting.value == MASK and name in old else _value(name, setting.value)
    return values


def _value(name: str, text: str) -> Any:
    """A setting's value. A secret is a text or a list of them, whatever else it looks like."""
    value = value_of(text)
    return value if isinstance(value, str | list) or not is_secret(name) else text


def flat(values: Mapping[str, Any], prefix: str = "", *, secret: bool = False) -> list[Setting]:
    """A table as settings, with secrets masked."""
    shown: list[Setting] = []
    for name, value in values.items():
        hidden = secret or is_secret(name)
        if isinstance(value, Mapping):
            shown += flat(value, f"{prefix}{name}.", secret=hidden)
        else:
            text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
            shown.append(Setting(name=f"{prefix}{name}", value=MASK if hidden else text))
    return shown
