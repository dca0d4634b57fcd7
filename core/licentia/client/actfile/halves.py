"""The client halves of the bindings that are installed on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from typing import Any

from licentia.bindings import API, Binding, ClientHalf
from licentia.errors import Unavailable


def client_half(name: str, settings: Mapping[str, Any] | None = None) -> ClientHalf:
    """The client half of the binding of this name.

    Raises:
        Unavailable: it is not installed here, or cannot be loaded.
    """
    found = list(metadata.entry_points(group="licentia.bindings", name=name))
    if not found:
        raise Unavailable(f"There is no binding {name!r} on this machine.", help="Install the package that brings it.")
    try:
        plugin = found[0].load()
        if not issubclass(plugin, Binding) or plugin.api != API:
            raise TypeError(f"it is no binding of version {API} of the contract")
        return plugin(name, settings or {}).client()  # type: ignore[no-any-return]
    except Exception as error:
        raise Unavailable(
            f"The binding {name!r} cannot be loaded: {type(error).__name__}: {error}",
            help="Mend or reinstall the package that brings it.",
        ) from error
