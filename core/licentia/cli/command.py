"""What all commands have in common: `-o json`, where to reach Licentia, and how a refusal is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import click

from licentia.client.faults import Unreachable
from licentia.errors import LicensingError, Unauthenticated
from licentia.settings import SettingsError

REFUSED = 2
UNREACHABLE = 69
"""EX_UNAVAILABLE of sysexits.h."""

Output = Literal["text", "json", "csv"]


class Failure(click.ClickException):
    """The command could not run. The message says why and what to do, in a sentence or two."""

    def show(self, file: Any = None) -> None:
        """Print it on the standard error."""
        click.echo(f"licentia: {self.message}", file=file, err=True)


class NoServer(Failure):
    """The server cannot be reached, or is not Licentia."""

    exit_code = UNREACHABLE


class Command(click.Command):
    """A command that reports each kind of fault in its own way; see the exit codes of `licentia --help`."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run it; a refusal ends with exit code 2, told as the output format wants it."""
        try:
            return super().invoke(ctx)
        except LicensingError as refusal:
            if isinstance(refusal, Unauthenticated):
                refusal.next_step = "Set LICENTIA_KEY to a key that `licentia key create` made on the server."
            report(refusal, ctx.params.get("output", "text"))
            ctx.exit(REFUSED)
        except Unreachable as fault:
            raise NoServer(f"{fault} {fault.next_step}") from None
        except SettingsError as fault:
            raise Failure(str(fault)) from None


def command(name: str, *, example: str, **options: Any) -> Callable[[Callable[..., Any]], Command]:
    """A hand-made command; its help is the docstring, followed by the example."""
    return click.command(name, cls=Command, epilog=epilog(example), **options)


def epilog(example: str, more: str = "") -> str:
    """The end of a help text: an example that stays on its lines, then a paragraph."""
    lines = "\n".join(f"  {line}" for line in example.splitlines())
    return f"\b\nExample:\n{lines}\n\n{more}".rstrip()


def report(refusal: LicensingError, output: Output) -> None:
    """Tell a refusal: an object on the standard output for `json`, else sentences on the standard error."""
    if output == "json":
        told: dict[str, Any] = {"code": refusal.code, "detail": refusal.detail, "help": refusal.next_step}
        if refusal.problems:
            told["errors"] = [{"pointer": each.pointer, "detail": each.detail} for each in refusal.problems]
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        click.echo(f"{refusal.title()} ({refusal.code}).\n{refusal.detail}\n{refusal.next_step}", err=True)


def output_option(*, csv: bool = False) -> click.Option:
    """`-o text|json`, and `csv` for a listing."""
    told = "Text to read, JSON to process, or CSV of all pages." if csv else "Text to read, or JSON to process."
    choice = click.Choice(["text", "json", "csv"] if csv else ["text", "json"])
    return click.Option(["-o", "--output"], type=choice, default="text", help=told)


def config_option() -> click.Option:
    """`--config FILE`."""
    return click.Option(
        ["--config"],
        type=click.Path(dir_okay=False, path_type=Path),
        envvar="LICENTIA_CONFIG",
        help="Settings of the local data folder, or LICENTIA_CONFIG; else ./licentia.toml.",
    )


def connection_options() -> list[click.Option]:
    """`--url`, `--key` and `--config`."""
    return [
        click.Option(["--url"], envvar="LICENTIA_URL", help="Address of a server, or LICENTIA_URL."),
        click.Option(
            ["--key"],
            envvar="LICENTIA_KEY",
            help="Key for the server; better in LICENTIA_KEY, where no list of processes shows it.",
        ),
        config_option(),
    ]


def with_options(*options: click.Option) -> Callable[[Command], Command]:
    """Add options to a command, after its own."""

    def add(command: Command) -> Command:
        command.params.extend(options)
        return command

    return add
