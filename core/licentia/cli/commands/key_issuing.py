"""`licentia key issuing`, `licentia key root`, `licentia key manifest`: the keys that containers are signed with.

Root keys vouch for issuing keys in the key manifest. They may be on a machine without a network: what
they have to sign is written to a file there, and their signature comes back in a file.
"""

from __future__ import annotations

import base64
import contextlib
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from licentia.cli.backend import connect, local_settings
from licentia.cli.command import Failure, command, config_option, connection_options, output_option, with_options
from licentia.cli.files import read
from licentia.contract import BY_NAME
from licentia.contract.keys import GetKeyManifest

FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
DAYS = click.IntRange(1, 3650)

draft_option = click.option(
    "--draft", type=click.Path(dir_okay=False, path_type=Path), help="Only write what the root keys must sign to FILE."
)
days_option = click.option(
    "--days", type=DAYS, default=730, metavar="N", help="How long the new key signs. Default: 730."
)
unprotected_option = click.option("--unprotected", is_flag=True, help="Keep the key without a passphrase.")


@with_options(output_option(), *connection_options())
@command(
    "manifest",
    example="licentia key manifest > acme.manifest\nlicentia key manifest --url https://licenses.example.com -o json",
)
def manifest(output: str, url: str | None, key: str | None, config: Path | None) -> None:
    """Print the key manifest, which applications bring along.

    It names the keys that count for this vendor, signed by the vendor's root keys. Build it into the
    application: its licenses are believed only if a key of the manifest has signed them. The application
    follows to newer manifests by itself. With `-o json` it is told what the manifest says.
    """
    from licentia.crypto.manifest import read_pinned

    with connect(url, key, config) as licentia:
        reply: Any = licentia.call(BY_NAME["GetKeyManifest"], GetKeyManifest())
    found = read_pinned(base64.b64decode(reply.content))
    if output == "json":
        click.echo(json.dumps(_told(found), indent=2, ensure_ascii=False))
    else:
        click.echo(found.to_bytes(), nl=False)


@with_options(output_option(), config_option())
@command("install", example="licentia key issuing install acme.signed")
@click.argument("signed", type=FILE, metavar="FILE", help="What the last `licentia key root sign` printed.")
def install(signed: Path, output: str, config: Path | None) -> None:
    """Go over to a key manifest that was signed elsewhere.

    A running server follows within a second. Installing it again changes nothing.
    """
    from licentia.crypto.manifest import LIMIT
    from licentia.services import issuing_keys

    data = read(signed, LIMIT)
    with _local(config) as licentia:
        found = licentia.run(lambda application: issuing_keys.install(application, data))
    _say(_told(found), _gone_over(found), output)


@with_options(output_option(), config_option())
@command("rotate", example="licentia key issuing rotate\nlicentia key issuing rotate --draft acme.draft")
@days_option
@draft_option
def rotate(days: int, draft: Path | None, output: str, config: Path | None) -> None:
    """Sign for containers with a new key.

    Once a year is a good habit. A running server goes over within a second. What the old key has signed
    stays good. The root keys must sign the new manifest; if they are elsewhere, write a draft.
    """
    _change(lambda issuing: issuing.rotation(timedelta(days=days)), draft, output, config)


@with_options(output_option(), config_option())
@command("revoke", example="licentia key issuing revoke KID")
@click.argument("kid", help="The key's id, as `licentia key manifest -o json` shows it.")
@days_option
@draft_option
def revoke(kid: str, days: int, draft: Path | None, output: str, config: Path | None) -> None:
    """Let a key count for nothing any more: somebody else may have it.

    Containers refuse what it has signed as soon as they know the new manifest; at their next contact they
    get the same licenses signed anew. If it is the key that signs now, a new one is made.
    """
    _change(lambda issuing: issuing.revocation(kid, timedelta(days=days)), draft, output, config)


