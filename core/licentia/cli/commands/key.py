"""`licentia key`: the keys that callers of the API use, and the key that signs leases.

They are made and changed on the server's own machine only.
"""

from __future__ import annotations

import json
from datetime import timedelta
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


@with_options(output_option(), config_option())
@command(
    "rotate",
    example="licentia key rotate\nlicentia key rotate --prepare\nlicentia key rotate --use KID",
)
@click.option("--prepare", is_flag=True, help="Only publish the next key; nothing is signed with it yet.")
@click.option("--use", "kid", metavar="KID", help="Change to this prepared key; repeating that changes nothing.")
def rotate(prepare: bool, kid: str | None, output: str, config: Path | None) -> None:
    """Sign leases with a new key.

    A running server signs with it within a second, without a restart. The public half of the old key
    stays at /v1/keys, so leases that are out stay good.

    Applications that know the public keys by heart, and other machines on the same database, must have
    the new public key before the first lease is signed with it: prepare it, hand it on, then use it.
    """
    if prepare and kid:
        raise click.UsageError("Give --prepare or --use, not both.")
    from licentia.cli.local import LocalLicentia
    from licentia.services import lease_keys

    with LocalLicentia(local_settings(config)) as licentia:
        if prepare:
            next_kid = licentia.run(lease_keys.prepare).kid
            told: dict[str, str | None] = {"kid": next_kid, "state": "prepared", "previous": None}
            text = (
                f"Key {next_kid} is prepared: published, and nothing is signed with it.\n"
                "Next: copy keys/ to every other machine of this server, then on each of them and here:\n"
                f"  licentia key rotate --use {next_kid}"
            )
        else:
            current, previous = licentia.run(lambda application: lease_keys.rotate(application, kid))
            told = {"kid": current.kid, "state": "current", "previous": previous.kid if previous else None}
            text = f"Key {current.kid} signs leases" + (" already." if previous is None else " from now on.")
            if previous is not None:
                text += (
                    f"\nLeases signed with {previous.kid} stay good.\n"
                    f"Next: back up keys/, and when the last of those leases has ended: "
                    f"licentia key retire {previous.kid}"
                )
    click.echo(json.dumps(told, indent=2) if output == "json" else text)


@with_options(output_option(), config_option())
@command(
    "retire",
    example="licentia key retire kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k\nlicentia key retire --older-than 400",
)
@click.argument("kid", required=False, help="The id of a lease key, as `licentia key public` shows it.")
@click.option(
    "--older-than", type=click.IntRange(0), metavar="DAYS", help="All keys that were replaced so many days ago."
)
def retire(kid: str | None, older_than: int | None, output: str, config: Path | None) -> None:
    """Publish an old lease key no longer.

    Whoever reads /v1/keys afterwards takes the leases that it signed for forged. So wait until the last
    of them has ended: the longest lease of your products, and offline leases too. If the key was stolen,
    do not wait. The key that signs now is refused; `licentia key rotate` replaces it first.
    """
    if (kid is None) == (older_than is None):
        raise click.UsageError("Name one key, or give --older-than DAYS.")
    from licentia.cli.local import LocalLicentia
    from licentia.services import lease_keys

    age = None if older_than is None else timedelta(days=older_than)
    with LocalLicentia(local_settings(config)) as licentia:
        kids = licentia.run(lambda application: lease_keys.retire(application, kid, age))
    if output == "json":
        click.echo(json.dumps({"retired": kids}, indent=2))
        return
    for each in kids:
        click.echo(f"Key {each} is published no longer; leases that it signed cannot be checked any more.")
    if not kids:
        click.echo("No key was replaced so long ago.")
