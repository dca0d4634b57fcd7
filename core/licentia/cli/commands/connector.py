"""`licentia connector normalise`: what a delivery of a business system means, tried on a file."""

from __future__ import annotations

import asyncio
import secrets
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import click
import msgspec
from msgspec import Meta

from licentia.cli.command import REFUSED, Failure, Output, command, output_option, report, with_options
from licentia.cli.files import read
from licentia.cli.text import table
from licentia.connectors import Change, Connector, Delivery, headers_of
from licentia.errors import InvalidRequest, Unauthenticated
from licentia.settings import SettingsError, value_of

LARGEST = 8 * 2**20
"""Bytes of a file that are read; a connector has a limit of its own."""

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
Moment = Annotated[datetime, Meta(tz=True)]


class Recorded(msgspec.Struct):
    """A request that somebody recorded with its headers, as one JSON object."""

    headers: dict[str, str]
    body: str
    path: str = ""


class _Time(click.ParamType[Any]):
    """A time of RFC 3339."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            return msgspec.convert(value, Moment).astimezone(UTC)
        except (msgspec.ValidationError, OverflowError):
            return self.fail(f"{value!r} is no time as 2026-11-24T02:00:00Z.", param, ctx)


class _Setting(click.ParamType[Any]):
    """NAME=VALUE; the value is TOML where it is valid TOML, else a text, as in a `LICENTIA_*` variable."""

    name = "setting"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Any]:
        name, equals, text = value.partition("=")
        if not equals or not name:
            return self.fail("a setting is NAME=VALUE.", param, ctx)
        return name, value_of(text)


@with_options(output_option())
@command(
    "normalise",
    example="licentia connector normalise ubl order.xml\n"
    "licentia connector normalise webhook order.json --headers order.headers --secret whsec_... -o json",
)
@click.argument("name", help="The connector, as `webhook`.")
@click.argument("file", type=FILE, help="The body that the system sent, or a JSON object of its `headers` and `body`.")
@click.option("--headers", type=FILE, help="Its headers: lines of `Name: value`, or a JSON object.")
@click.option("--secret", help="What the system signs with or shows; its deliveries are authenticated then.")
@click.option("--setting", "settings", type=_Setting(), multiple=True, help="NAME=VALUE. May be repeated.")
@click.option("--url", default="", help="The address that the system called, with its query.")
@click.option("--method", default="POST", help="The method of the request. Default: POST.")
@click.option("--pointer", default="", help="FILE is what was fetched for this pointer.")
@click.option("--at", type=_Time(), help="When it came, for signatures that grow old; else now.")
@click.pass_context
def normalise(
    ctx: click.Context,
    name: str,
    file: Path,
    headers: Path | None,
    secret: str | None,
    settings: tuple[tuple[str, Any], ...],
    url: str,
    method: str,
    pointer: str,
    at: datetime | None,
    output: Output,
) -> None:
    """Show which changes of orders a delivery means.

    The server's own code reads it; nothing is kept and nobody is asked. With `--secret` it is
    authenticated first. The exit code is 2 if it is forged or cannot be understood.
    """
    from licentia.cli.logs import to_standard_error

    to_standard_error()
    given = dict(settings) | ({} if secret is None else {"secret": secret})
    connector = _connector(name, given)
    delivery = _delivery(file, headers, received_at=at or datetime.now(UTC), method=method, url=url, pointer=pointer)
    try:
        changes = asyncio.run(_understood(connector, delivery, authentic="secret" in given and not pointer))
    except Unauthenticated as refusal:
        if at is None:
            refusal.next_step += " If it was recorded some time ago, tell by --at when it came."
        report(refusal, output)
        ctx.exit(REFUSED)
    if output == "json":
        click.echo(msgspec.json.format(msgspec.json.Encoder(decimal_format="number").encode(changes), indent=2))
    else:
        click.echo(_text(changes))


def _connector(name: str, settings: Mapping[str, Any]) -> Connector:
    """The installed connector of this name; one that wants a secret gets one that nobody knows, if none is given."""
    from licentia.installed import found_in, installed

    connectors = [found for found in found_in(installed()) if found.kind == "connector"]
    found = next((found for found in connectors if found.name == name), None)
    if found is None:
        names = ", ".join(dict.fromkeys(found.name for found in connectors)) or "none"
        raise click.BadParameter(f"there is no connector {name!r} here; installed are: {names}.", param_hint="NAME")
    if found.flaw:
        raise Failure(f"{found.title} is broken: {found.flaw}.")
    unknown = f"whsec_{b64encode(secrets.token_bytes(32)).decode()}"
    try:
        connector: Connector = found.loaded(name, settings)
    except SettingsError as first:
        try:
            connector = found.loaded(name, {"secret": unknown} | dict(settings))
        except SettingsError as second:
            told = first if "`secret`" in str(second) else second  # it may have no such setting
            raise click.UsageError(f"{told}. Correct it by --setting.") from None
    return connector


def _delivery(file: Path, headers: Path | None, **told: Any) -> Delivery:
    body = read(file, LARGEST)
    try:
        recorded = msgspec.json.decode(body, type=Recorded)
    except (ValueError, RecursionError):
        return Delivery(body=body, headers={} if headers is None else headers_of(_text_of(headers)), **told)
    found = {name.lower(): value for name, value in recorded.headers.items()}
    more = {} if headers is None else headers_of(_text_of(headers))
    told["url"] = told["url"] or recorded.path
    return Delivery(body=recorded.body.encode("utf-8", "replace"), headers=found | more, **told)


async def _understood(connector: Connector, delivery: Delivery, *, authentic: bool) -> tuple[Change, ...]:
    try:
        if authentic:
            await connector.authenticate(delivery)
        return connector.normalise(delivery)
    finally:
        await connector.close()


def _text_of(file: Path) -> str:
    try:
        return read(file, LARGEST).decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidRequest(f"{file.name} is not UTF-8.", help="Write the headers in UTF-8.") from None


def _text(changes: tuple[Change, ...]) -> str:
    """Each change with its lines as a table."""
    told = []
    for change in changes:
        values = [f"{change.kind} {change.order_number or change.pointer}", f"version {change.version}"]
        values += [f"of {change.origin}"] if change.origin else []
        values += ["the whole order"] if change.full_snapshot else []
        values += ["a test"] if change.test else []
        if buyer := change.customer:
            values.append(f"for {buyer.name or buyer.email or buyer.id}")
        rows = [
            {
                "line_id": each.line_id,
                "sku": each.sku,
                "quantity": f"{each.quantity:f}",
                "also": ", ".join(each.alternatives),
                **each.options,
            }
            for each in change.lines
        ]
        columns = tuple(dict.fromkeys(name for row in rows for name in row))
        wide = [{name: row.get(name, "") for name in columns} for row in rows]
        told.append(", ".join(values) + (f"\n{table(wide, columns)}" if rows else ""))
    return "\n\n".join(told) or "It means nothing for orders."
