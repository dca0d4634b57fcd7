"""The pages on plugins are true: sections, settings, samples and code."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from licentia.directories import Subject, UserClaim
from licentia.errors import Unauthenticated
from licentia.plugins import GROUPS, Registry, flaw
from licentia.settings import Settings
from licentia.testing import MemoryHost
from licentia_plugins.directories.oidc.settings import Algorithm, OidcSettings

CHECKOUT = Path(__file__).parents[2]
PAGES = CHECKOUT / "docs" / "plugins"
SAMPLE = CHECKOUT / "tests" / "thirdparty" / "licentia-container-sample"
BUILT_IN = sorted(
    entry_point.name for entry_point in distribution("licentia").entry_points if entry_point.group in GROUPS
)
SECTIONS = ["What it proves", "Settings", "Sample", "Security", "Cost", "When it fails closed"]


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
    assert sorted(path.stem for path in PAGES.glob("*.md") if path.stem != "README") == BUILT_IN
    assert re.findall(r"^\| \[([a-z-]+)\]\(\1\.md\)", page("README"), flags=re.MULTILINE) == BUILT_IN


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_page_has_the_same_sections(name: str) -> None:
    """Who knows one page finds the way in all."""
    assert re.findall(r"^# (.*)$", page(name), flags=re.MULTILINE) == [name]
    assert re.findall(r"^## (.*)$", page(name), flags=re.MULTILINE) == SECTIONS


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
    (sample,) = blocks(name, "toml")
    registry = Registry(msgspec.convert(tomllib.loads(sample), Settings), MemoryHost())
    assert {plugin.state for plugin in registry.listing() if plugin.name == name} == {"active"}


def test_the_container_on_the_first_page_is_the_sample() -> None:
    """What is printed is what is installed and tested: the plugin, its entry point and its ten lines of tests."""
    plugin, test, _ = blocks("README", "python")
    assert plugin == (SAMPLE / "licentia_container_sample.py").read_text("utf-8")
    assert test == (SAMPLE / "test_licentia_container_sample.py").read_text("utf-8")
    assert blocks("README", "toml")[1] in (SAMPLE / "pyproject.toml").read_text("utf-8")


async def test_the_directory_on_the_first_page_works() -> None:
    """The class that is printed keeps the contract of directories."""
    names: dict[str, Any] = {}
    exec(blocks("README", "python")[2], names)
    assert flaw("directory", names["Badges"]) is None
    badges = names["Badges"]("badges", {"badge-1": "ada"})
    assert await badges.identify(UserClaim(token="badge-1")) == Subject(user="ada", groups=("staff",))
    assert await badges.identify(UserClaim(token="a.b.c")) is None
    with pytest.raises(Unauthenticated):
        await badges.identify(UserClaim(token="badge-2"))
