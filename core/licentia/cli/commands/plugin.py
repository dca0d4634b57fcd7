"""`licentia plugin new`: a package with a plugin that works, its tests and its page."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import click

from licentia.cli.command import Failure, command, output_option, with_options

TEMPLATES = Path(__file__).parents[1] / "templates" / "plugin"
"""A folder for each kind; what has to be named after the plugin is named `myname` there, and `MyName`."""

KINDS = ("container", "binding", "directory", "connector")


@with_options(output_option())
@command("new", example="licentia plugin new container shelf\nlicentia plugin new binding stick --folder ~/plugins")
@click.argument("kind", type=click.Choice(KINDS), metavar="KIND")
@click.argument("name")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    default=Path(),
    help="Where to make the package's folder. Default: here.",
)
def new(kind: str, name: str, folder: Path, output: str) -> None:
    """Write a plugin of your own: code that works, its tests, its page.

    KIND is container, binding, directory or connector. NAME is what will stand in the settings:
    lower-case letters, digits and single dashes, at most 32. The package is licentia-KIND-NAME, in a
    folder of that name.
    """
    _check(kind, name)
    package = folder / f"licentia-{kind}-{name}"
    files = _write(TEMPLATES / kind, package, name)
    steps = [f"cd {shlex.quote(str(package))}", "pip install -e '.[test]'", "pytest"]
    if output == "json":
        told = {"kind": kind, "name": name, "folder": str(package.absolute()), "files": files, "next": steps}
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    click.echo("\n  ".join([f"Made {package}:", *files]))
    click.echo("\n  ".join(["\nNext:", *steps]))
    click.echo("\nREADME.md says what to put into the settings; then `licentia plugin list` shows it as active.")


def _check(kind: str, name: str) -> None:
    from licentia.installed import GROUPS, NAME, installed

    if not NAME.fullmatch(name) or name.endswith("-") or "--" in name:
        rule = "lower-case letters, digits and single dashes, at most 32, a letter first and no dash last"
        raise click.BadParameter(f"{name!r} is no name of a plugin: {rule}.", param_hint="NAME")
    for point in installed():
        if GROUPS[point.group] == kind and point.name == name and point.dist is not None:
            owner = f"{point.dist.name} {point.dist.version}"
            raise Failure(f"There is a {kind} {name!r} already, from {owner}; two of one name could not be used.")


def _write(template: Path, package: Path, name: str) -> list[str]:
    """Copy the template, named after the plugin; the names of the files, in order."""
    try:
        if package.exists() and any(package.iterdir()):
            raise Failure(f"{package} is there already, and was left as it is. Choose another name or --folder.")
        written = []
        for source in sorted(path for path in template.rglob("*") if path.is_file()):
            if "__pycache__" in source.parts:
                continue
            file = package / _named(str(source.relative_to(template)), name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(_named(source.read_bytes().decode(), name).encode())
            written.append(str(file.relative_to(package)))
    except OSError as error:
        raise Failure(f"{error.filename or package} cannot be written: {error.strerror}.") from None
    return written


def _named(text: str, name: str) -> str:
    """The text with the plugin's name: as it is, in a module's name, and in a class's."""
    words = name.split("-")
    renamed = text.replace("MyName", "".join(word.capitalize() for word in words))
    return renamed.replace("_myname", f"_{'_'.join(words)}").replace("myname", name)
