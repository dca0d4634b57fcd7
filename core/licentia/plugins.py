"""The registry: which plugins are installed, which of them are in use, and what is wrong with the rest.

A plugin is an entry point of an installed distribution. Reading entry points runs no code of theirs;
only what the settings name is loaded at the start, so a broken plugin that nobody asked for stops nobody.
"""

from __future__ import annotations

import inspect
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from importlib import metadata
from importlib.metadata import EntryPoint
from typing import Any, Literal

import msgspec
import structlog

from licentia import containers, directories
from licentia.containers import ContainerBackend, Host, OfflineDelivery, unknown_kind
from licentia.contract.plugins import Plugin
from licentia.directories import Subject, UserClaim, UserDirectory
from licentia.errors import Forbidden, Unauthenticated
from licentia.settings import Settings, SettingsError

Kind = Literal["container", "binding", "directory", "connector"]
GROUPS: dict[str, Kind] = {
    "licentia.bindings": "binding",
    "licentia.connectors": "connector",
    "licentia.containers": "container",
    "licentia.directories": "directory",
}
"""The entry-point groups, and the kind of plugin that each holds."""

BASES: dict[Kind, tuple[type, int]] = {
    "container": (ContainerBackend, containers.API),
    "directory": (UserDirectory, directories.API),
}
"""What a plugin of a kind inherits from, and the version of that contract."""

ABILITIES = (OfflineDelivery,)
"""The small classes that a container inherits beside its base, each for one ability more."""

FACADE = ("provision", "apply", "read", "retire", "identify")
"""What the core calls; a plugin writes the methods of the same names with an underscore."""

USED_BY = {"container": "containers", "directory": "directories"}
"""The setting that names the plugins of a kind that are in use."""

NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
log = structlog.get_logger(__name__)


class PluginError(Exception):
    """A plugin that the settings ask for cannot be used; the message names it, its package, why, and what to do."""


class _Found:
    """One installed plugin. Its code is imported when `flaw` or `loaded` is first read, not before."""

    def __init__(self, entry_point: EntryPoint, others: list[str]) -> None:
        self.kind: Kind = GROUPS[entry_point.group]
        self.name = entry_point.name
        self.target = entry_point.value
        self.distribution, self.version = _origin(entry_point)
        self._entry_point = entry_point
        self._others = others

    @property
    def title(self) -> str:
        return f"{self.kind} {self.name!r} ({self.distribution} {self.version}, {self.target})"

    @cached_property
    def flaw(self) -> str | None:
        """Why this plugin cannot be used; None if it can."""
        if self._others:
            return f"its name is taken twice: {' and '.join(self._others)} have one"
        if not NAME.fullmatch(self.name):
            return "its name is not lower-case letters, digits and dashes, at most 32"
        try:
            return flaw(self.kind, self.loaded)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # also SystemExit, and the panics of a compiled extension
            return f"loading it failed with {_one_line(error)}"

    @cached_property
    def loaded(self) -> Any:
        return self._entry_point.load()


def flaw(kind: Kind, loaded: Any) -> str | None:
    """Why this object is no plugin of the kind, in one clause; None if it is one.

    Python checks an abstract class for missing methods only; this also finds a method that is not
    async or takes other arguments than the contract's.
    """
    if kind not in BASES:
        return None
    base, api = BASES[kind]
    if not isinstance(loaded, type) or not issubclass(loaded, base):
        return f"it is not a subclass of {base.__module__}.{base.__qualname__}"
    if getattr(loaded, "api", None) != api:
        return f"it was written for version {getattr(loaded, 'api', None)!r} of the contract; this is version {api}"
    if inspect.isabstract(loaded):
        return f"it does not implement {', '.join(sorted(getattr(loaded, '__abstractmethods__', ())))}"
    for contract in (base, *ABILITIES):
        for name, declared in vars(contract).items() if issubclass(loaded, contract) else ():
            written = getattr(loaded, name)
            if name in FACADE and written is not declared:
                return f"it replaces `{name}`; `_{name}` is what a plugin implements"
            if getattr(declared, "__isabstractmethod__", False):
                if not inspect.iscoroutinefunction(written):
                    return f"its `{name}` is not an `async def`"
                if not _takes(written, len(inspect.signature(declared).parameters)):
                    return f"its `{name}` takes other arguments than {inspect.signature(declared)}"
    return None


