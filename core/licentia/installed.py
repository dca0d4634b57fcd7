"""What is installed: every plugin of every group, and what is wrong with those that are broken.

A plugin is an entry point of an installed distribution. Reading entry points runs no code of theirs.
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

from licentia import bindings, connectors, containers, directories
from licentia.bindings import Binding
from licentia.connectors import Connector
from licentia.containers import Contact, ContainerBackend, OfflineDelivery
from licentia.directories import UserDirectory
from licentia.settings import SettingsError

Kind = Literal["container", "binding", "directory", "connector"]
GROUPS: dict[str, Kind] = {
    "licentia.bindings": "binding",
    "licentia.connectors": "connector",
    "licentia.containers": "container",
    "licentia.directories": "directory",
}
"""The entry-point groups, and the kind of plugin that each holds."""

BASES: dict[Kind, tuple[type, int]] = {
    "binding": (Binding, bindings.API),
    "connector": (Connector, connectors.API),
    "container": (ContainerBackend, containers.API),
    "directory": (UserDirectory, directories.API),
}
"""What a plugin of a kind inherits from, and the version of that contract."""

ABILITIES = (OfflineDelivery, Contact, *connectors.ABILITIES.values())
"""The small classes that a container inherits beside its base, each for one ability more."""

FACADE = (
    "provision",
    "apply",
    "read",
    "retire",
    "confirm",
    "whose",
    "receive",
    "pending",
    "reinstate",
    "identify",
    "authenticate",
    "normalise",
    "delivery_id",
    "handshake",
    "answer",
    "fetch",
    "poll",
    "write_back",
)
"""What the core calls; a plugin writes the methods of the same names with an underscore."""

USED_BY = {"binding": "bindings", "connector": "[connector]", "container": "containers", "directory": "directories"}
"""The setting that names the plugins of a kind that are in use."""

NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")


class PluginError(Exception):
    """A plugin that the settings ask for cannot be used; the message names it, its package, why, and what to do."""


class Found:
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
        """What it is and where it comes from, for a person to read."""
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
            return f"loading it failed with {one_line(error)}"

    @cached_property
    def loaded(self) -> Any:
        """The object that the entry point names."""
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
                if inspect.iscoroutinefunction(declared) and not inspect.iscoroutinefunction(written):
                    return f"its `{name}` is not an `async def`"
                if not _takes(written, len(inspect.signature(declared).parameters)):
                    return f"its `{name}` takes other arguments than {inspect.signature(declared)}"
    return None


def installed() -> Iterator[EntryPoint]:
    """The entry points of our groups; of a distribution found twice the first counts, as it does for imports."""
    seen = set()
    for distribution in metadata.distributions():
        ours = [entry_point for entry_point in distribution.entry_points if entry_point.group in GROUPS]
        if ours and (name := re.sub(r"[-_.]+", "-", str(distribution.name)).lower()) not in seen:
            seen.add(name)
            yield from ours


def found_in(entry_points: Iterable[EntryPoint]) -> list[Found]:
    """The plugins among these entry points, by kind and name."""
    named: dict[tuple[str, str], list[EntryPoint]] = defaultdict(list)
    for entry_point in entry_points:
        if entry_point.group in GROUPS:
            named[GROUPS[entry_point.group], entry_point.name].append(entry_point)
    return [
        Found(one, sorted(" ".join(_origin(other)) for other in same) if len(same) > 1 else [])
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


def one_line(error: BaseException) -> str:
    """What went wrong; the words are the plugin's own, so they are cut."""
    about_settings = isinstance(error, SettingsError | msgspec.ValidationError)
    text = str(error) if about_settings else f"{type(error).__name__}: {error}"
    return " ".join(text.split())[:300].rstrip(". ")
