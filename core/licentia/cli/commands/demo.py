"""`licentia demo`: a server on a throw-away data folder, with something in it to try."""

from __future__ import annotations

import asyncio
import http.client
import os
import socket
import tempfile
import time
from importlib import import_module
from pathlib import Path

import click

from licentia.cli import demo_info
from licentia.cli.command import Failure, epilog
from licentia.cli.loops import loop_factory
from licentia.cli.root import LazyGroup
from licentia.cli.signals import until_stopped
from licentia.cli.tree import Own
from licentia.settings import Settings, Webhooks

HOST = "127.0.0.1"
PORT = 8400
READY_WITHIN_SECONDS = 30

HELP = """Start a throw-away server with something to try.

Its data folder is removed when it ends. It listens on this computer only, at port 8400 or, if that is
taken, at a free one; it holds two products, a ticket for each and a key per scope, and prints five
commands to paste. `licentia demo run` is a small licensed program for it.
"""


@click.pass_context
def start(ctx: click.Context, port: int | None, info_file: Path | None) -> None:
    """Run the demo until it is stopped, unless a sub-command was given."""
    if ctx.invoked_subcommand is not None:
        return
    _forget(info_file)
    with (
        _listener(port) as listener,
        tempfile.TemporaryDirectory(prefix="licentia-demo-", ignore_cleanup_errors=True) as folder,
        asyncio.Runner(loop_factory=loop_factory()) as runner,
    ):
        runner.run(_serve(listener, Path(folder), info_file))


def _forget(info_file: Path | None) -> None:
    """Whoever waits for the file must not find that of an earlier demo."""
    try:
        if info_file is not None:
            info_file.unlink(missing_ok=True)
    except OSError as error:
        raise Failure(f"{info_file} cannot be replaced: {error.strerror}.") from None


def _listener(port: int | None) -> socket.socket:
    from licentia.cli.serving import listen

    if port is not None:
        return listen(HOST, port)
    try:
        return listen(HOST, PORT)
    except Failure:
        return listen(HOST, 0)


async def _serve(listener: socket.socket, folder: Path, info_file: Path | None) -> None:
    from licentia.cli.demo_seed import seed
    from licentia.cli.local import open_application
    from licentia.cli.logs import to_standard_error
    from licentia.cli.serving import ServerWithoutSignals, address, gateway, server_config

    to_standard_error()
    settings = Settings(
        data=folder,
        port=listener.getsockname()[1],
        shutdown_seconds=2,
        log_level="warning",
        log_format="text",
        bindings=("physical", "none"),
        container={"act-file": {"bindings": ["physical", "none"]}},
        webhooks=Webhooks(allow_private=True, allow_http=True),
    )
    module, _, name = gateway().partition(":")
    with until_stopped() as stopped:
        application = await open_application(settings)
        try:
            info = await seed(application, address(listener))
            app = getattr(import_module(module), name)(application)
            server = ServerWithoutSignals(server_config(app, settings))
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            try:
                await asyncio.to_thread(_wait_until_ready, settings.port)
                _tell(info, info_file)
                await stopped.wait()
            finally:
                demo_info.remove(demo_info.well_known(), info)
                server.should_exit = True
                await serving
        finally:
            await application.close()


def _wait_until_ready(port: int) -> None:
    def answer() -> int:
        connection = http.client.HTTPConnection(HOST, port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()

    deadline = time.monotonic() + READY_WITHIN_SECONDS
    while answer() != http.client.OK:
        if time.monotonic() > deadline:
            raise Failure(f"The demo was not ready within {READY_WITHIN_SECONDS} seconds.")
        time.sleep(0.01)


def _tell(info: demo_info.DemoInfo, info_file: Path | None) -> None:
    from licentia.cli.demo_text import introduction

    click.echo(introduction(info, _seconds_since_start()))
    try:
        demo_info.write(demo_info.well_known(), info)
    except OSError as error:
        click.echo(f"`licentia demo run` will not find this demo: {error}.", err=True)
    if info_file is not None:
        try:
            demo_info.write(info_file, info)
        except OSError as error:
            raise Failure(f"{info_file} cannot be written: {error.strerror}.") from None


def _seconds_since_start() -> float:
    """Seconds since this process began, the start of the interpreter included where the system tells it."""
    try:
        ticks = int(Path("/proc/self/stat").read_text("ascii").rpartition(")")[2].split()[19])
        return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError):
        return time.process_time()


demo = LazyGroup(
    "demo",
    {"run": Own("licentia.cli.commands.demo_run:run", "Run a small licensed program against the demo.")},
    invoke_without_command=True,
    callback=start,
    help=HELP,
    short_help="Start a throw-away server with something to try.",
    epilog=epilog("licentia demo\nlicentia demo --port 0 --info demo.json"),
    params=[
        click.Option(["--port"], type=click.IntRange(0, 65535), metavar="N", help="The port; 0 is any free one."),
        click.Option(
            ["--info", "info_file"],
            type=click.Path(dir_okay=False, path_type=Path),
            help="Write address, keys and tickets into this file, as JSON, once the demo is ready.",
        ),
    ],
)
