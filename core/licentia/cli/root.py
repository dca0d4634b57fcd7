"""The root command: finds a command in the tree, imports it only then, and turns faults into exit codes."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from licentia import __version__
from licentia.cli.tree import COMMANDS, Entry, Noun, Own, Verb

WRONG_USAGE = 64
"""EX_USAGE of sysexits.h."""

INTERRUPTED = 130
"""128 + SIGINT, as shells count."""

HELP = """Licentia licenses software: products, orders, tickets, containers, seats.

A command works on a local data folder (`--config`, or ./licentia.toml) or on a server (`--url`, with
the key in LICENTIA_KEY). With `-o json` it prints exactly what the REST API replies.

New here? `licentia demo` starts a server to try, and prints what to do next.
"""

EXIT_CODES = """\b
Exit codes:
  0   done
  1   could not run: bad settings, a port taken, an unexpected fault
  2   refused by Licentia: a code, what is wrong, and what to do
  64  wrong usage
  69  the server cannot be reached, or is not Licentia
"""


class LazyGroup(click.Group):
    """A group whose commands are entries of the tree. Help and completion import none of them."""

    def __init__(self, name: str, entries: Mapping[str, Entry], **options: Any) -> None:
        super().__init__(name, **options)
        self.entries = entries

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the tree."""
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported or made now."""
        match self.entries.get(cmd_name):
            case Noun() as noun:
                return LazyGroup(cmd_name, noun.commands, help=noun.summary, no_args_is_help=True)
            case Verb() as verb:
                from licentia.cli.operations import operation_command

                return operation_command(cmd_name, verb)
            case Own() as own:
                module, _, name = own.target.partition(":")
                return getattr(import_module(module), name)  # type: ignore[no-any-return]
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first word names; near misses are named in the refusal."""
        if args and args[0] not in self.entries and args[0][:1].isalnum():
            from difflib import get_close_matches

            near = "".join(f" Did you mean {name!r}?" for name in get_close_matches(args[0], self.entries, 1))
            ctx.fail(f"There is no command {args[0]!r}.{near}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, from the summaries in the tree."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary(entry)) for name, entry in self.entries.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """The commands and options that begin so."""
        from click.shell_completion import CompletionItem

        found = [
            CompletionItem(name, help=summary(entry))
            for name, entry in self.entries.items()
            if name.startswith(incomplete)
        ]
        return found + click.Command.shell_complete(self, ctx, incomplete)


class Root(LazyGroup):
    """The command `licentia` itself."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run, and leave with a documented exit code."""
        extra["standalone_mode"] = False
        try:
            sys.exit(super().main(*args, **extra) or 0)
        except click.UsageError as error:
            error.show()
            sys.exit(WRONG_USAGE)
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
        except click.Abort:
            sys.exit(INTERRUPTED)


def summary(entry: Entry) -> str:
    """One line about a command."""
    if isinstance(entry, Verb) and not entry.summary:
        from licentia.contract import BY_NAME

        return BY_NAME[entry.operation].summary
    return entry.summary


licentia = click.version_option(__version__, "-V", "--version", message="licentia %(version)s")(
    Root(
        "licentia",
        COMMANDS,
        help=HELP,
        epilog=EXIT_CODES,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
)


def main() -> None:
    """Run the command line of this process."""
    licentia.main(prog_name="licentia")