class Registry:
    """The plugins of this process.

    Args:
        settings: `containers` and `directories` name the plugins in use; `[container.NAME]` and
            `[directory.NAME]` are what each is given.
        host: what the core offers to containers.
        entry_points: the plugins to know instead of the installed ones.

    Raises:
        PluginError: a plugin in use is missing or broken, or there are settings for one not in use.
    """

    def __init__(self, settings: Settings, host: Host, *, entry_points: Iterable[EntryPoint] | None = None) -> None:
        self._found = _found(_installed() if entry_points is None else entry_points)
        self._capabilities: dict[tuple[str, str], list[str]] = {}
        self._containers: dict[str, ContainerBackend] = {
            kind: self._started("container", kind, host, settings.container.get(kind, {}))
            for kind in dict.fromkeys(settings.containers)
        }
        self._directories: dict[str, UserDirectory] = {
            name: self._started("directory", name, settings.directory.get(name, {}))
            for name in dict.fromkeys(settings.directories)
        }
        for kind, tables in (("container", settings.container), ("directory", settings.directory)):
            for name in tables:
                if (kind, name) not in self._capabilities:
                    raise PluginError(
                        f"[{kind}.{name}] has settings, but {name!r} is not in use: "
                        f"add it to `{USED_BY[kind]}`, or delete the table."
                    )

    def container(self, kind: str) -> ContainerBackend:
        """The container of this kind.

        Raises:
            ContainerUnknown: no active plugin serves it.
        """
        if kind not in self._containers:
            raise unknown_kind(kind, sorted(self._containers))
        return self._containers[kind]

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
        """Every plugin found, by kind and name.

        This imports the plugins that are not in use, to say which of them are broken.
        """
        return [self._described(found) for found in self._found]

    async def close(self) -> None:
        """Close every directory, also after one failed to."""
        for directory in self._directories.values():
            try:
                await directory.close()
            except Exception:
                log.exception("plugin_failed", plugin=f"directory({directory.name})", method="close")

    def _started(self, kind: str, name: str, *given: Any) -> Any:
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
            plugin = found.loaded(name, *given)
            if getattr(plugin, "kind" if kind == "container" else "name", None) != name:
                raise TypeError("its __init__ does not call that of its base")
            self._capabilities[kind, name] = [str(capability) for capability in plugin.capabilities]
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise PluginError(
                f"{found.title} did not start: {_one_line(error)}. "
                f"Correct [{kind}.{name}] in the settings, or take {name!r} out of `{setting}`."
            ) from error
        return plugin

    def _described(self, found: _Found) -> Plugin:
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


def _installed() -> Iterator[EntryPoint]:
    """The entry points of our groups; of a distribution found twice the first counts, as it does for imports."""
    seen = set()
    for distribution in metadata.distributions():
        ours = [entry_point for entry_point in distribution.entry_points if entry_point.group in GROUPS]
        if ours and (name := re.sub(r"[-_.]+", "-", str(distribution.name)).lower()) not in seen:
            seen.add(name)
            yield from ours


def _found(entry_points: Iterable[EntryPoint]) -> list[_Found]:
    named: dict[tuple[str, str], list[EntryPoint]] = defaultdict(list)
    for entry_point in entry_points:
        if entry_point.group in GROUPS:
            named[GROUPS[entry_point.group], entry_point.name].append(entry_point)
    return [
        _Found(one, sorted(" ".join(_origin(other)) for other in same) if len(same) > 1 else [])
        for _, same in sorted(named.items())
        for one in same
    ]


def _origin(entry_point: EntryPoint) -> tuple[str, str]:
    if entry_point.dist is None:
        return "unknown", "0"
    return str(entry_point.dist.name), str(entry_point.dist.version)


def _takes(method: Callable[..., Any], count: int) -> bool:
    try:
        inspect.signature(method).bind(*range(count))
    except TypeError:
        return False
    return True


def _one_line(error: BaseException) -> str:
    """What went wrong; the words are the plugin's own, so they are cut."""
    about_settings = isinstance(error, SettingsError | msgspec.ValidationError)
    text = str(error) if about_settings else f"{type(error).__name__}: {error}"
    return " ".join(text.split())[:300].rstrip(". ")
