"""`licentia binding features`, `seal` and `unseal`: a binding tried by hand, on this machine or on a file."""

from __future__ import annotations

import asyncio
import codecs
import hashlib
import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from licentia.bindings import EVIDENCE_LIMIT, SECRET_BYTES, Challenge, ClientHalf, Fingerprint, Identity, ServerHalf
from licentia.cli.bindings import find
from licentia.cli.command import Failure, command, output_option, with_options
from licentia.cli.files import read
from licentia.errors import InvalidRequest
from licentia.settings import SettingsError

REPORT_LIMIT = 8 * 2**20
"""Bytes of a report that are read; the binding has a limit of its own."""

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@with_options(output_option())
@command(
    "features",
    example="licentia binding features --verbose\n"
    "licentia binding features --dmidecode report.txt -o json > features.json",
)
@click.option("--dmidecode", type=FILE, help="Read this report of `dmidecode` instead of this machine.")
@click.option("--verbose", is_flag=True, help="Tell also which features are absent, and why.")
def features(dmidecode: Path | None, verbose: bool, output: str) -> None:
    """Show the features of a machine.

    They are what the binding `physical` knows a machine by, each in the form in which it is compared.
    What is blank or a placeholder, as "To Be Filled By O.E.M.", is no feature. Only root can read the
    serials of the hardware: run it as the user that your application runs as, to see what that one gets.

    With `-o json` it prints an object of names and values, as `licentia binding seal` takes it; with
    `--verbose` too, that object is `features`, beside `absent`.
    """
    half = _fingerprint(find("physical", {}).client())
    found = half._features(None if dmidecode is None else _decoded(read(dmidecode, REPORT_LIMIT)))
    if output == "json":
        told = {"features": found.values, "absent": found.absent} if verbose else found.values
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    lines = dict(found.values) | ({name: f"- {reason}" for name, reason in found.absent.items()} if verbose else {})
    width = max(map(len, lines), default=0)
    click.echo("\n".join(f"{name:{width}}  {value}" for name, value in lines.items()) or "No features. Try --verbose.")


@with_options(output_option())
@command(
    "seal",
    example="licentia binding seal physical --features features.json --tolerance medium --record record.json",
)
@click.argument("name", help="The binding, as `physical`.")
@click.option("--features", type=FILE, help="A JSON object of names and values; else those of this machine.")
@click.option(
    "--tolerance",
    type=click.Choice(["strict", "medium", "loose"]),
    help="How much may change, where the binding has such a setting; else its default.",
)
@click.option(
    "--record", type=click.Path(dir_okay=False, writable=True, path_type=Path), required=True, help="Where to write."
)
def seal(name: str, features: Path | None, tolerance: str | None, record: Path, output: str) -> None:
    """Seal a random secret to a machine.

    It does what a server does when a container is bound: judge the evidence, and make the record from
    which only that machine gets the secret. The hash that it prints is what `licentia binding unseal`
    prints on the same machine; the secret itself is kept nowhere else.

    Evidence that says too little to bind to is refused with exit code 2, and what is missing is named.
    """
    client = find(name, {}).client()
    try:
        server = find(name, {} if tolerance is None else {"tolerance": tolerance}).server()
    except SettingsError as error:
        raise click.UsageError(f"{error}.") from None
    nonce = secrets.token_hex(16)
    evidence = client.collect(nonce) if features is None else _fingerprint(client)._evidence_of(_features_of(features))
    secret = secrets.token_bytes(SECRET_BYTES)
    identity, sealed = asyncio.run(_sealed(server, evidence, Challenge(nonce=nonce, at=datetime.now(UTC)), secret))
    try:
        record.write_bytes(sealed)
    except OSError as error:
        raise Failure(f"{record} cannot be written: {error.strerror}.") from None
    told: dict[str, Any] = {
        "secret_sha256": hashlib.sha256(secret).hexdigest(),
        "weak": identity.weak,
        "attributes": dict(identity.attributes),
    }
    if output == "json":
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    _tell(told)
    click.echo(f"Next: licentia binding unseal {name} --record {record}")


@with_options(output_option())
@command(
    "unseal",
    example="licentia binding unseal physical --record record.json\n"
    "licentia binding unseal physical --record record.json --features features.json -o json",
)
@click.argument("name", help="The binding, as `physical`.")
@click.option("--record", type=FILE, required=True, help="What `licentia binding seal` wrote.")
@click.option("--features", type=FILE, help="A JSON object of names and values; else those of this machine.")
def unseal(name: str, record: Path, features: Path | None, output: str) -> None:
    """Open a record on a machine.

    It prints the hash of the secret, and which features have changed since it was sealed. If too much
    has changed, the record stays shut: the exit code is 2, and the changed features are named.
    """
    client = find(name, {}).client()
    sealed = read(record, EVIDENCE_LIMIT)
    if features is None:
        unsealed = client.unseal(sealed)
    else:
        unsealed = _fingerprint(client)._unseal_with(sealed, _features_of(features))
    told = {
        "secret_sha256": hashlib.sha256(unsealed.secret).hexdigest(),
        "changed": list(unsealed.changed),
        "weak": unsealed.weak,
    }
    if output == "json":
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        _tell(told)


async def _sealed(server: ServerHalf, evidence: bytes, challenge: Challenge, secret: bytes) -> tuple[Identity, bytes]:
    try:
        return await server.verify(evidence, challenge), await server.seal(evidence, secret)
    finally:
        await server.close()


def _fingerprint(half: ClientHalf) -> Fingerprint:
    if not isinstance(half, Fingerprint):
        raise click.UsageError(f"The binding {half.name!r} knows no features: leave out --features.")
    return half


def _features_of(file: Path) -> Mapping[str, str]:
    """The object of names and values in this file; InvalidRequest if it holds none."""
    try:
        return msgspec.json.decode(read(file, EVIDENCE_LIMIT), type=dict[str, str])
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(
            f"{file.name} is not a JSON object of names and texts: {error}.",
            help="`licentia binding features -o json` prints one.",
        ) from None


def _decoded(report: bytes) -> str:
    """Text in UTF-16 as Windows writes it, in UTF-8, or else in Latin-1, which every byte is valid in."""
    try:
        if report.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return report.decode("utf-16")
        return report.decode("utf-8-sig")
    except UnicodeDecodeError:
        return report.decode("latin-1")


def _tell(told: Mapping[str, Any]) -> None:
    for name, value in told.items():
        shown = ", ".join(value) or "-" if isinstance(value, list) else value
        if isinstance(value, Mapping):
            shown = "; ".join(f"{key}: {each}" for key, each in value.items()) or "-"
        click.echo(f"{name:13}  {str(shown).lower() if isinstance(shown, bool) else shown}")
