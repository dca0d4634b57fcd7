"""The registry: which of the installed plugins are in use.

Only what the settings name is loaded at the start, so a broken plugin that nobody asked for stops nobody.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import EntryPoint
from typing import Any

import structlog

from licentia.bindings import Binding, ServerHalf
from licentia.containers import Contact, ContainerBackend, Host, unknown_kind
from licentia.contract.plugins import Plugin
from licentia.directories import Subject, UserClaim, UserDirectory
from licentia.errors import Forbidden, Unauthenticated
from licentia.installed import GROUPS, USED_BY, Found, Kind, PluginError, flaw, found_in, installed, one_line
from licentia.settings import Settings, SettingsError

__all__ = ["GROUPS", "Bindings", "PluginError", "Plugins", "Registry", "flaw"]

log = structlog.get_logger(__name__)


class Plugins:
    """The plugins that are installed, and those of them that were started.

    Args:
        entry_points: the plugins to know instead of the installed ones.
    """

    def __init__(self, entry_points: Iterable[EntryPoint] | None = None) -> None:
        self._found = found_in(installed() if entry_points is None else entry_points)
        self._capabilities: dict[tuple[str, str], list[str]] = {}

    def listing(self) -> list[Plugin]:
        """Every plugin found, by kind and name.

        This imports the plugins that are not in use, to say which of them are broken.
        """
        return [self._described(found) for found in self._found]

    def check_tables(self, kind: Kind, tables: Iterable[str]) -> None:
        """Refuse settings of a plugin that was not started.

        Raises:
            PluginError: there is such a table.
        """
        for name in tables:
            if (kind, name) not in self._capabilities:
                raise PluginError(
                    f"[{kind}.{name}] has settings, but {name!r} is not in use: "
                    f"add it to `{USED_BY[kind]}`, or delete the table."
                )

    def start(self, kind: Kind, name: str, *given: Any, called: str = "") -> Any:
        """Load a plugin that the settings name; `called` is its name where several of it are in use.

        Raises:
            PluginError: it is missing or broken.
        """
        setting = USED_BY[kind]
        found = next((found for found in self._found if (found.kind, found.name) == (kind, name)), None)
        if found is None:
            known = ", ".join(found.name for found in self._found if found.kind == kind) or "none"
            raise PluginError(
                f"There is no {kind} {name!r}; installed: {known}. "
                f"Correct `{setting}` in the settings, or install the package that brings it."
            )
        if found.flaw:
            raise PluginError(
                f"{found.title} is broken: {found.flaw}. "
                f"Mend or remove that package, or take {name!r} out of `{setting}` in the settings."
            )
        try:
            plugin = found.loaded(called or name, *given)
            if getattr(plugin, "kind" if kind == "container" else "name", None) != (called or name):
                raise TypeError("its __init__ does not call that of its base")
            self._capabilities[kind, name] = [str(capability) for capability in plugin.capabilities]
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise PluginError(
                f"{found.title} did not start: {one_line(error)}. "
                f"Correct [{kind}.{called or name}] in the settings, or take {name!r} out of `{setting}`."
            ) from error
        return plugin

    def _described(self, found: Found) -> Plugin:
        capabilities = self._capabilities.get((found.kind, found.name))
        reason = found.flaw if capabilities is None else None
        return Plugin(
            kind=found.kind,
            name=found.name,
            version=found.version,
            distribution=found.distribution,
            target=found.target,
            state="broken" if reason else "available" if capabilities is None else "active",
            capabilities=capabilities or [],
            reason=reason,
        )


class Bindings:
    """The bindings in use, with their server halves.

    Raises:
        PluginError: one is missing or broken, or there are settings for one not in use.
    """

    def __init__(self, settings: Settings, plugins: Plugins) -> None:
        self._bindings: dict[str, Binding] = {}
        self._halves: dict[str, ServerHalf] = {}
        for name in dict.fromkeys(settings.bindings):
            binding = plugins.start("binding", name, settings.binding.get(name, {}))
            try:
                self._halves[name] = binding.server()
            except Exception as error:
                raise PluginError(
                    f"The server half of the binding {name!r} did not start: {one_line(error)}. "
                    f"Correct [binding.{name}] in the settings, or take {name!r} out of `bindings`."
                ) from error
            self._bindings[name] = binding
        plugins.check_tables("binding", settings.binding)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all, in the order of the settings."""
        return tuple(self._bindings)

    def binding(self, name: str) -> Binding:
        """The binding of this name.

        Raises:
            SettingsError: it is not in use.
        """
        if name not in self._bindings:
            known = ", ".join(self._bindings) or "none"
            raise SettingsError(f"the binding {name!r} is not in use; add it to `bindings`, which has: {known}")
        return self._bindings[name]

    def half(self, name: str) -> ServerHalf:
        """The server half of this name; errors as in `binding`."""
        self.binding(name)
        return self._halves[name]

    async def close(self) -> None:
        """Close every half, also after one failed to."""
        for half in self._halves.values():
            await _closed(half, f"binding({half.name})")


