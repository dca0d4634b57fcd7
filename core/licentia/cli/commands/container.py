"""`licentia container`: an act-file on the machine that it is for, and a look at the files of the exchange."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from licentia.cli.command import command, output_option, with_options
from licentia.cli.files import read, write
from licentia.cli.text import table

FILE = click.Path(dir_okay=False, path_type=Path)
READABLE = click.Path(exists=True, dir_okay=False, path_type=Path)
LARGEST = 64 * 2**20


def _file_argument() -> Callable[..., Any]:
    return click.argument("file", type=FILE, help="The act-file.")


def _out_option(what: str) -> Callable[..., Any]:
    return click.option("--out", type=FILE, help=f"Where to write {what}; else beside the act-file.")


@with_options(output_option())
@command(
    "new",
    example="licentia container new cad.act --trust vendor.manifest\n"
    "licentia container new cad.act --url https://licenses.example.com --binding aws",
)
@_file_argument()
@click.option("--trust", type=READABLE, help="The vendor's key manifest (`licentia key manifest` on the server).")
@click.option("--url", help="Take the manifest from this server instead; only over TLS or on this machine.")
@click.option("--binding", "bindings", multiple=True, help="What it is bound to. Default: physical. May be repeated.")
def new(file: Path, trust: Path | None, url: str | None, bindings: tuple[str, ...], output: str) -> None:
    """Make an empty act-file on this machine.

    It gets keys of its own; what it trusts is the vendor's key manifest, for good. The server decides which
    bindings it takes: `physical` is this machine's hardware, `aws`, `azure` and `gcp` a virtual machine of
    theirs.
    """
    from licentia.client.actfile import ActFile

    container = ActFile(file, trust=_manifest(trust, url)).create(bindings or ("physical",))
    _tell(output, {"container": container, "file": str(file)}, f"Made {file}.\nNext: licentia container request {file}")


@with_options(output_option())
@command("request", example="licentia container request cad.act --out cad.request")
@_file_argument()
@_out_option("the request")
@click.option("--new", "anew", is_flag=True, help="Give up the last request, which the server says it answered.")
def request(file: Path, out: Path | None, anew: bool, output: str) -> None:
    """Write the request for the server.

    The server answers it with an update. It stays the same one until its answer is applied, so it may be
    sent as often as need be. It holds what the machine is bound by (of its hardware only fingerprints), and
    no license.
    """
    out = out or file.with_suffix(".request")
    write(out, _opened(file).request(anew=anew))
    _tell(
        output,
        {"request": str(out)},
        f"Wrote {out}.\nNext, where the server can be reached:\n"
        f"  licentia ticket activate TICKET --container act-file --request {out}",
    )


@with_options(output_option())
@command("apply", example="licentia container apply cad.act licentia-kPrK_qmx.update")
@_file_argument()
@click.argument("updates", type=READABLE, help="What the server answered.")
@_out_option("the receipt")
def apply(file: Path, updates: Path, out: Path | None, output: str) -> None:
    """Take the server's answer into the act-file.

    It is taken wholly or not at all, and the receipt is written. The server counts the licenses as here once it
    has the receipt, or at the next request.
    """
    out = out or file.with_suffix(".receipt")
    act_file = _opened(file)
    write(out, act_file.apply(read(updates, LARGEST)))
    held = act_file.licenses()
    _tell(
        output,
        {"receipt": str(out), "licenses": msgspec.to_builtins(held)},
        f"{file} holds {len(held)} licenses now. Wrote {out}.\nNext, where the server can be reached:\n"
        f"  licentia activation confirm ACTIVATION --receipt {out}",
    )


@with_options(output_option())
@command("show", example="licentia container show cad.act")
@_file_argument()
def show(file: Path, output: str) -> None:
    """Show the licenses in an act-file.

    It opens on its own machine only.
    """
    act_file = _opened(file)
    held, changed, weak = msgspec.to_builtins(act_file.licenses()), act_file.changed(), act_file.weak()
    if output == "json":
        click.echo(json.dumps({"licenses": held, "changed": changed, "weak": weak}, indent=2, ensure_ascii=False))
        return
    if changed:
        click.echo(
            f"Changed on this machine: {', '.join(changed)}. Next, before more of it does: licentia container contact.",
            err=True,
        )
    columns = ("product_code", "name", "quantity", "expires_at", "contact_by", "activation_id")
    rows = [{name: each[name] for name in columns} for each in held]
    click.echo(table(rows) if rows else "No licenses. Next: licentia container request, and carry it to the server.")


@with_options(output_option())
@command("receipt", example="licentia container receipt cad.act --out cad.receipt")
@_file_argument()
@_out_option("the receipt")
def receipt(file: Path, out: Path | None, output: str) -> None:
    """Write the receipt of what an act-file holds, once more.

    It is the same that `apply` wrote. The next request of the container tells the server as much.
    """
    out = out or file.with_suffix(".receipt")
    write(out, _opened(file).receipt())
    _tell(output, {"receipt": str(out)}, f"Wrote {out}.")


@with_options(output_option())
@command("check", example="licentia container check cad.act 201001 --feature pro")
@_file_argument()
@click.argument("product_code", help="What is to be used.")
@click.option("--feature", help="A feature of it.")
@click.option("--release-date", type=click.DateTime(["%Y-%m-%d"]), help="The day the application was released.")
def check(file: Path, product_code: str, feature: str | None, release_date: datetime | None, output: str) -> None:
    """Use a license as an application does.

    It works, or the refusal says why not (exit code 2).
    """
    license = _opened(file).require(product_code, feature=feature, release_date=_utc(release_date))
    until = f" until {license.expires_at:%Y-%m-%d %H:%M} UTC" if license.expires_at else ""
    _tell(output, msgspec.to_builtins(license), f"{license.name} may be used here{until}.")


@with_options(output_option())
@command("return", example="licentia container return cad.act act_7d1e44c0")
@_file_argument()
@click.argument("activation_id", help="The activation, as `licentia container show` tells it.")
@_out_option("the receipt")
def return_(file: Path, activation_id: str, out: Path | None, output: str) -> None:
    """Give up licenses here, and write the receipt.

    From this moment on they cannot be used here. The receipt may be made again by the same command.
    """
    out = out or file.with_suffix(".receipt")
    write(out, _opened(file).give_back(activation_id))
    _tell(
        output,
        {"receipt": str(out)},
        f"Given up. Wrote {out}.\nNext, where the server can be reached:\n"
        f"  licentia activation return {activation_id} --receipt {out}",
    )


@with_options(output_option())
@command("contact", example="licentia container contact cad.act --url https://licenses.example.com")
@_file_argument()
@click.option("--url", required=True, envvar="LICENTIA_URL", help="Address of the server, or LICENTIA_URL.")
def contact(file: Path, url: str, output: str) -> None:
    """Contact the server, online.

    It sends the request, takes the answer and confirms it. This is what licenses with a checkpoint need
    from time to time. Interrupted at any point, it is simply run again. It needs no key.
    """
    from licentia.cli.backend import remote
    from licentia.client.actfile.contact import by_http

    act_file = _opened(file)
    with remote(url, "") as server:
        changed = act_file.contact(by_http(server))
    held = act_file.licenses()
    _tell(
        output,
        {"updated": changed, "licenses": msgspec.to_builtins(held)},
        f"{'Updated' if changed else 'Nothing new'}: {file} holds {len(held)} licenses.",
    )


@with_options(output_option())
@command("inspect", example="licentia container inspect licentia-kPrK_qmx.update")
@click.argument("file", type=READABLE, help="An act-file, a file of updates, a request, a receipt or a manifest.")
def inspect(file: Path, output: str) -> None:
    """Show what can be read of a file.

    No key is needed, and nothing of it is verified.
    """
    from licentia.client.actfile import look

    _tell_all(output, look.inspect(read(file, LARGEST)))


@with_options(output_option())
@command("verify", example="licentia container verify cad.act --keys vendor.manifest")
@click.argument("file", type=READABLE, help="An act-file, a file of updates, a request, a receipt or a manifest.")
@click.option("--keys", type=READABLE, required=True, help="The vendor's key manifest, or what /v1/keys answers.")
def verify(file: Path, keys: Path, output: str) -> None:
    """Verify the signatures of a file.

    They are verified with the vendor's keys, and so is that its updates follow one another.
    """
    from licentia.client.actfile import look

    _tell_all(output, look.verify(read(file, LARGEST), read(keys, LARGEST)))


def _opened(file: Path) -> Any:
    """The act-file, which trusts what it was made with."""
    from licentia.client.actfile import ActFile
    from licentia.client.actfile.file import decode
    from licentia.errors import ContainerUnknown

    if not file.exists():
        raise ContainerUnknown(f"There is no act-file {file}.", help=f"`licentia container new {file}` makes one.")
    return ActFile(file, trust=decode(read(file, LARGEST)).trust[0])


def _manifest(trust: Path | None, url: str | None) -> bytes:
    if (trust is None) == (url is None):
        raise click.UsageError("Give --trust FILE or --url URL: whose licenses it is for.")
    if trust is not None:
        return read(trust, LARGEST)
    from licentia.cli.backend import remote
    from licentia.client.actfile.contact import manifest

    assert url is not None
    with remote(url, "") as server:
        return manifest(server)


def _utc(day: datetime | None) -> datetime | None:
    from datetime import UTC

    return None if day is None else day.replace(tzinfo=UTC)


def _tell(output: str, told: dict[str, Any], text: str) -> None:
    click.echo(json.dumps(told, indent=2, ensure_ascii=False) if output == "json" else text)


def _tell_all(output: str, told: dict[str, Any]) -> None:
    if output == "json":
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    plain = {name: value for name, value in told.items() if not isinstance(value, list) or name != "updates"}
    lines = [f"{name:18} {_text(value)}" for name, value in plain.items()]
    for update in told.get("updates", []):
        lines += ["", *(f"  {name:16} {_text(value)}" for name, value in update.items())]
    click.echo("\n".join(lines))


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else "-" if value is None else str(value)
