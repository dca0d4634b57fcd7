"""Plugins: list what was found."""

from __future__ import annotations

from licentia.contract.plugins import ListPlugins, Plugins
from licentia.services.context import Context


async def list_plugins(request: ListPlugins, context: Context) -> Plugins:
    """Every plugin found, by kind and name, the broken ones with the reason."""
    return Plugins(plugins=context.plugins.listing())
