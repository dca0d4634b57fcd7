"""The pages on plugins are true: sections, settings, samples and code."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, cast, get_args

import msgspec
import pytest

from licentia.cli.commands.plugin import TEMPLATES
from licentia.cli.contracts_reference import reference
from licentia.directories import Subject, UserClaim
from licentia.errors import Unauthenticated
from licentia.installed import GROUPS
from licentia.plugins import Bindings, Plugins, Registry, flaw
from licentia.services.connections import Connections
from licentia.settings import Settings
from licentia.storage.database import Database
from licentia.testing import MemoryHost
from licentia_plugins.directories.oidc.settings import Algorithm, OidcSettings

CHECKOUT = Path(__file__).parents[2]
PAGES = CHECKOUT / "docs" / "plugins"
THIRDPARTY = CHECKOUT / "tests" / "thirdparty"
GUIDES = ["README", "contracts", *(path.stem for path in PAGES.glob("write-a-*.md"))]
KIND_OF = {
    entry_point.name: GROUPS[entry_point.group]
    for entry_point in distribution("licentia").entry_points
    if entry_point.group in GROUPS
}
BUILT_IN = sorted(KIND_OF)
SECTIONS = ["What it proves", "Settings", "Sample", "Security", "Cost", "When it fails closed"]
TWO_HALVES = ["What it proves", "The other half", *SECTIONS[1:]]


def page(name: str) -> str:
    """The text of one page."""
    return (PAGES / f"{name}.md").read_text("utf-8")


def blocks(name: str, language: str) -> list[str]:
    """The code blocks of one page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page(name), flags=re.MULTILINE | re.DOTALL)


def rows(name: str) -> list[list[str]]:
    """The rows of a page's table of settings: name, meaning, unit, default."""
    section = page(name).split("## Settings")[1].split("\n## ")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:3] == "| `"]


def test_every_built_in_plugin_has_its_page_and_its_line() -> None:
    """No page is missing, none is left over, and the list on the first page is complete."""
    assert sorted(path.stem for path in PAGES.glob("*.md") if path.stem not in GUIDES) == BUILT_IN
    assert re.findall(r"^\| \[([a-z-]+)\]\(\1\.md\)", page("README"), flags=re.MULTILINE) == BUILT_IN


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_page_has_the_same_sections(name: str) -> None:
    """Who knows one page finds the way in all."""
    prose = re.sub(r"^```.*?^```$", "", page(name), flags=re.MULTILINE | re.DOTALL)
    assert re.findall(r"^# (.*)$", prose, flags=re.MULTILINE) == [name]
    found = re.findall(r"^## (.*)$", prose, flags=re.MULTILINE)
    assert found == TWO_HALVES or (found == SECTIONS and KIND_OF[name] != "binding")


def test_the_settings_of_oidc_are_those_of_the_code() -> None:
    """Every setting with its default, in the order of the code; every number with the bounds that are enforced."""
    table = {row[0].strip("`"): row for row in rows("oidc")}
    fields = {field.name: field for field in msgspec.structs.fields(OidcSettings)}
    assert list(table) == list(fields)
    for name, field in fields.items():
        if field.required:
            assert table[name][3] == "required"
        elif field.default is not None:
            written = tomllib.loads(f"it = {table[name][3].strip('`')}")["it"]
            assert written == msgspec.json.decode(msgspec.json.encode(field.default))
        if maximum := msgspec.json.schema(field.type).get("maximum"):
            assert re.search(rf"\b{maximum}$", table[name][1])
    assert ", ".join(get_args(Algorithm)) in table["algorithms"][1]


