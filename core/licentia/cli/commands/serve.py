"""`licentia serve`: the server."""

from __future__ import annotations

import asyncio
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path

import click

from licentia import __version__
from licentia.cli.backend import DEFAULT_CONFIG, local_settings
from licentia.cli.command import command, config_option, with_options
from licentia.cli.signals import leave_on_signals
from licentia.settings import load


@with_options(config_option())
@command(
    "serve",
    example="licentia serve --config acme/licentia.toml\nlicentia serve --host 0.0.0.0 --port 8400 --workers 4",
)
@click.option("--host", help="Where to listen, in place of the setting `host`.")
@click.option(
    "--port", type=click.IntRange(0, 65535), metavar="N", help="In place of the setting `port`; 0 is any free port."
)
@click.option(
    "--workers", type=click.IntRange(1, 64), metavar="N", help="How many processes, in place of the setting `workers`."
)
def serve(host: str | None, port: int | None, workers: int | None, config: Path | None) -> None:
    """Serve REST and SOAP.

    SIGTERM or Ctrl-C stops it; what is under way is finished first, within the setting
    `shutdown_seconds`. The log goes to the standard
    error, one line per request.
    """
    local_settings(config)
    file = (config or DEFAULT_CONFIG).absolute()
    # The workers read the settings again: what was typed reaches them by the environment.
    os.environ["LICENTIA_CONFIG"] = str(file)
    for name, value in (("HOST", host), ("PORT", port), ("WORKERS", workers)):
        if value is not None:
            os.environ[f"LICENTIA_{name}"] = str(value)
    settings = load(file)

    import uvicorn
    from uvicorn.supervisors import Multiprocess

    from licentia.cli.local import open_application
    from licentia.cli.serving import address, gateway, listen, server_config

    async def prepare() -> None:
        await (await open_application(settings)).close()

    with ExitStack() as exits:
        app = gateway()
        asyncio.run(prepare())
        leave_on_signals()
        listener = exits.enter_context(listen(settings.host, settings.port))
        if settings.workers > 1 and "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = exits.enter_context(
                tempfile.TemporaryDirectory(prefix="licentia-metrics-")
            )
        click.echo(f"Licentia {__version__} serves {settings.data} at {address(listener)}. Ctrl-C stops it.", err=True)
        options = server_config(app, settings, factory=True, workers=settings.workers)
        if settings.workers > 1:
            Multiprocess(options, sockets=[listener]).run()
        else:
            uvicorn.Server(options).run(sockets=[listener])
