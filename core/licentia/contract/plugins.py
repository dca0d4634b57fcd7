"""Plugins: what was found, in which state, and why not."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from licentia.contract.operation import Operation, Reply, Request


class ListPlugins(Request):
    """Every plugin found, the broken ones with the reason."""


class Plugin(Reply):
    """One plugin. `available` was found but not loaded, as nothing asks for it."""

    kind: Literal["container", "binding", "directory", "connector"]
    name: str
    version: str
    distribution: Annotated[str, Meta(description="The installed package it comes from.")]
    target: Annotated[str, Meta(description="Where its code is, as `module:object`.")]
    state: Literal["active", "available", "broken"]
    capabilities: list[str] = []
    reason: Annotated[str | None, Meta(description="Why it is broken.")] = None


class Plugins(Reply):
    """All plugins, by kind and name."""

    plugins: list[Plugin]


OPERATIONS = (
    Operation(
        "ListPlugins", "admin", "GET", "/v1/plugins", "plugins:list_plugins", ListPlugins, Plugins,
        "List the plugins.",
    ),
)
