"""The command of an operation: its parameters, its request, and the reply shown."""

from __future__ import annotations

import base64
import json
from inspect import getdoc
from pathlib import Path
from typing import Any, BinaryIO

import click
import msgspec
from msgspec import inspect

from licentia.cli.backend import Backend, connect
from licentia.cli.command import Command, connection_options, epilog, output_option
from licentia.cli.fields import argument, fields_of, is_nested, option
from licentia.cli.files import write
from licentia.cli.forms import FORMS
from licentia.cli.text import more_pages, next_command, next_page, render
from licentia.cli.tree import Verb
from licentia.contract import BY_NAME, Operation, Request, parse
from licentia.contract.tables import as_csv, is_listing


def operation_command(name: str, verb: Verb) -> Command:
    """The command `name`, which calls the operation of `verb`."""
    operation = BY_NAME[verb.operation]

    def run(output: str, url: str | None, key: str | None, config: Any, **values: Any) -> None:
        idempotency_key = values.pop("idempotency_key", None)
        out: Path | None = values.pop("out", None)
        request = build(operation, values)
        with connect(url, key, config) as licentia:
            if output == "csv":
                _print_csv(licentia, operation, request)
                return
            reply = licentia.call(operation, request, idempotency_key=idempotency_key)
        saved = _save(reply, out)
        if output == "json":
            if reply is not None:
                click.echo(msgspec.json.format(msgspec.json.encode(reply)))
            return
        click.echo(render(reply) if reply is not None else "Done.")
        for line in (saved, more_pages(request, reply), next_command(verb.then, reply)):
            if line:
                click.echo(f"\n{line}")

    more = f"REST: {operation.method} {operation.path}, "
    more += "without a key." if operation.open else f"scope {operation.service}."
    if operation.errors:
        more += f" Refusals: {', '.join(error.code for error in operation.errors)}."
    return Command(
        name,
        callback=run,
        params=_parameters(operation),
        help=getdoc(operation.request),
        short_help=operation.summary,
        epilog=epilog(verb.example, more),
    )


def _save(reply: Any, out: Path | None) -> str:
    """Write the delivery of a reply into a file; what to tell of it."""
    delivery = getattr(reply, "delivery", None)
    if delivery is None:
        return "" if out is None else f"There was nothing to write into {out}."
    if out is None:
        return "The update for the container is in the reply: `--out FILE` writes it into a file."
    write(out, base64.b64decode(delivery.content))
    return f"Wrote {out}.\nNext, on the container's machine: licentia container apply FILE {out}"


def _print_csv(licentia: Backend, operation: Operation, request: Any) -> None:
    """This page and all that follow, under one line of names."""
    cursor: str | None = ""
    while cursor is not None:
        reply = licentia.call(operation, request)
        assert reply is not None
        click.echo(as_csv(reply, names=not cursor), nl=False)
        cursor = next_page(request, reply)
        request = msgspec.structs.replace(request, cursor=cursor)


def _parameters(operation: Operation) -> list[click.Parameter]:
    fields = {field.encode_name: field for field in fields_of(operation.request)}
    parameters: list[click.Parameter] = [argument(fields.pop(name)) for name in operation.path_fields]
    for name, field in fields.items():
        parameters += FORMS[name].options() if is_nested(field) else [option(field)]
    if operation.method in ("PUT", "POST"):
        parameters.append(
            click.Option(
                ["--file"],
                type=click.File("rb"),
                help="The request as JSON, as the REST API takes it; `-` reads the standard input. "
                "What is given by an option takes its place.",
            )
        )
    if operation.reply is not None and "delivery" in operation.reply.__struct_fields__:
        kind = click.Path(dir_okay=False, path_type=Path)
        parameters.append(click.Option(["--out"], type=kind, help="Where to write the update for the container."))
    if operation.keyed:
        told = "Makes a repeat safe: under the same key it gets the first answer."
        parameters.append(click.Option(["--idempotency-key"], help=told))
    return [*parameters, output_option(csv=is_listing(operation)), *connection_options()]


def build(operation: Operation, values: dict[str, Any]) -> Request:
    """The request made of the parameters' values, laid over the JSON of `--file`.

    Raises:
        click.UsageError: something that is required was given neither way.
        InvalidRequest: a value breaks the contract.
    """
    request = _from_file(values.pop("file", None))
    for field in fields_of(operation.request):
        name = field.encode_name
        value = FORMS[name].take(values) if is_nested(field) else values.pop(name)
        if value is None or value == ():
            if field.required and name not in request:
                raise _missing(operation, field)
        else:
            request[name] = list(value) if isinstance(value, tuple) else value
    return parse(operation, request)


def _from_file(file: BinaryIO | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        request = json.load(file)
    except ValueError as error:
        raise click.BadParameter(f"this is not JSON: {error}.", param_hint="--file") from None
    if not isinstance(request, dict):
        raise click.BadParameter("the JSON must be an object.", param_hint="--file")
    return request


def _missing(operation: Operation, field: inspect.Field) -> click.UsageError:
    first = FORMS[field.encode_name].options()[0] if is_nested(field) else option(field)
    also = " Or give the whole request as JSON by --file." if operation.mutates else ""
    return click.UsageError(f"Missing option '{first.opts[0]}'.{also}", click.get_current_context(silent=True))
