"""`licentia events verify`: whether the audit trail is whole."""

from __future__ import annotations

import json
from pathlib import Path

import click

from licentia.cli.backend import connect
from licentia.cli.command import REFUSED, command, connection_options, output_option, with_options
from licentia.cli.trail import Trail
from licentia.domain.events import verify_chain


@with_options(output_option(), *connection_options())
@command("verify", example="licentia events verify")
@click.pass_context
def verify(ctx: click.Context, output: str, url: str | None, key: str | None, config: Path | None) -> None:
    """Recompute the chain of hashes.

    The whole audit trail is read. A changed, missing or reordered event is found and named; the exit
    code is 2 then. That events were cut off at the end shows only against a hash that you noted before:
    the last one is printed.
    """
    with connect(url, key, config) as licentia:
        trail = Trail(licentia)
        faults = verify_chain(trail)
    head = trail.last.hash if trail.last else None
    if output == "json":
        click.echo(json.dumps({"events": trail.events, "last_hash": head, "faults": faults}, indent=2))
    else:
        click.echo("\n".join(faults) or f"{trail.events} events, none missing or changed.")
        if head:
            click.echo(f"Last hash: {head}")
    if faults:
        ctx.exit(REFUSED)
