"""`licentia order import`: the orders of a file, however many."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from licentia.cli.backend import local_settings
from licentia.cli.command import REFUSED, Output, command, config_option, output_option, with_options
from licentia.contract import BY_NAME, parse
from licentia.errors import NotFound
from licentia.plugins import PluginError

if TYPE_CHECKING:
    from licentia.services.application import Application
    from licentia.services.connections import Connection
    from licentia.services.importing import Imported, Problem

EVERY = 5.0
"""Seconds between two lines where there is no terminal."""
SHOWN = 10
"""Failures of one kind that are shown as text."""


@with_options(output_option(), config_option())
@command(
    "import",
    example="licentia order import orders.csv --dry-run\nlicentia order import orders.csv --connector shop -o json",
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="The file of orders.")
@click.option("--connector", default="csv", help="The connection whose orders they are. Default: csv.")
@click.option("--dry-run", is_flag=True, help="Say what would come of it, and change nothing.")
@click.option("--restart", is_flag=True, help="Begin at the beginning, though a run before was interrupted.")
@click.option(
    "--batch", type=click.IntRange(1, 1000), default=500, metavar="N", help="Orders in a transaction. Default: 500."
)
@click.pass_context
def import_(
    ctx: click.Context,
    file: Path,
    connector: str,
    dry_run: bool,
    restart: bool,
    batch: int,
    output: Output,
    config: Path | None,
) -> None:
    """Import the orders of a file.

    They go into the local data folder, or into the database that its settings name. Each order is applied
    as if its system had delivered it: one that is there with the same content stays as it is, one with
    another content is changed, one that cannot be applied is parked in the inbox. A run that was
    interrupted, however hard, goes on where it was when the same command is given again.

    The exit code is 2 if an order was parked or a row cannot be read.
    """
    settings = local_settings(config)
    from licentia.cli.local import LocalLicentia

    progress = _Progress(file)
    try:
        with LocalLicentia(settings) as licentia:
            done = licentia.run(
                lambda application: _imported(application, file, connector, progress, batch, dry_run, restart)
            )
    except KeyboardInterrupt:
        progress.end()
        told = "Nothing was changed." if dry_run else "The same command goes on from there."
        click.echo(f"Stopped after {progress.place:,} of {progress.of:,} orders. {told}", err=True)
        raise click.Abort from None
    if output == "json":
        values = msgspec.to_builtins(done)
        click.echo(msgspec.json.format(msgspec.json.encode(values | values.pop("tally"))))
    else:
        click.echo(_text(done))
    if done.tally.parked or done.tally.illegible:
        ctx.exit(REFUSED)


async def _imported(
    application: Application, file: Path, name: str, progress: _Progress, batch: int, dry_run: bool, restart: bool
) -> Imported:
    from licentia.services.importing import Import

    connection = await _connection(application, name, keep=not dry_run)
    running = Import(application, application.chain.inbox, connection, file, dry_run=dry_run)
    progress.begin(await running.begin(restart=restart))
    try:
        return await running.run(batch, progress.tell)
    finally:
        progress.end()


async def _connection(application: Application, name: str, *, keep: bool) -> Connection:
    """The connection of this name; where there is none but a connector of the name is installed, a new one.

    A connector that wants a secret gets one that nobody knows.
    """
    connections = application.chain.connections
    try:
        return await connections.get(name)
    except NotFound:
        for values in ({}, {"secret": secrets.token_urlsafe(32)}):
            try:
                trial = connections.unkept(name, values)
            except PluginError:
                continue
            return await _kept(application, name, values) if keep else trial
        raise


async def _kept(application: Application, name: str, values: Mapping[str, str]) -> Connection:
    operation, settings = BY_NAME["PutConnector"], [{"name": key, "value": value} for key, value in values.items()]
    from licentia.services.identity import OPERATOR

    await application.call(operation, parse(operation, {"name": name, "settings": settings}), OPERATOR)
    click.echo(f"The connection {name!r} was added. `licentia connector list` shows it.", err=True)
    return await application.chain.connections.get(name)


class _Progress:
    """How far it is, on the standard error: a bar on a terminal, else a line now and then."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._bar: Any = None
        self._began = self._told = time.monotonic()
        self._from = self.place = self.of = 0

    def begin(self, place: int) -> None:
        """So many orders were done by a run before."""
        self._from = self.place = place
        self._began = self._told = time.monotonic()
        where = f"Going on after {place:,} orders that an interrupted run has done." if place else "Reading."
        click.echo(f"{self._file.name}: {where}", err=True)

    def tell(self, place: int, of: int) -> None:
        """So many are done."""
        step, self.place, self.of = place - self.place, place, of
        if sys.stderr.isatty():
            if self._bar is None:
                self._bar = click.progressbar(
                    length=of - self._from, label="Orders", show_pos=True, item_show_func=self._rate, file=sys.stderr
                )
                self._bar.start = time.time() - (time.monotonic() - self._began)
                self._bar.__enter__()
            self._bar.update(step, place)
        elif time.monotonic() - self._told >= EVERY or place == of:
            self._told = time.monotonic()
            left = (of - place) * (self._told - self._began) / max(1, place - self._from)
            click.echo(f"{place:,} of {of:,} orders, {self._rate(place)}, {left:.0f} s left", err=True)

    def end(self) -> None:
        """Nothing more comes."""
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None

    def _rate(self, place: int | None) -> str:
        return f"{(self.place - self._from) / max(0.001, time.monotonic() - self._began):,.0f}/s"


def _text(done: Imported) -> str:
    tally = done.tally
    head = f"{done.file}: {done.orders:,} orders for {done.connector}"
    head += f", {done.resumed_at:,} of them by a run before" if done.resumed_at else ""
    lines = [head + (". Nothing was changed." if done.dry_run else ".")]
    counts = {name: value for name, value in msgspec.to_builtins(tally).items() if isinstance(value, int)}
    lines += [f"  {name:9} {value:>9,}" for name, value in counts.items()]
    if tally.parked:
        reasons = ", ".join(f"{count:,} {code}" for code, count in sorted(tally.reasons.items()))
        lines += ["", f"Parked: {reasons}.", *_shown(tally.parked_first, tally.parked)]
        if not done.dry_run:
            replay = f"licentia connector replay --connector {done.connector}"
            lines.append(f"  Next: mend what the reasons name, then import the file again, or `{replay}`.")
    if tally.illegible:
        lines += ["", "Illegible, and not kept, by the line on which an order begins:"]
        lines += _shown(tally.illegible_first, tally.illegible)
        lines.append("  Next: mend the file and import it again.")
    return "\n".join(lines)


def _shown(problems: list[Problem], count: int) -> list[str]:
    shown = problems[:SHOWN]
    orders = [f", order {each.order_number}" if each.order_number else "" for each in shown]
    lines = [f"  line {each.line}{order}: {each.detail}" for each, order in zip(shown, orders, strict=True)]
    return lines + ([f"  and {count - len(shown):,} more"] if count > len(shown) else [])
