"""`licentia init`: a data folder that is ready to serve."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import click

from licentia.cli.command import Failure, command, output_option, with_options
from licentia.settings import load

DEFAULT_DATABASE = "sqlite:///licentia.db"

SETTINGS = """\
# Settings of Licentia. conf/full.toml explains all of them; `licentia doctor` checks them.
# A variable overrides a setting: LICENTIA_PORT=8401, LICENTIA_LIMITS__TICKET_MISSES_PER_MINUTE=10.

# SQLite in this folder, or PostgreSQL for several servers: postgres://user:password@host/licentia
database = {database}

# Where it listens. To serve other machines, put a reverse proxy with TLS before it.
host = "127.0.0.1"
port = {port}

# The address that clients use, and the names it may be asked by.
# public_url = "https://licenses.example.com"
# allowed_hosts = ["licenses.example.com"]
"""


@with_options(output_option())
@command(
    "init", example="licentia init acme\nlicentia init acme --database postgres://licentia@db.example.com/licentia"
)
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path), help="The folder to make.")
@click.option("--database", default=DEFAULT_DATABASE, help="The database's URL; else SQLite in DIR.")
@click.option(
    "--port", type=click.IntRange(0, 65535), metavar="N", default=8400, help="Where it will listen. Default: 8400."
)
def init(folder: Path, database: str, port: int, output: str) -> None:
    """Make a data folder: settings, keys, database.

    DIR gets licentia.toml, keys/ and, unless another database is named, licentia.db. A folder that has
    a licentia.toml already is left as it is.
    """
    file = folder / "licentia.toml"
    _write_settings(file, SETTINGS.format(database=json.dumps(database, ensure_ascii=False), port=port))
    try:
        settings = load(file, environ={})
        from licentia.cli.local import LocalLicentia

        with LocalLicentia(settings):
            pass
    except BaseException:
        file.unlink()
        raise
    if output == "json":
        click.echo(json.dumps({"config": str(file.absolute()), "data": str(settings.data)}, indent=2))
        return
    config = shlex.quote(str(file))
    click.echo(
        f"Made {folder.absolute()}: licentia.toml, keys/ and the database.\n"
        "Keep keys/ secret and in the backup: without it no key and no lease of this server can be checked.\n"
        "The key in keys/root vouches for all that containers trust, and is best kept elsewhere:\n"
        f"  licentia key root export DIR --config {config}\n\n"
        f"Next:\n"
        f"  licentia key create --config {config} --scopes admin,sales,depot,licensing\n"
        f"  licentia serve --config {config}\n"
        f"  licentia doctor --config {config}"
    )


def _write_settings(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as settings:
            file.chmod(0o600)
            settings.write(text)
    except FileExistsError:
        told = f"{file} is there already, and was left as it is. `licentia serve --config {file}` uses it."
        raise Failure(told) from None
    except OSError as error:
        raise Failure(f"{file} cannot be written: {error.strerror}.") from None