@with_options(output_option(), config_option())
@command("protect", example="LICENTIA_KEY_PASSPHRASE_FILE=/run/secrets/licentia licentia key issuing protect")
def protect(output: str, config: Path | None) -> None:
    """Put the private keys in keys/ that have no passphrase behind one.

    It is the one in LICENTIA_KEY_PASSPHRASE or in the file that LICENTIA_KEY_PASSPHRASE_FILE names, which
    the server needs from then on. It protects backups and copies of the folder, not a machine that was
    broken into: there the passphrase is too.
    """
    from licentia.crypto.keystores.files import FileStore
    from licentia.crypto.keystores.opened import passphrase
    from licentia.crypto.roots import ROOT_FOLDER

    folder = local_settings(config).data / "keys"
    with _usable():
        changed = sum(FileStore(each, passphrase()).protect() for each in (folder, folder / ROOT_FOLDER))
    _say({"protected": changed}, f"{changed} keys were put behind the passphrase.", output)


@with_options(output_option())
@command("new", example="licentia key root new /media/safe/root-a > root-a.json")
@click.argument("folder", type=FOLDER, metavar="DIR", help="Where to keep it: a medium that you can lock away.")
@unprotected_option
def new_root(folder: Path, unprotected: bool, output: str) -> None:
    """Make a root key, on any machine, and print its public half.

    The public half goes to the server (`licentia key root use`). The private half signs key manifests, and
    nothing else: best on a machine without a network, behind a passphrase that is asked for, or is in
    the file that LICENTIA_KEY_PASSPHRASE_FILE names.
    """
    from licentia.crypto.keystores.files import FileStore
    from licentia.crypto.roots import public_text
    from licentia.crypto.suites import HYBRID

    with _usable():
        key = FileStore(folder, _passphrase(unprotected)).generate("root", HYBRID)
    if output == "json":
        click.echo(json.dumps({"kid": key.public.kid, "public": json.loads(public_text(key.public))}, indent=2))
        return
    click.echo(public_text(key.public))
    click.echo(f"Root key {key.public.kid} is in {folder}. Next, on the server: licentia key root use", err=True)


@with_options(output_option(), config_option())
@command("export", example="licentia key root export /media/safe/root")
@click.argument("folder", type=FOLDER, metavar="DIR", help="Where to move it: a medium that you can lock away.")
@unprotected_option
def export_root(folder: Path, unprotected: bool, output: str, config: Path | None) -> None:
    """Move the root key that this server has made off this machine.

    Whoever has it can make keys that every application of yours believes. The server does not need it to
    run, only to change keys: from then on `--draft` writes what has to be signed, `licentia key root sign`
    signs it where the root key is, and `licentia key issuing install` takes the result.
    """
    from licentia.crypto.keystores.files import FileStore
    from licentia.services import issuing_keys

    with _local(config) as licentia:
        target = FileStore(folder, _passphrase(unprotected))
        kids = licentia.run(lambda application: issuing_keys.export_roots(application, target))
    text = "".join(f"Root key {kid} is in {folder}, and no longer here.\n" for kid in kids)
    text += "Make a second copy of it, and lock both away." if kids else "This server has no root key: it is elsewhere."
    _say({"exported": kids}, text, output)


@with_options(output_option(), config_option())
@command("use", example="licentia key root use root-a.json root-b.json root-c.json --threshold 2 --draft acme.draft")
@click.argument("publics", nargs=-1, required=True, type=FILE, metavar="FILE...", help="Public halves of root keys.")
@click.option("--threshold", type=click.IntRange(1, 16), default=1, metavar="N", help="How many must sign. Default: 1.")
@draft_option
def use_roots(publics: tuple[Path, ...], threshold: int, draft: Path | None, output: str, config: Path | None) -> None:
    """Change to other root keys.

    The roots until now and the new ones must sign this, each as many as their threshold says: so write a
    draft, have it signed one after the other, and install it.
    """
    from licentia.crypto.manifest import Roots
    from licentia.crypto.roots import read_public

    with _usable():
        keys = tuple(read_public(each) for each in publics)
    try:
        roots = Roots(threshold=threshold, keys=keys)
    except ValueError:
        raise click.UsageError("Name different keys, at least as many as must sign.") from None
    _change(lambda issuing: issuing.succession(roots), draft, output, config)


