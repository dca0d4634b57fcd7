"""Where a command reaches Licentia: a server by REST, or a data folder in this very process."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click
from click.core import ParameterSource

from licentia.contract import Operation, Reply, Request
from licentia.settings import Settings, load

if TYPE_CHECKING:
    from licentia.client.remote import RemoteLicentia

DEFAULT_CONFIG = Path("licentia.toml")


class Backend(Protocol):
    """What both ways have in common."""

    def call(self, operation: Operation, request: Request, *, idempotency_key: str | None = None) -> Reply | None:
        """Carry out one operation.

        Raises:
            LicensingError: it was refused.
            Unreachable: the server cannot be reached.
        """


def connect(url: str | None, key: str | None, config: Path | None) -> AbstractContextManager[Backend]:
    """The server at `url`, or the data folder of `config`. What is typed goes before what is in the environment.

    Raises:
        click.UsageError: both or neither are named.
        SettingsError: the settings cannot be used.
    """
    if address := server_url(url, config):
        return remote(address, key or "")
    settings = local_settings(config)
    from licentia.cli.local import LocalLicentia

    return LocalLicentia(settings)


def server_url(url: str | None, config: Path | None) -> str | None:
    """The server that is meant; None if it is a data folder.

    Raises:
        click.UsageError: both are typed.
    """
    if not (url and config):
        return url or None
    typed = [name for name in ("url", "config") if _typed(name)]
    if len(typed) == 2:
        raise click.UsageError("Give --url or --config, not both.")
    return None if typed == ["config"] else url


def remote(url: str, key: str) -> RemoteLicentia:
    """The server at `url`.

    Raises:
        click.UsageError: `url` is not an address.
    """
    from licentia.client.remote import RemoteLicentia

    try:
        return RemoteLicentia(url, key)
    except ValueError as error:
        raise click.BadParameter(f"{error}.", param_hint="--url") from None


def local_settings(config: Path | None) -> Settings:
    """The settings of the local data folder: those of `config`, else of ./licentia.toml.

    Raises:
        click.UsageError: no data folder is named and none is here.
        SettingsError: the settings cannot be used.
    """
    if config is None and not DEFAULT_CONFIG.exists():
        raise click.UsageError(
            "No server and no data folder is named, and there is no ./licentia.toml.\n"
            "Give --url URL for a server, or --config FILE for a data folder; `licentia init DIR` makes one."
        )
    return load(config or DEFAULT_CONFIG)


def _typed(name: str) -> bool:
    return click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE
