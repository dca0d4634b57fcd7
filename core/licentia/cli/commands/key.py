"""`licentia key`: the keys that callers of the API use. They are made on the server's own machine only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import click
import msgspec

from licentia.cli.backend import local_settings
from licentia.cli.command import command, config_option, output_option, with_options
from licentia.contract import Service

SCOPES: tuple[str, ...] = get_args(Service)


class Scopes(click.ParamType[frozenset[str]]):
    """Scopes, separated by commas."""

    name = "scopes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> frozenset[str]:
        """The scopes that `value` names."""
        names = frozenset(name.strip() for name in value.split(",") if name.strip())
        if unknown := sorted(names.difference(SCOPES)):
            self.fail(f"there is no scope {unknown[0]!r}; scopes are {', '.join(SCOPES)}", param, ctx)
        if not names:
            self.fail(f"name at least one of {', '.join(SCOPES)}", param, ctx)
        return names


@with_options(output_option(), config_option())
@command(
    "create",
    example="licentia key create --scopes sales --name shop\nlicentia key create --scopes admin,depot -o json",
)
@click.option(
    "--scopes", type=Scopes(), required=True, metavar="SCOPE[,SCOPE...]", help="Out of admin, sales, depot, licensing."
)
@click.option("--name", default="", help="Whose key it is, for the list of keys.")
def create(scopes: frozenset[str], name: str, output: str, config: Path | None) -> None:
    """Make a key.

    It is made in the local data folder and shown this once. Its scopes say what it may do: admin
    defines products, reads events and withdraws; sales places orders; depot shows and activates
    tickets; licensing serves leases and units to applications.
    """
    from licentia.cli.local import LocalLicentia

    with LocalLicentia(local_settings(config)) as licentia:
        key_id, key = licentia.run(lambda application: application.create_key(scopes, name))
    if output == "json":
        click.echo(json.dumps({"key_id": key_id, "key": key}))
        return
    click.echo(key)
    click.echo(
        f"\nKey {key_id} ({', '.join(sorted(scopes))}). It is shown this once: keep it like a password.\n"
        f"Next: export LICENTIA_KEY={key}",
        err=True,
    )


@with_options(output_option(), config_option())
@command("list", example="licentia key list")
def list_(output: str, config: Path | None) -> None:
    """List the keys, without their secrets.

    They are those of the local data folder.
    """
    from licentia.cli.local import LocalLicentia
    from licentia.cli.text import table

    with LocalLicentia(local_settings(config)) as licentia:
        keys = msgspec.to_builtins(licentia.run(lambda application: application.list_keys()))
    if output == "json":
        click.echo(json.dumps({"keys": keys}, indent=2, ensure_ascii=False))
    else:
        click.echo(table(keys) if keys else "No keys. Next: licentia key create --scopes admin,sales,depot,licensing")


@with_options(output_option(), config_option())
@command("revoke", example="licentia key revoke kq3m5cdzr7y2aab4")
@click.argument("key_id", help="The key's id: the part between the underscores.")
def revoke(key_id: str, output: str, config: Path | None) -> None:
    """Revoke a key at once.

    It is a key of the local data folder; a running server refuses it from the next request on.
    """
    from licentia.cli.local import LocalLicentia

    with LocalLicentia(local_settings(config)) as licentia:
        licentia.run(lambda application: application.revoke_key(key_id))
    if output == "text":
        click.echo(f"Key {key_id} is revoked.")