class Registry:
    """The containers and directories of this process; its connectors are `licentia.services.connections`.

    Args:
        settings: `containers` and `directories` name the plugins in use; `[container.NAME]` and
            `[directory.NAME]` are what each is given.
        host: what the core offers to containers.
        plugins: what is installed; by default that is looked up.
        entry_points: the plugins to know instead of the installed ones.

    Raises:
        PluginError: a plugin in use is missing or broken, or there are settings for one not in use.
    """

    def __init__(
        self,
        settings: Settings,
        host: Host,
        plugins: Plugins | None = None,
        *,
        entry_points: Iterable[EntryPoint] | None = None,
    ) -> None:
        self._plugins = plugins = plugins or Plugins(entry_points)
        self._containers: dict[str, ContainerBackend] = {
            kind: plugins.start("container", kind, host, settings.container.get(kind, {}))
            for kind in dict.fromkeys(settings.containers)
        }
        self._directories: dict[str, UserDirectory] = {
            name: plugins.start("directory", name, settings.directory.get(name, {}))
            for name in dict.fromkeys(settings.directories)
        }
        plugins.check_tables("container", settings.container)
        plugins.check_tables("directory", settings.directory)

    def container(self, kind: str) -> ContainerBackend:
        """The container of this kind.

        Raises:
            ContainerUnknown: no active plugin serves it.
        """
        if kind not in self._containers:
            raise unknown_kind(kind, sorted(self._containers))
        return self._containers[kind]

    @property
    def signs(self) -> bool:
        """Whether a kind of container is in use for which the server signs."""
        return any(isinstance(container, Contact) for container in self._containers.values())

    def directories(self) -> tuple[UserDirectory, ...]:
        """The directories, in the order of the settings."""
        return tuple(self._directories.values())

    async def identify(self, claim: UserClaim) -> Subject:
        """Who is meant, by the first directory that has an answer; a token outweighs a name.

        Raises:
            Forbidden: no directory takes the name that the caller gave.
            Unauthenticated: no directory knows the token's issuer, or the one that does refuses the token.
            Unavailable: a directory failed before any had an answer.
        """
        for directory in self._directories.values():
            if (subject := await directory.identify(claim)) is not None:
                return subject
        asked = ", ".join(self._directories) or "none is configured"
        if claim.token is not None:
            raise Unauthenticated(
                f"No directory knows the issuer of this token (asked: {asked}).",
                help="Send a key (`lic_...`), or a token of an identity provider that this server is set up for.",
            )
        raise Forbidden(
            f"No directory takes a user at the caller's word (asked: {asked}).",
            help="Send the user's own token, or have the operator add 'trusted' to `directories`.",
        )

    def listing(self) -> list[Plugin]:
        """Every plugin found, by kind and name."""
        return self._plugins.listing()

    async def close(self) -> None:
        """Close every directory, also after one failed to."""
        for directory in self._directories.values():
            await _closed(directory, f"directory({directory.name})")


async def _closed(plugin: UserDirectory | ServerHalf, title: str) -> None:
    try:
        await plugin.close()
    except Exception:
        log.exception("plugin_failed", plugin=title, method="close")