@pytest.mark.parametrize("name", ["cloud-lite", "trusted"])
def test_a_plugin_without_settings_says_so(name: str) -> None:
    """An empty table is explained."""
    assert rows(name) == []
    assert "\nIt has none.\n" in page(name)


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_sample_is_accepted(name: str) -> None:
    """The settings on a page start the plugin of that page."""
    sample = blocks(name, "toml")[0]
    settings = msgspec.convert(tomllib.loads(sample), Settings)
    plugins = Plugins()
    bindings = Bindings(settings, plugins)
    host = MemoryHost({each: bindings.binding(each) for each in settings.bindings})
    Registry(settings, host, plugins)
    Connections(settings, plugins, cast(Database, None), b"")
    assert {plugin.state for plugin in plugins.listing() if plugin.name == name} == {"active"}


def test_the_container_in_its_chapter_is_the_sample() -> None:
    """What is printed is what is installed and tested: the plugin, its entry point and its ten lines of tests."""
    sample = THIRDPARTY / "licentia-container-sample"
    plugin, test = blocks("write-a-container", "python")
    assert plugin == (sample / "licentia_container_sample.py").read_text("utf-8")
    assert test == (sample / "test_licentia_container_sample.py").read_text("utf-8")
    assert blocks("write-a-container", "toml")[0] in (sample / "pyproject.toml").read_text("utf-8")


def test_the_binding_in_its_chapter_is_the_sample() -> None:
    """What is printed is what is installed and tested: the class, both halves, and the tests."""
    sample = THIRDPARTY / "licentia-binding-sample"
    files = ("__init__", "client", "server")
    wanted = [(sample / "licentia_binding_sample" / f"{name}.py").read_text("utf-8") for name in files]
    wanted.append((sample / "test_licentia_binding_sample.py").read_text("utf-8"))
    assert blocks("write-a-binding", "python") == wanted


def test_the_connector_in_its_chapter_is_the_new_one() -> None:
    """What is printed is what `licentia plugin new connector shop` writes."""
    plugin, test = blocks("write-a-connector", "python")
    assert written("connector", "shop", "licentia_connector_myname.py").endswith(plugin)
    assert test == written("connector", "shop", "test_licentia_connector_myname.py")
    assert blocks("write-a-connector", "toml")[0] in written("connector", "shop", "pyproject.toml")


def test_the_container_of_the_first_quarter_of_an_hour_is_the_new_one() -> None:
    """What is printed is what `licentia plugin new container shelf` writes."""
    plugin, test = blocks("write-a-plugin", "python")
    assert plugin == written("container", "shelf", "licentia_container_myname.py")
    assert test == written("container", "shelf", "test_licentia_container_myname.py")
    assert blocks("write-a-plugin", "toml")[0] in written("container", "shelf", "pyproject.toml")


def written(kind: str, name: str, file: str) -> str:
    """A file of a template, with the name of a plugin."""
    return (TEMPLATES / kind / file).read_text("utf-8").replace("MyName", name.capitalize()).replace("myname", name)


def test_the_reference_is_that_of_the_code() -> None:
    """docs/plugins/contracts.md is what `make golden` writes now."""
    assert page("contracts") == reference()


def test_the_reference_has_every_contract() -> None:
    """What an author writes, what the core calls, and what the kit tests stand there, and nothing that is private."""
    text = page("contracts")
    for signature in ("async def _apply(self", "async def _verify(self", "async def _identify(self", "def _normalise("):
        assert signature in text
    assert "* **repeated evidence is not fresh**: " in text
    assert "_guarded" not in text


async def test_the_directory_in_its_chapter_works() -> None:
    """The class that is printed keeps the contract of directories."""
    names: dict[str, Any] = {}
    exec(blocks("write-a-directory", "python")[0], names)
    assert flaw("directory", names["Badges"]) is None
    badges = names["Badges"]("badges", {"badge-1": "ada"})
    assert await badges.identify(UserClaim(token="badge-1")) == Subject(user="ada", groups=("staff",))
    assert await badges.identify(UserClaim(token="a.b.c")) is None
    with pytest.raises(Unauthenticated):
        await badges.identify(UserClaim(token="badge-2"))
