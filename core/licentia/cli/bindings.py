"""Finds the binding that a command names by its entry point, as the server does: the core imports no plugin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from licentia.bindings import Binding
from licentia.cli.command import Failure


def find(name: str, settings: Mapping[str, Any]) -> Binding:
    """The installed binding of this name, with these settings; each half that is asked of it is made then.

    Args:
        name: the name of its entry point, as `physical`.
        settings: what the half that will be asked for is given: the server's table `[binding.NAME]`, or
            what an application gives on a device.

    Raises:
        click.BadParameter: no such binding is installed; the message names those that are.
        Failure: it is broken, or installed twice.
    """
    from licentia.installed import found_in, installed

    bindings = [found for found in found_in(installed()) if found.kind == "binding"]
    found = next((found for found in bindings if found.name == name), None)
    if found is None:
        names = ", ".join(dict.fromkeys(found.name for found in bindings)) or "none"
        raise click.BadParameter(f"there is no binding {name!r} here; installed are: {names}.")
    if found.flaw:
        raise Failure(f"{found.title} is broken: {found.flaw}.")
    binding: Binding = found.loaded(name, settings)
    return binding
