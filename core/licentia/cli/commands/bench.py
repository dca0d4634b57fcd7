"""`licentia bench`: how many seats a second your own disk and database can hand out."""

from __future__ import annotations

import asyncio
import json
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from licentia.cli.backend import local_settings
from licentia.cli.command import command, config_option, output_option, with_options
from licentia.cli.signals import STOPS

if TYPE_CHECKING:
    from licentia.cli.measuring.report import Report


@with_options(output_option(), config_option())
@command(
    "bench", example="licentia bench --config acme/licentia.toml\nlicentia bench --database sqlite:////srv/a.db -o json"
)
@click.option("--database", metavar="URL", help="The database to be beside of, in place of the setting `database`.")
@click.option(
    "--seconds", type=click.IntRange(1, 3600), metavar="N", default=20, help="How long in all, about. Default: 20."
)
@click.option(
    "--clients", type=click.IntRange(1, 4096), metavar="N", default=256, help="How many call at once. Default: 256."
)
def bench(seconds: int, clients: int, database: str | None, output: str, config: Path | None) -> None:
    """Measure how many checkouts a second your database keeps.

    It works in a database of its own beside yours, which is removed in the end, also after Ctrl-C: for
    SQLite a file in the same folder, so on the same disk; for PostgreSQL a database on the same server,
    which your user must be allowed to create. Yours is neither read nor changed, but has the load beside it.

    The seat ledger of one server process is measured, with signed leases, without HTTP: everybody takes
    a seat of one license, or each of one of a thousand licenses, renews it and gives it back. Beside it
    stands what the same database does with a commit for each checkout.
    """
    url = database or local_settings(config).database_url
    from licentia.cli.loops import loop_factory
    from licentia.cli.measuring import report
    from licentia.cli.measuring.throwaway import beside
    from licentia.storage.database import without_password

    with _stops_as_ctrl_c(), beside(url) as empty, _then_undisturbed(), tempfile.TemporaryDirectory() as folder:
        click.echo(f"In a database of its own beside {without_password(url)}, about {seconds} s:", err=True)
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            measured = runner.run(report.measure(empty, Path(folder), clients, seconds, _tell))
    _show(measured, output)


def _show(measured: Report, output: str) -> None:
    from licentia.cli.measuring import report

    if output == "json":
        click.echo(json.dumps(report.as_json(measured), indent=2))
    else:
        click.echo(report.as_text(measured))


def _tell(step: str) -> None:
    click.echo(f"  {step}", err=True)


@contextmanager
def _stops_as_ctrl_c() -> Iterator[None]:
    """Whatever ends the command does it as Ctrl-C does: everything is left in order."""
    before = {number: signal.getsignal(number) for number in STOPS}

    def stop(number: int, frame: FrameType | None) -> None:
        signal.raise_signal(signal.SIGINT)

    for number in STOPS:
        if number != signal.SIGINT:
            signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _then_undisturbed() -> Iterator[None]:
    """After the block the end has begun, and further stops change nothing."""
    try:
        yield
    finally:
        for number in STOPS:
            signal.signal(number, signal.SIG_IGN)
