"""The connections to business systems: those of the settings file, and those added while the server runs."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
import structlog
from msgspec import Meta

from licentia.connectors import Connector
from licentia.crypto import sealing
from licentia.errors import FieldProblem, InvalidRequest, NotFound, Unavailable
from licentia.installed import NAME, PluginError
from licentia.plugins import Plugins
from licentia.settings import Settings, SettingsError, table
from licentia.storage import connector_models as models
from licentia.storage.database import Database

log = structlog.get_logger(__name__)
LABEL = b"licentia connection\0"
SECRET_WORDS = ("secret", "password", "passphrase", "token", "key", "client_state")
"""What a setting is called whose value nobody may see."""


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the core itself reads in the table of a connection.

    Attributes:
        plugin: the connector; by default that of the connection's own name.
        poll_seconds: how often the system is asked what is new, if the connector can; 0 is never.
        test_orders: whether orders that nobody paid for get licenses, marked as a test.
        unknown_renewals: whether a renewal of an order that nobody knows waits for a person, or is an order.
        reclaim: whether seats that are in use but no longer paid for wait for a person, or are withdrawn
            where nothing of their license is paid for any more.
    """

    plugin: str = ""
    poll_seconds: Annotated[int, Meta(ge=0, le=86_400)] = 300
    test_orders: Literal["ignore", "issue"] = "ignore"
    unknown_renewals: Literal["park", "place"] = "park"
    reclaim: Literal["ask", "withdraw"] = "ask"


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """One connection: its connector with its settings, and where these are from."""

    name: str
    plugin: str
    options: Options
    connector: Connector
    settings: Mapping[str, Any]
    origin: Literal["file", "server"]

    @property
    def actor(self) -> str:
        """What the audit trail calls it."""
        return f"connector:{self.name}"


class Connections:
    """All connections of this process. Each uses its connector alone.

    Args:
        settings: `[connector.NAME]` has one connection each.
        plugins: what is installed.
        database: where the other ones are kept, encrypted.
        master: the server's master secret.

    Raises:
        PluginError: a connector of the settings is missing or broken, or its settings are wrong.
    """

    def __init__(self, settings: Settings, plugins: Plugins, database: Database, master: bytes) -> None:
        self._plugins, self._database, self._master = plugins, database, master
        self._of_file = {name: self._made(name, values, "file") for name, values in settings.connector.items()}
        self._added: dict[str, tuple[datetime, Connection]] = {}

    async def get(self, name: str) -> Connection:
        """The connection of this name.

        Raises:
            NotFound: there is none.
            Unavailable: its plugin is gone or does not take its settings any more.
        """
        if name in self._of_file:
            return self._of_file[name]
        async with self._database.read():
            row = await models.Connection.get_or_none(name=name)
        if row is None:
            self._added.pop(name, None)
            raise NotFound(f"There is no connection {name!r}.", help="`licentia connector list` shows them.")
        return await self._added_one(row)

    async def all(self) -> list[Connection]:
        """All that work, by name; one that does not is left out, and the log says why."""
        async with self._database.read():
            rows = await models.Connection.all()
        found = [*self._of_file.values()]
        for row in rows:
            if row.name not in self._of_file:
                try:
                    found.append(await self._added_one(row))
                except Unavailable as error:
                    log.warning("connection_broken", connection=row.name, problem=str(error))
        return sorted(found, key=lambda connection: connection.name)

    def checked(self, name: str, values: Mapping[str, Any]) -> str:
        """The settings of a connection to add, encrypted.

        Raises:
            InvalidRequest: the name or the settings are wrong.
        """
        if not NAME.fullmatch(name):
            raise InvalidRequest.at("/name", "not lower-case letters, digits and dashes, at most 32")
        try:
            self._made(name, values, "server")
        except PluginError as error:
            raise InvalidRequest(str(error), problems=[FieldProblem("/settings", str(error))]) from None
        sealed = sealing.seal(self._master, LABEL + name.encode(), msgspec.json.encode(values))
        return base64.b64encode(sealed).decode()

    def unkept(self, name: str, values: Mapping[str, Any]) -> Connection:
        """A connection for a trial, kept nowhere.

        Raises:
            PluginError: there is no such connector, or it does not take the settings.
        """
        return self._made(name, values, "server")

    def values_of(self, row: models.Connection) -> dict[str, Any]:
        """The settings of a connection that was added, with their secrets."""
        sealed = sealing.unseal(self._master, LABEL + row.name.encode(), base64.b64decode(row.settings))
        return msgspec.json.decode(sealed, type=dict[str, Any])

    def of_file(self, name: str) -> bool:
        """Whether a connection of this name is in the settings file, which nobody can change from here."""
        return name in self._of_file

    async def close(self) -> None:
        """Close all connectors."""
        for connection in [*self._of_file.values(), *(connection for _, connection in self._added.values())]:
            await _closed(connection.connector)

    async def _added_one(self, row: models.Connection) -> Connection:
        known = self._added.get(row.name)
        if known is not None and known[0] == row.changed_at:
            return known[1]
        try:
            connection = self._made(row.name, self.values_of(row), "server")
        except PluginError as error:
            raise Unavailable(str(error), help="Mend the package or the connection's settings.") from None
        self._added[row.name] = (row.changed_at, connection)
        if known is not None:
            await _closed(known[1].connector)
        return connection

    def _made(self, name: str, values: Mapping[str, Any], origin: Literal["file", "server"]) -> Connection:
        mine = {key: value for key, value in values.items() if key in Options.__struct_fields__}
        rest = {key: value for key, value in values.items() if key not in mine}
        try:
            options = table(mine, Options, f"[connector.{name}]")
        except SettingsError as error:
            raise PluginError(str(error)) from None
        plugin = options.plugin or name
        connector = self._plugins.start("connector", plugin, rest, called=name)
        return Connection(name=name, plugin=plugin, options=options, connector=connector, settings=rest, origin=origin)


def is_secret(name: str) -> bool:
    """Whether the value of a setting of this name is a secret."""
    return any(word in name.lower() for word in SECRET_WORDS) and not name.lower().endswith("_url")


def secrets_in(values: Mapping[str, Any], *, secret: bool = False) -> list[str]:
    """All secrets in settings."""
    found: list[str] = []
    for name, value in values.items():
        mine = secret or is_secret(name)
        if isinstance(value, Mapping):
            found += secrets_in(value, secret=mine)
        elif mine:
            found += [str(each) for each in (value if isinstance(value, list | tuple) else [value])]
    return found


def key_of(delivery_id: str) -> str:
    """What a delivery is known by: a hash of its system's own id."""
    return hashlib.sha256(delivery_id.encode()).hexdigest()


async def _closed(connector: Connector) -> None:
    try:
        await connector.close()
    except Exception:
        log.exception("plugin_failed", plugin=f"connector({connector.name})", method="close")