@with_options(output_option())
@command("sign", example="licentia key root sign acme.draft /media/safe/root-a > acme.signed")
@click.argument("draft", type=FILE, help="What `--draft` wrote, or what another root key has signed.")
@click.argument("folder", type=FOLDER, metavar="DIR", help="Where the root key is.")
def sign(draft: Path, folder: Path, output: str) -> None:
    """Sign a key manifest with a root key, and print it.

    This needs no server and no network. Look at what it tells on the standard error before you carry the
    result away: it is what your applications will believe.
    """
    from licentia.crypto.keystores.files import FileStore
    from licentia.crypto.manifest import LIMIT, unverified_body
    from licentia.crypto.roots import sign_draft

    data = read(draft, LIMIT)
    body = unverified_body(data)
    with _usable():
        behind = any("passphrase" in each.kept for each in FileStore(folder).stored())
        signed, kids = sign_draft(data, FileStore(folder, _passphrase(not behind, new=False)))
    told = {"kids": kids, "version": body.version, "vendor": body.vendor, "content": signed.decode()}
    if output == "json":
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    click.echo(signed, nl=False)
    click.echo(
        f"Signed version {body.version} of the keys of {body.vendor!r} with {', '.join(kids)}. It says:\n"
        + "".join(f"  {each.state:8} issuing key {each.key.kid}\n" for each in body.issuing)
        + "".join(f"  root key {key.kid}\n" for key in body.roots.keys)
        + f"  {body.roots.threshold} of the root keys must sign.",
        err=True,
    )


def _change(plan: Any, draft: Path | None, output: str, config: Path | None) -> None:
    from licentia.services import issuing_keys

    with _local(config) as licentia:
        if draft is None:
            found = licentia.run(lambda application: issuing_keys.publish(application, plan))
        else:
            data = licentia.run(lambda application: issuing_keys.draft(application, plan))
    if draft is None:
        told, text = _told(found), _gone_over(found)
    else:
        draft.write_bytes(data)
        told = {"draft": str(draft)}
        text = (
            f"{draft} waits for the root keys. Next, where they are: licentia key root sign {draft} DIR > signed\n"
            "Then here: licentia key issuing install signed"
        )
    _say(told, text, output)


def _gone_over(found: Any) -> str:
    kid = next(each.key.kid for each in found.body.issuing if each.state == "current")
    return f"Key {kid} signs for containers; the key manifest has version {found.version}.\nNext: back up keys/."


async def _current(application: Any) -> Any:
    return application.issuing.manifest()


def _told(found: Any) -> dict[str, Any]:
    body = found.body
    return {
        "version": body.version,
        "vendor": body.vendor,
        "issued_at": _time(body.issued_at),
        "suites": list(body.suites),
        "roots": {"threshold": body.roots.threshold, "kids": [key.kid for key in body.roots.keys]},
        "signed_by": list(found.signed_by),
        "issuing": [
            {
                "kid": each.key.kid,
                "state": each.state,
                "not_before": _time(each.not_before),
                "not_after": _time(each.not_after),
            }
            for each in body.issuing
        ],
    }


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _say(told: dict[str, Any], text: str, output: str) -> None:
    click.echo(json.dumps(told, indent=2, ensure_ascii=False) if output == "json" else text)


def _passphrase(unprotected: bool, *, new: bool = True) -> bytes | None:
    from licentia.crypto.keystores.opened import passphrase

    found = passphrase()
    if found is not None or unprotected:
        return found
    if not _typed_on():
        raise click.UsageError(
            "Put the passphrase into a file and name it in LICENTIA_KEY_PASSPHRASE_FILE"
            + (", or say --unprotected." if new else ".")
        )
    typed: str = click.prompt("Passphrase", hide_input=True, confirmation_prompt=new, err=True)
    return typed.encode()


def _typed_on() -> bool:
    """Whether there is someone to ask."""
    return sys.stdin.isatty()


@contextlib.contextmanager
def _usable() -> Iterator[None]:
    from licentia.crypto.keyfiles import KeyFolderError

    try:
        yield
    except KeyFolderError as error:
        raise Failure(str(error)) from None


@contextlib.contextmanager
def _local(config: Path | None) -> Iterator[Any]:
    from licentia.cli.local import LocalLicentia

    with _usable(), LocalLicentia(local_settings(config)) as licentia:
        yield licentia
