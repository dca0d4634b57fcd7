"""`licentia doctor`: what is wrong, and what to do about it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from licentia.cli.backend import local_settings, server_url
from licentia.cli.command import REFUSED, command, connection_options, output_option, with_options

if TYPE_CHECKING:
    from licentia.cli.checks import Check


@with_options(output_option(), *connection_options())
@command(
    "doctor", example="licentia doctor --config acme/licentia.toml\nlicentia doctor --url https://licenses.example.com"
)
@click.pass_context
def doctor(ctx: click.Context, output: str, url: str | None, key: str | None, config: Path | None) -> None:
    """Check a data folder or a server, and say what to mend.

    Of a data folder: its rights, keys, database, plugins, audit trail and clock. Of a server: whether it
    is ready, its contract and clock, and what the key allows. Of both: orders that wait for a person, and
    connections and webhooks that fail. Nothing is changed. The exit code is 2 if there is a fault.
    """
    address = server_url(url, config)
    checks = list(_remote(address, key or "") if address else _local(config))
    faults = [check for check in checks if not check.ok]
    if output == "json":
        import msgspec

        click.echo(json.dumps({"ok": not faults, "checks": msgspec.to_builtins(checks)}, indent=2, ensure_ascii=False))
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            click.echo(f"{'ok   ' if check.ok else 'FAULT'}  {check.name:{width}}  {check.detail}")
            if check.help:
                click.echo(f"{'':{width + 9}}{check.help}")
    if faults:
        ctx.exit(REFUSED)


def _remote(url: str, key: str) -> Iterator[Check]:
    from licentia.cli.backend import remote
    from licentia.cli.checks import remote_checks
    from licentia.cli.checks_backlog import backlog_checks
    from licentia.errors import LicensingError

    with remote(url, key) as licentia:
        yield from remote_checks(licentia, key)
        with contextlib.suppress(LicensingError):  # that the key may not is told above
            yield from backlog_checks(licentia)


def _local(config: Path | None) -> Iterator[Check]:
    settings = local_settings(config)
    from licentia.cli.checks_local import local_checks

    yield from local_checks(settings)
