"""The tree of commands: complete, light, and every help text true."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from licentia.cli.operations import build
from licentia.cli.root import licentia, summary
from licentia.cli.tree import COMMANDS, Entry, Noun, Own, Verb
from licentia.contract import BY_NAME, Request

HEAVY = ("asyncio", "httpx", "lxml", "msgspec", "spyne", "starlette", "structlog", "tortoise", "uvicorn")
START_SECONDS = 0.1


def walk(
    entries: Mapping[str, Entry] = COMMANDS, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Entry]]:
    """Every command with the words that call it."""
    for name, entry in entries.items():
        yield (*path, name), entry
        if isinstance(entry, Noun):
            yield from walk(entry.commands, (*path, name))


ALL = dict(walk())
VERBS = {path: entry for path, entry in ALL.items() if isinstance(entry, Verb)}
OWN = {path: entry for path, entry in ALL.items() if isinstance(entry, Own)}


def resolve(*path: str) -> click.Command:
    """The command that these words call."""
    found: click.Command = licentia
    for name in path:
        assert isinstance(found, click.Group)
        command = found.get_command(click.Context(found), name)
        assert command is not None
        found = command
    return found


def requested(*words: str) -> Request:
    """The request that a command line makes."""
    context = licentia.make_context("licentia", list(words))
    while isinstance(context.command, click.Group):
        name, command, rest = context.command.resolve_command(context, [*context._protected_args, *context.args])
        assert command is not None
        context = command.make_context(name, rest, parent=context)
    verb = ALL[tuple(context.command_path.split()[1:])]
    assert isinstance(verb, Verb)
    values = dict(context.params)
    for name in ("output", "url", "key", "config", "idempotency_key", "out"):
        values.pop(name, None)
    with context:
        return build(BY_NAME[verb.operation], values)


def test_every_operation_has_one_command() -> None:
    """Nothing in the contract is out of reach of the command line, and nothing can be reached in two ways."""
    own = [own.operation for own in OWN.values() if own.operation]
    assert sorted([*own, *(verb.operation for verb in VERBS.values())]) == sorted(BY_NAME)


@pytest.mark.parametrize("path", OWN, ids=" ".join)
def test_a_command_says_in_the_tree_what_it_says_itself(path: tuple[str, ...]) -> None:
    """The summary in the tree is the first line of the help of the command that is imported."""
    command = resolve(*path)
    assert command.name == path[-1]
    assert (command.help or "").splitlines()[0] == OWN[path].summary


@pytest.mark.parametrize("path", VERBS, ids=" ".join)
def test_an_example_makes_a_valid_request(
    path: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The example of a command, pasted as it is, calls that command with a request the contract accepts."""
    monkeypatch.chdir(tmp_path)
    for name in ("cad.request", "cad.receipt"):
        Path(name).write_bytes(b"as a container writes it")
    words = shlex.split(VERBS[path].example)
    assert words[: len(path) + 1] == ["licentia", *path]
    assert type(requested(*words[1:])) is BY_NAME[VERBS[path].operation].request


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_explains_itself(path: tuple[str, ...]) -> None:
    """`--help` of a command says what it does and shows an example; that of a group lists its commands."""
    shown = CliRunner().invoke(licentia, [*path, "--help"])
    assert shown.exit_code == 0
    expected = "Commands:" if isinstance(ALL[path], Noun) else f"licentia {' '.join(path)}"
    assert expected in shown.output.split("Options:", 1)[1]


def test_the_root_help_needs_no_contract() -> None:
    """What a command at the root says is what its operation says, though the help does not load it."""
    for path, verb in VERBS.items():
        if len(path) == 1:
            assert verb.summary == BY_NAME[verb.operation].summary
        else:
            assert not verb.summary


def test_no_option_hides_another() -> None:
    """An operation's field never takes the name of an option that all commands have."""
    for path in VERBS:
        names = [parameter.name for parameter in resolve(*path).params]
        assert len(names) == len(set(names)), path


def test_help_loads_nothing_heavy() -> None:
    """`licentia --help` imports neither the server nor the contract."""
    program = (
        "import sys\nfrom licentia.cli.root import licentia\n"
        "try: licentia.main(['--help'], prog_name='licentia')\nexcept SystemExit: pass\n"
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert "demo" in done.stdout
    assert done.stderr.strip() == "[]"


def test_help_is_fast() -> None:
    """`licentia --help` costs less than a tenth of a second of CPU over a bare interpreter."""

    def seconds(*arguments: str) -> float:
        before = os.times()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        after = os.times()
        return sum(after[2:4]) - sum(before[2:4])

    bare = min(seconds("-c", "pass") for _ in range(3))
    assert min(seconds("-m", "licentia", "--help") for _ in range(5)) - bare < START_SECONDS


def test_completion_knows_commands_and_options() -> None:
    """The shell is told the commands that begin with what was typed, and the options of a command."""
    for words, expected in (
        ("licentia le", "lease"),
        ("licentia lease check", "checkout"),
        ("licentia serve --wo", "--workers"),
    ):
        typed = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1), "_LICENTIA_COMPLETE": "bash_complete"}
        shown = CliRunner().invoke(licentia, prog_name="licentia", env=typed)
        assert expected in shown.output, shown.output


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(shell: str) -> None:
    """`licentia completion SHELL` prints what that shell evaluates."""
    shown = CliRunner().invoke(licentia, ["completion", shell])
    assert shown.exit_code == 0
    assert f"_LICENTIA_COMPLETE={shell}_complete" in shown.output


def test_a_near_miss_is_named() -> None:
    """A typing error in a command gets the command that was meant."""
    shown = CliRunner().invoke(licentia, ["prodct", "list"])
    assert "Did you mean 'product'?" in shown.stderr
    assert "Did you mean 'checkout'?" in CliRunner().invoke(licentia, ["lease", "chekout"]).stderr


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["lease", "nonsense"],
        ["lease", "checkout"],
        ["--nonsense"],
        ["lease", "list", "--limit", "0"],
        ["lease"],
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_64(words: list[str]) -> None:
    """Wrong usage has the exit code EX_USAGE, and says what is wrong on the standard error."""
    shown = CliRunner().invoke(licentia, words)
    assert shown.exit_code == 64
    assert shown.stderr
    assert not shown.stdout


def test_the_page_lists_every_command() -> None:
    """The table in docs/cli.md is the tree: no command is missing, none is left over."""
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text("utf-8")
    rows = [f"| `licentia {' '.join(path)}` | {summary(entry)} |" for path, entry in (VERBS | OWN).items()]
    listed = [line for line in page.split("## All commands")[1].splitlines() if line.startswith("| `")]
    assert sorted(listed) == sorted(rows)
